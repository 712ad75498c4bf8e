"""What becomes of a model's words before they are recorded: as plain text, no longer than asked for."""

import re
from dataclasses import replace

from gptagent.features.agents.model import Settings
from gptagent.features.dialog.model import Answer

_FENCE = re.compile(r"^[ \t]*```.*\n?", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+", re.MULTILINE)
_BULLET = re.compile(r"^([ \t]*)[*+][ \t]+", re.MULTILINE)
_QUOTE = re.compile(r"^[ \t]*>[ \t]?", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\]\n]+)\]\(\s*([^)\s]+)(?:\s+\"[^\"\n]*\")?\s*\)")
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_SLANTED = re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*(?![\w*])")
_CODE = re.compile(r"`([^`\n]+)`")
_SENTENCE_END = re.compile(r"[.!?…](?=[\s»”\")]|$)|\n")
ELLIPSIS = "…"


def worded(answer: Answer, settings: Settings) -> Answer:
    """Return a model's reply as the agent's settings want it; other answers are fixed texts and stay."""
    if answer.outcome != "reply":
        return answer
    text = answer.text if settings.markdown else plain(answer.text)
    if settings.reply_max_chars is not None:
        text = shortened(text, settings.reply_max_chars)
    return replace(answer, text=text)


def welcoming(answer: Answer, welcome: str) -> Answer:
    """Return the answer with the welcome above it."""
    return replace(answer, text=f"{welcome}\n\n{answer.text}") if welcome and answer.text else answer


def plain(text: str) -> str:
    """Return the text without the signs of Markdown; of a link its words and its address stay."""
    for pattern, by in ((_FENCE, ""), (_HEADING, ""), (_BULLET, r"\1- "), (_QUOTE, "")):
        text = pattern.sub(by, text)
    text = _LINK.sub(lambda link: link[2] if link[1] == link[2] else f"{link[1]} ({link[2]})", text)
    for pattern, by in ((_STRONG, r"\2"), (_SLANTED, r"\1"), (_CODE, r"\1")):
        text = pattern.sub(by, text)
    return text.strip()


def shortened(text: str, limit: int) -> str:
    """Return at most `limit` characters: whole sentences, or whole words where the first one is longer."""
    if len(text) <= limit:
        return text
    ends = [end.end() for end in _SENTENCE_END.finditer(text) if end.end() <= limit]
    whole = text[: ends[-1]].strip() if ends else ""
    if whole:
        return whole
    room = limit - len(ELLIPSIS)
    space = text.rfind(" ", 0, room + 1)
    return text[: space if space > 0 else room].rstrip() + ELLIPSIS
