"""A long reply as several messages of a chat: where it is cut; pure."""

import re

SPLIT_MIN_CHARS = 280  # what is shorter is one message
PART_CHARS = 350  # at which a part is ended, later in a text that has more for all of them
PARTS_MAX = 3

_PARAGRAPHS = re.compile(r"\n[ \t]*\n+")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[ \t]+(?=[^\W\d_]|[«“\"(])")
_GOES_ON = re.compile(r":\s*$")  # what is announced stands below it


def cut(text: str) -> tuple[str, ...]:
    """Return the reply's messages in order: one, or up to PARTS_MAX of whole paragraphs and sentences.

    A list, a quotation and what is announced by a colon stay together. Together the parts say every word of
    the text in its order.
    """
    text = text.strip()
    if len(text) < SPLIT_MIN_CHARS:
        return (text,)
    room = max(PART_CHARS, -(-len(text) // PARTS_MAX))
    parts: list[str] = []
    for piece in _whole(_pieces(text)):
        if parts and (len(parts[-1]) + len(piece) <= room or len(parts) == PARTS_MAX):
            parts[-1] += piece
        else:
            parts.append(piece)
    return tuple(stripped for part in parts if (stripped := part.strip()))


def _pieces(text: str) -> list[str]:
    """Return the smallest pieces that may stand alone, each with the space behind it."""
    found: list[str] = []
    at = 0
    for gap in [*_PARAGRAPHS.finditer(text), None]:
        end = len(text) if gap is None else gap.end()
        paragraph, at = text[at:end], end
        found += _sentences(paragraph) if _is_prose(paragraph) else [paragraph]
    return found


def _whole(pieces: list[str]) -> list[str]:
    """Join what announces something to what it announces."""
    found: list[str] = []
    for piece in pieces:
        if found and _GOES_ON.search(found[-1]):
            found[-1] += piece
        else:
            found.append(piece)
    return found


def _is_prose(paragraph: str) -> bool:
    """Whether it may be cut between its sentences: it is long, has no lines of its own and quotes nothing."""
    plain = paragraph.strip()
    return len(plain) > PART_CHARS and "\n" not in plain and not plain.startswith(("«", "“", '"', ">", "`"))


def _sentences(paragraph: str) -> list[str]:
    found: list[str] = []
    at = 0
    for gap in _SENTENCE_END.finditer(paragraph):
        found.append(paragraph[at : gap.end()])
        at = gap.end()
    return [*found, paragraph[at:]]
