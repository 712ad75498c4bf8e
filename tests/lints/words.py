"""What no text of the repository holds: other people's machines, download addresses, how it came about."""

import re
from collections.abc import Iterator

from lints.source import Finding, Source

# These name what they look for.
OWN_FILES = ("tests/lints/words.py", "tests/unit/test_lints.py")

_REGISTRY = re.compile(
    r"https?://[^\s\"'<>)]*(?:pypi|pythonhosted|npmjs|yarnpkg|crates\.io|rubygems|proxy\.golang|artifactory|nexus)"
    r"|--(?:extra-)?index-url\b|\bregistry\s*=\s*https?:",
    re.IGNORECASE,
)
_MACHINE = re.compile(r"(?<![\w.~\-{}*/])/(?:work|root|home)/(?!\*)")
_MAKING = re.compile(
    r"\bclaude\b|\bcopilot\b|\bchatgpt (?:wrote|made|generated)\b|\bsub-?agents?\b|\bhelper-\d"
    r"|\b(?:this|my|next|previous|earlier) session (?:ends|ended|built|wrote|left)\b"
    r"|\bthe (?:integrator|brief)\b|\bco-authored-by\b"
    r"|\b(?:written|generated|made) (?:by|with) (?:an? )?(?:ai|llm|gpt|language model)\b|\bas an ai\b"
    r"|(?<![\w/-])shared/(?:spec|design|hooks|architecture|style|quality|foundations)",
    re.IGNORECASE,
)

_RULES = (
    ("registry", _REGISTRY, "an address of a package registry", "name the package and its version only"),
    (
        "machine-path",
        _MACHINE,
        "an absolute path of one machine",
        "start from the repository or the home",
    ),
    ("making-of", _MAKING, "how the text came about is no part of it", "say what the product does"),
)


def nothing_foreign(source: Source) -> Iterator[Finding]:
    """Yield registry addresses, absolute machine paths and words about the making of the project."""
    if source.path in OWN_FILES:
        return
    for number, line in enumerate(source.lines, start=1):
        for rule, pattern, reason, fix in _RULES:
            if pattern.search(line) and not source.is_excused(rule, number):
                yield Finding(source.path, number, rule, reason, fix)
