"""What a site lets programs read: robots.txt as RFC 9309 says, with Crawl-delay and Sitemap lines.

The standard library's reader takes the first rule that fits, knows no wildcards, and so refuses and allows
other pages than the sites' owners mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from gptagent.features.knowledge.sites.addresses import escaped, path_of

AGENT = "GPTAgentBot"
ROBOTS_MAX_BYTES = 500_000  # RFC 9309, 2.5: at least 500 KiB are read
RULES_MAX = 2_000
SITEMAPS_MAX = 20
DELAY_MAX_SECONDS = 30.0  # a site that asks for more is read that slowly


@dataclass(frozen=True, slots=True)
class Robots:
    """`rules` are (allowed, pattern), the most telling first. `delay` in seconds."""

    rules: tuple[tuple[bool, str], ...] = ()
    delay: float = 0.0
    sitemaps: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Robots":
        """Read what concerns us: the groups that name us, else those for everybody. Never raises."""
        ours, everybodys = _Group(), _Group()
        sitemaps: list[str] = []
        in_names, is_named, is_ours, is_everybodys = False, False, False, False
        for key, value in _lines(text):
            if key == "user-agent":
                is_ours = (in_names and is_ours) or _is_ours(value)
                is_everybodys = (in_names and is_everybodys) or value == "*"
                is_named = is_named or is_ours
                in_names = True
                continue
            if key == "sitemap":
                sitemaps.append(value)
                continue
            in_names = False
            if is_ours:
                ours.take(key, value)
            if is_everybodys:
                everybodys.take(key, value)
        chosen = ours if is_named else everybodys
        return cls(chosen.ordered(), chosen.delay, tuple(sitemaps[:SITEMAPS_MAX]))

    def allows(self, url: str) -> bool:
        """Whether a page may be read: the longest pattern that fits decides, and allows if there are two."""
        path = path_of(url)
        return next((allowed for allowed, pattern in self.rules if _fits(pattern, path)), True)


class _Group:
    def __init__(self) -> None:
        self._rules: list[tuple[bool, str]] = []
        self.delay = 0.0

    def take(self, key: str, value: str) -> None:
        if key in {"allow", "disallow"} and value and len(self._rules) < RULES_MAX:
            self._rules.append((key == "allow", escaped(value)))
        elif key == "crawl-delay":
            self.delay = _seconds(value)

    def ordered(self) -> tuple[tuple[bool, str], ...]:
        return tuple(sorted(self._rules, key=lambda rule: (-len(rule[1]), not rule[0])))


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.removeprefix("\ufeff").splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield key.strip().lower(), value.strip()


def _is_ours(name: str) -> bool:
    return name.partition("/")[0].strip().lower() == AGENT.lower()


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), DELAY_MAX_SECONDS) if seconds == seconds else 0.0  # noqa: PLR0124 - NaN


def _fits(pattern: str, path: str) -> bool:
    """`*` stands for anything, `$` at the end for the end. Linear: each part is looked for once."""
    parts = pattern.removesuffix("$").split("*")
    if not path.startswith(parts[0]):
        return False
    at = len(parts[0])
    for part in parts[1:]:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    if not pattern.endswith("$"):
        return True
    return at == len(path) if len(parts) == 1 else path.endswith(parts[-1])
