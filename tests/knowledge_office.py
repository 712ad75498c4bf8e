"""Tables, slides and letters as their programs write them, made part by part."""

import email
import email.policy
import io
import zipfile
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from types import MappingProxyType
from xml.sax.saxutils import escape

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_P = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
_A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
_RELS = "http://schemas.openxmlformats.org/package/2006/relationships"

# Styles of cells by their number: 0 general, 1 a date, 2 per cent, 3 roubles.
_STYLES = (
    f'<styleSheet {_MAIN}><numFmts count="1">'
    '<numFmt numFmtId="164" formatCode="#,##0\\ &quot;₽&quot;"/></numFmts>'
    '<cellXfs count="4"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="9"/><xf numFmtId="164"/></cellXfs>'
    "</styleSheet>"
)


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def book(
    sheets: Mapping[str, str], texts: Sequence[str] = (), *, hidden: Sequence[str] = (), **more: str
) -> bytes:
    """An XLSX of these sheets, given as the XML inside of each; `more` are further parts by their name."""
    return zipped(book_parts(sheets, texts, hidden=hidden) | more)


def book_parts(
    sheets: Mapping[str, str], texts: Sequence[str] = (), *, hidden: Sequence[str] = ()
) -> dict[str, str]:
    unseen = dict.fromkeys(hidden, ' state="hidden"')
    listed = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="s{n}"{unseen.get(name, "")}/>'
        for n, name in enumerate(sheets, start=1)
    )
    targets = {f"s{n}": f"worksheets/sheet{n}.xml" for n in range(1, len(sheets) + 1)}
    shared = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
    return {
        "[Content_Types].xml": "<Types/>",
        "xl/workbook.xml": f"<workbook {_MAIN} {_R}><sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations(targets | {"t": "/xl/sharedStrings.xml"}),
        "xl/sharedStrings.xml": f"<sst {_MAIN}>{shared}</sst>",
        "xl/styles.xml": _STYLES,
        **{
            f"xl/worksheets/sheet{n}.xml": f"<worksheet {_MAIN}>{inside}</worksheet>"
            for n, inside in enumerate(sheets.values(), start=1)
        },
    }


def rows(*lines: Sequence[str | int]) -> str:
    """Sheet data whose texts stand in the cells themselves."""
    made = []
    for number, line in enumerate(lines, start=1):
        cells = "".join(
            f"<c><v>{cell}</v></c>"
            if isinstance(cell, int)
            else f'<c t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
            for cell in line
        )
        made.append(f'<row r="{number}">{cells}</row>')
    return f"<sheetData>{''.join(made)}</sheetData>"


def show(slides: Sequence[str], *, hidden: Sequence[int] = ()) -> bytes:
    """A PPTX of these slides, given as their shapes. The files are numbered against the order of the show."""
    count = len(slides)
    listed = "".join(f'<p:sldId id="{256 + n}" r:id="r{n}"/>' for n in range(count))
    targets = {f"r{n}": f"slides/slide{count - n}.xml" for n in range(count)}
    order = f"<p:sldIdLst>{listed}</p:sldIdLst>"
    parts = {
        "ppt/presentation.xml": f"<p:presentation {_P} {_R}>{order}</p:presentation>",
        "ppt/_rels/presentation.xml.rels": _relations(targets),
    }
    for n, shapes in enumerate(slides):
        unseen = ' show="0"' if n in hidden else ""
        parts[f"ppt/slides/slide{count - n}.xml"] = (
            f"<p:sld {_P} {_A}{unseen}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        )
    return zipped(parts)


def shape(*paragraphs: str, kind: str = "") -> str:
    held = f'<p:nvPr><p:ph type="{kind}"/></p:nvPr>' if kind else "<p:nvPr/>"
    return (
        f"<p:sp><p:nvSpPr>{held}</p:nvSpPr><p:txBody>{''.join(map(_paragraph, paragraphs))}</p:txBody></p:sp>"
    )


def grid(*lines: Sequence[str]) -> str:
    body = "".join(
        "<a:tr>"
        + "".join(f"<a:tc><a:txBody>{_paragraph(cell)}</a:txBody></a:tc>" for cell in line)
        + "</a:tr>"
        for line in lines
    )
    return (
        f'<p:graphicFrame><a:graphic><a:graphicData><a:tbl><a:tblPr firstRow="1"/>{body}</a:tbl>'
        "</a:graphicData></a:graphic></p:graphicFrame>"
    )


def letter(
    text: str,
    *,
    charset: str = "utf-8",
    html: str = "",
    attached: Mapping[str, bytes] = MappingProxyType({}),
    shown: Mapping[str, bytes] = MappingProxyType({}),
    forwarded: bytes = b"",
) -> bytes:
    """`attached` are files by name, `shown` those that the text shows; `forwarded` is a letter."""
    made = EmailMessage()
    made["From"] = "Иван Петров <ivan@clients.example>"
    made["Subject"] = "Условия возврата"
    made.set_content(text, charset=charset)
    if html:
        made.add_alternative(html, subtype="html")
    for name, data in attached.items():
        made.add_attachment(data, "application", "octet-stream", filename=name)
    for name, data in shown.items():
        made.add_attachment(data, "image", "png", filename=name, disposition="inline", cid="<logo>")
    if forwarded:
        made.add_attachment(email.message_from_bytes(forwarded, policy=email.policy.default))
    return bytes(made)


def _paragraph(text: str) -> str:
    return f"<a:p><a:r><a:t>{escape(text)}</a:t></a:r></a:p>"


def _relations(targets: Mapping[str, str]) -> str:
    listed = "".join(f'<Relationship Id="{key}" Target="{target}"/>' for key, target in targets.items())
    return f'<Relationships xmlns="{_RELS}">{listed}</Relationships>'
