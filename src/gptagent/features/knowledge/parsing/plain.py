"""Plain text and Markdown to sections."""

import codecs
import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from gptagent.features.knowledge.chunking import Section
from gptagent.features.knowledge.parsing.result import ParseFailed
from gptagent.features.knowledge.parsing.tables import Row, lines_of, row_of

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What a file may declare. They are loaded before the file is read: later Python's own folder is out of reach.
CODECS = frozenset(
    (
        "utf-8", "utf8", "us-ascii", "windows-1250", "windows-1251", "windows-1252", "windows-1254", "cp1251",
        "cp866", "ibm866", "koi8-r", "koi8-u", "iso-8859-1", "iso-8859-2", "iso-8859-5", "iso-8859-15",
        "utf-16", "utf-16le", "utf-16be", "gb2312", "gbk", "big5", "shift-jis", "euc-jp", "euc-kr",
    )
)  # fmt: skip
_GUESS_FROM_BYTES = 200_000
_CYRILLIC = ("cp1251", "koi8_r", "cp866")

_WRAPPED_SHARE = 0.75  # of the page's longest line: a shorter line ends its paragraph
_SENTENCE_ENDS = (".", "!", "?", ":", ";", "…")


def decode(raw: bytes, declared: str | None = None) -> str:
    """Return the text of a file in UTF-8, UTF-16 or a legacy encoding. Raises ParseFailed if none fits.

    What a file declares of itself counts where it is one of CODECS and nothing speaks against it.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return raw.decode(encoding, errors="replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return _decode_declared(raw, declared) or _decode_legacy(raw)


def _decode_declared(raw: bytes, declared: str | None) -> str | None:
    if declared is None or declared.lower().replace("_", "-") not in CODECS:
        return None
    try:
        return raw.decode(declared)
    except UnicodeDecodeError:
        return None


def _decode_legacy(raw: bytes) -> str:
    from charset_normalizer import from_bytes

    cyrillic = _cyrillic(raw[:_GUESS_FROM_BYTES])
    if cyrillic is not None:
        return raw.decode(cyrillic, errors="replace")
    best = from_bytes(raw[:_GUESS_FROM_BYTES]).best()
    if best is None:
        raise ParseFailed("type_mismatch")
    return raw.decode(best.encoding, errors="replace")


def _cyrillic(sample: bytes) -> str | None:
    """Return the encoding in which the sample reads like Russian: mostly small letters, the common ones.

    A general detector takes short cp1251 and koi8-r texts for each other or for Greek.
    """
    best, share = None, 0.0
    for encoding in _CYRILLIC:
        text = sample.decode(encoding, errors="replace")
        letters = [c for c in text if c.isalpha() and not c.isascii()]
        if letters:
            common = sum(c in "оеаинтсрвл" for c in letters) / len(letters)
            if common > share:
                best, share = encoding, common
    return best if share > 0.4 else None


def read_text(text: str) -> Iterator[Section]:
    yield Section(0, "", text)


def read_markdown(source: str) -> Iterator[Section]:
    """Yield a section per heading with its words, free of Markdown's marks; a table's row is a line."""
    level, heading, lines = 0, "", list[str]()
    tokens = _parser().parse(source)
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            yield Section(level, heading, "\n".join(lines))
            level, heading, lines = int(token.tag[1]), _words(tokens[index + 1]), []
        elif token.type == "table_open":
            lines += lines_of(_table(tokens, index), headed=True)
        elif token.type in {"fence", "code_block"}:
            lines.append(token.content.rstrip("\n"))
        elif token.type == "inline" and tokens[index - 1].type not in {"heading_open", "th_open", "td_open"}:
            lines.append(_words(token))
        elif token.type == "paragraph_open" and lines and not token.hidden:
            lines.append("")
    yield Section(level, heading, "\n".join(lines))


def _table(tokens: list[Token], start: int) -> Iterator[Row]:
    cells: list[str] = []
    for token in tokens[start + 1 :]:
        if token.type == "table_close":
            break
        if token.type == "inline":
            cells.append(_words(token))
        elif token.type == "tr_close":
            yield row_of(cells)
            cells = []


def _words(inline: Token) -> str:
    parts = []
    for child in inline.children or ():
        if child.type == "softbreak":
            parts.append(" ")
        elif child.type == "hardbreak":
            parts.append("\n")
        else:
            parts.append(child.content)
    return "".join(parts)


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def unwrap(text: str) -> str:
    """Return paragraphs as single lines: PDF knows only lines. Words divided at a line's end are joined."""
    whole = re.sub(r"[\u00ad\ufffe\x02]\r?\n?", "", text)  # PDFium's marks of a divided word
    lines = [line.strip() for line in whole.splitlines()]
    width = max((len(line) for line in lines), default=0)
    joined: list[str] = []
    for previous, line in zip(["", *lines], lines, strict=False):
        if joined and line and _continues(previous, line, width):
            joined[-1] = f"{joined[-1]} {line}"
        else:
            joined.append(line)
    return "\n".join(joined)


def _continues(previous: str, line: str, width: int) -> bool:
    if not previous or previous.endswith(_SENTENCE_ENDS):
        return False
    return line[0].islower() or len(previous) >= width * _WRAPPED_SHARE
