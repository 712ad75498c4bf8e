"""PPTX to one section a slide. Hidden slides and the speaker's notes are not read."""

import zipfile
from collections.abc import Iterator
from typing import Any

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.parsing.package import elements, local, relation_of, relations
from gptagent.features.knowledge.parsing.tables import lines_of, row_of

SHOW = "ppt/presentation.xml"
_TITLES = {"title", "ctrTitle"}
_ASIDE = {"sldNum", "ftr", "dt"}  # the same on every slide


def read_show(archive: zipfile.ZipFile) -> Iterator[Section]:
    """Yield a section for each slide that is shown; its page is the slide's place in the show."""
    targets = relations(archive, SHOW)
    parts = [targets.get(relation_of(element), "") for element in elements(archive, SHOW, "sldId")]
    for number, part in enumerate(parts, start=1):
        if part in archive.namelist():
            yield from _slides(archive, part, number)


def _slides(archive: zipfile.ZipFile, part: str, number: int) -> Iterator[Section]:
    for slide in elements(archive, part, "sld"):
        if slide.get("show") in {"0", "false"}:
            continue
        title, lines = "", list[str]()
        for shape in slide.iter("{*}sp", "{*}graphicFrame"):
            kind = _placeholder(shape)
            if kind in _ASIDE:
                continue
            if kind in _TITLES and not title:
                title = " ".join(" ".join(_paragraphs(shape)).split())
                continue
            tables = list(shape.iter("{*}tbl"))
            for table in tables:
                lines += _table(table)
            if not tables:
                lines += _paragraphs(shape)
        yield Section(1, title, "\n".join(lines), number)


def _placeholder(shape: Any) -> str:
    return next((str(one.get("type", "")) for one in shape.iter("{*}ph")), "")


def _paragraphs(shape: Any) -> list[str]:
    found = []
    for paragraph in shape.iter("{*}p"):
        text = "".join(
            (one.text or "") if local(one) == "t" else "\n" for one in paragraph.iter("{*}t", "{*}br")
        )
        if text.strip():
            found.append(text.strip())
    return found


def _table(table: Any) -> Iterator[str]:
    rows = (
        row_of(" ".join(_paragraphs(cell)) for cell in row.iterchildren("{*}tc"))
        for row in table.iterchildren("{*}tr")
    )
    properties = next(table.iterchildren("{*}tblPr"), None)
    yield from lines_of(rows, headed=properties is not None and properties.get("firstRow") == "1")
