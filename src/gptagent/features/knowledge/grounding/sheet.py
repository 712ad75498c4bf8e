"""A text whose facts are taken out one kind after another."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

TAKEN = "\x1f"
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-")
_SIGNS = {**_DASHES, ord("№"): "#", ord("⁄"): "/"}
_KEYCAP = re.compile("[\ufe0f\u20e3]")
_EMPHASIS = re.compile(r"[*`]+|~~|(?<![^\W_])__?(?=[^\W_])|(?<=[^\W_])__?(?![^\W_])")
# At the start of a line: "1.", "2)", a keycap, "Step 3".
_MARKERS = re.compile(
    r"(?mi)^[ \t>]*(?:[-•*][ \t]+)?\**(?:\d{1,2}[.)](?=[ \t*]+\S)|\d\ufe0f?\u20e3"
    r"|#{1,6}[ \t]+\d{1,2}[.)]|(?:шаг|этап|вариант|пункт|step|option|stage)[ \t]+\d{1,2}(?=[\s.:)*-]))"
)


def normalized(text: str) -> str:
    """Return the text with one kind of space, dash and digit, without marks of emphasis and list markers."""
    text = "".join(_plain(char) for char in text)
    text = _MARKERS.sub(" ", text)
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)
    return _EMPHASIS.sub("", _KEYCAP.sub("", text))


def lowered(text: str) -> str:
    """Return the text in small letters, each in its place."""
    return "".join(small if len(small := char.lower()) == 1 else char for char in text)


def _plain(char: str) -> str:
    if char.isascii():
        return char
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    return "" if unicodedata.category(char) == "Cf" else char


@dataclass(slots=True)
class Sheet:
    """`text` has TAKEN in the place of what was read already."""

    text: str

    def take(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """Yield what matches and blank it."""
        for match in list(pattern.finditer(self.text)):
            yield match
            self.blank(*match.span())

    def blank(self, start: int, end: int) -> None:
        self.text = f"{self.text[:start]}{TAKEN * (end - start)}{self.text[end:]}"
