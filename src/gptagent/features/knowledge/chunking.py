"""Sections of a text to the fragments that are found and quoted."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from semantic_text_splitter import TextSplitter

FRAGMENT_CHARS = 1_000
OVERLAP_CHARS = 150
HEADING_MAX_CHARS = 300

# The splitter's time grows with the square of a word's length: no language has such words.
_ENDLESS_WORD = re.compile(r"\S{250}")


@dataclass(frozen=True, slots=True)
class Section:
    """Text under one heading. `level` 1-6 is the heading's, 0 is text under the heading before it."""

    level: int
    heading: str
    text: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Fragment:
    """`heading` is the path of headings above it, `A › B`."""

    heading: str
    page: int | None
    content: str


def cut(sections: Iterable[Section]) -> Iterator[Fragment]:
    """Yield fragments of about FRAGMENT_CHARS with some overlap, none of which crosses a heading or page."""
    for heading, page, text in _under_headings(sections):
        tame = _ENDLESS_WORD.sub(r"\g<0> ", text)
        for content in _splitter().chunks(tame):
            yield Fragment(heading, page, content)


def _under_headings(sections: Iterable[Section]) -> Iterator[tuple[str, int | None, str]]:
    path: list[tuple[int, str]] = []
    bare: tuple[str, int | None, str] | None = None
    for section in sections:
        if section.level:
            if bare and section.level <= path[-1][0]:
                yield bare
            path = [entry for entry in path if entry[0] < section.level] + [(section.level, section.heading)]
            bare = None
        heading = " › ".join(title for _, title in path if title)[:HEADING_MAX_CHARS]
        text = section.text.strip()
        if text:
            yield heading, section.page, text
            bare = None
        elif section.level and section.heading:
            # a heading with nothing under it is itself what the author says
            bare = (heading, section.page, section.heading)
    if bare:
        yield bare


@cache
def _splitter() -> TextSplitter:
    return TextSplitter(FRAGMENT_CHARS, overlap=OVERLAP_CHARS)
