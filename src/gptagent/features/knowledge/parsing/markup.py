"""HTML to sections by its headings. What a visitor does not see, and the way around the site, is left out."""

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.parsing.package import local
from gptagent.features.knowledge.parsing.result import ParseFailed
from gptagent.features.knowledge.parsing.tables import lines_of, row_of

_UNSEEN = (
    "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "nav", "button", "select",
    "textarea", "dialog",
)  # fmt: skip
_BLOCKS = frozenset(
    (
        "address", "article", "aside", "blockquote", "body", "center", "dd", "details", "div", "dl", "dt",
        "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "html", "legend", "li", "main",
        "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
    )
)  # fmt: skip
_HEADING = re.compile(r"h[1-6]")
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)
_CHARSET_WITHIN = 4_096


def declared_charset(raw: bytes) -> str | None:
    """Return the encoding that an HTML file says it has."""
    found = _CHARSET.search(raw[:_CHARSET_WITHIN])
    return found[1].decode("ascii", errors="replace") if found else None


def read_html(source: str) -> Iterator[Section]:
    """Yield a section per heading; the page's title stands for a missing heading of the first level."""
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    parser.feed(source.encode("utf-8", errors="replace"))
    tree = parser.close()
    if tree is None:
        raise ParseFailed("empty_text")
    etree.strip_elements(tree, *_UNSEEN, with_tail=False)
    page = _Page(_words(next(tree.iter("title"), None)) if next(tree.iter("h1"), None) is None else "")
    body = next(tree.iter("body"), tree)
    yield from page.read(body)


class _Page:
    """A walk through a page: lines are gathered until a heading comes."""

    def __init__(self, title: str) -> None:
        self._level = 1 if title else 0
        self._heading = title
        self._lines: list[str] = []
        self._line: list[str] = []

    def read(self, body: Any) -> Iterator[Section]:
        walk = etree.iterwalk(body, events=("start", "end"))
        for event, element in walk:
            name = local(element)
            if event == "start":
                if element is not body and _is_unseen(element):
                    walk.skip_subtree()
                elif _HEADING.fullmatch(name):
                    self._end_line()
                    if words := _words(element):
                        yield self._section()
                        self._level, self._heading = int(name[1]), words
                    walk.skip_subtree()
                elif name == "table" and _is_data(element):
                    self._end_line()
                    self._lines += _table_lines(element)
                    walk.skip_subtree()
                else:
                    self._begin(name, element)
            elif name in _BLOCKS:
                self._end_line(paragraph=name in {"p", "ul", "ol", "table", "blockquote", "pre"})
            if event == "end" and element is not body and element.tail:
                self._line.append(element.tail)
        self._end_line()
        yield self._section()

    def _begin(self, name: str, element: Any) -> None:
        if name in _BLOCKS or name == "br":
            self._end_line()
        if element.text:
            self._line.append(element.text)

    def _end_line(self, *, paragraph: bool = False) -> None:
        if line := " ".join("".join(self._line).split()):
            self._lines.append(line)
        self._line = []
        if paragraph and self._lines and self._lines[-1]:
            self._lines.append("")

    def _section(self) -> Section:
        made = Section(self._level, self._heading, "\n".join(self._lines))
        self._level, self._heading, self._lines = 0, "", []
        return made


def _is_unseen(element: Any) -> bool:
    return (
        element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or bool(_HIDDEN.search(element.get("style", "")))
    )


def _is_data(table: Any) -> bool:
    """Tell a table of data from one that lays out a page: that holds other tables or headings."""
    inner = table.iter("table", "h1", "h2", "h3", "ul", "ol", "form")
    return all(one is table for one in inner)


def _table_lines(table: Any) -> Iterator[str]:
    rows = [row for row in table.iter("tr") if next(row.iterchildren("td", "th"), None) is not None]
    headed = bool(rows) and all(local(cell) == "th" for cell in rows[0].iterchildren("td", "th"))
    yield from (words for caption in table.iterchildren("caption") if (words := _words(caption)))
    yield from lines_of((row_of(_spread(row)) for row in rows), headed=headed)


def _spread(row: Any) -> Iterator[str]:
    """Yield a row's texts by column: a wide cell takes several."""
    for cell in row.iterchildren("td", "th"):
        yield _words(cell)
        span = cell.get("colspan", "1")
        yield from [""] * (min(int(span), 100) - 1 if span.isdecimal() else 0)


def _words(element: Any) -> str:
    """Return an element's text in one line; blocks and breaks part words, other marks do not."""
    if element is None:
        return ""
    found = []
    for event, one in etree.iterwalk(element, events=("start", "end")):
        if local(one) in _BLOCKS or local(one) == "br":
            found.append(" ")
        if event == "start":
            found.append(one.text or "")
        elif one is not element:
            found.append(one.tail or "")
    return " ".join("".join(found).split())
