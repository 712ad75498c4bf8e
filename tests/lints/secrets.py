"""Looks for secrets in the repository's files and in every line its history ever added."""

import hashlib
import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# What well-known services and this platform give out, by how it begins.
KNOWN = {
    "private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
    "AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{60,}\b",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "Stripe key": r"\b[rs]k_live_[A-Za-z0-9]{20,}",
    "Google key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "model key": r"\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,}",
    "Telegram bot": r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b",
    "signed token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
    "key of this platform": r"\bgpa_[A-Za-z0-9_-]{30,}",
    "address with a password": r"\b[a-z][a-z0-9+.-]+://[^\s:/@'\"<>{}]+:(?P<value>[^\s:/@'\"<>{}]{6,})@",
}
# A value that looks random, given to a name that sounds secret.
_NAMED = re.compile(
    r"(?i)(?:secret|token|passw(?:or)?d|api_?key|private_?key|credential)\w*[\"']?\s*[:=]\s*b?"
    r"[\"'](?P<value>[^\"'\s]{20,})[\"']"
)
MIN_BITS_PER_CHAR = 4.0  # words in a language have less, base64 of random bytes has more
_PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in KNOWN.items())

# What was looked at and is none: the start of the value's SHA-256, and why.
ALLOWED: dict[str, str] = {
    "5e884898da28": "the word for a password, in examples of addresses",
    "abbe5d836bd2": "the expression of a test that makes one up",
    "f65a69ad3989": "a made-up one of a test: it must not be shown in an error",
    "36089c5a633f": "a made-up one of a test: it must not be shown in an error",
    "2bb80d537b1d": "the word for a secret, in addresses that are refused",
    "ec73b5df98d4": "counted through from 0 to p: what an attacker of a test passes to a tool",
    "670b9d6f09fa": "the vendor's example of a signed token: a reply of a test must not hold one",
    "1a5d44a2dca1": "the vendor's example of a key: a reply of a test must not hold one",
}
# The same in one file only: elsewhere this value would be the beginning of a real one.
ALLOWED_IN: dict[tuple[str, str], str] = {
    ("3021d90eb943", "tests/unit/test_guarding.py"): "the first line of a key, with no key after it",
}


@dataclass(frozen=True)
class Leak:
    """`mark` is what the list of allowed ones names it by; the value itself is not shown."""

    where: str
    kind: str
    mark: str

    def __str__(self) -> str:
        return f"{self.where}: looks like a {self.kind} (allow it in tests/lints/secrets.py as {self.mark})"


def leaks_in(line: str, where: str, name: str = "") -> Iterator[Leak]:
    """Yield what in this line of the file `name` looks like a secret and is on no list of allowed ones."""
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(line):
            yield from _leak(match, kind, where, name)
    for match in _NAMED.finditer(line):
        if bits_per_char(match["value"]) >= MIN_BITS_PER_CHAR:
            yield from _leak(match, "secret", where, name)


def _leak(match: "re.Match[str]", kind: str, where: str, name: str) -> Iterator[Leak]:
    value = match.groupdict().get("value") or match.group()
    mark = hashlib.sha256(value.encode()).hexdigest()[:12]
    if mark not in ALLOWED and (mark, name) not in ALLOWED_IN:
        yield Leak(where, kind, mark)


def bits_per_char(text: str) -> float:
    """Return Shannon's entropy of the text's own characters."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def scan_tree(root: Path) -> list[Leak]:
    """Look through every tracked file that is text."""
    names = _git(root, "ls-files", "-z").split("\0")
    found = []
    for name in filter(None, names):
        path = root / name
        if path.is_file() and not path.is_symlink():
            lines = path.read_bytes().decode(errors="ignore").splitlines()
            found += [
                leak for at, line in enumerate(lines, 1) for leak in leaks_in(line, f"{name}:{at}", name)
            ]
    return found


def scan_history(root: Path) -> list[Leak]:
    """Look through every line a commit before this one has added, also if a later one took it away."""
    patches = _git(root, "log", "-p", "-U0", "--no-color", "--no-ext-diff")
    return list(_scan_patches(patches.splitlines()))


def _scan_patches(lines: Iterable[str]) -> Iterator[Leak]:
    commit = name = ""
    for line in lines:
        if line.startswith("commit "):
            commit = line[7:17]
        elif line.startswith("+++ "):
            name = line[6:]
        elif line.startswith("+"):
            yield from leaks_in(line[1:], f"{commit} {name}", name)


def _git(root: Path, *arguments: str) -> str:
    output = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=True).stdout
    return output.decode(errors="ignore")
