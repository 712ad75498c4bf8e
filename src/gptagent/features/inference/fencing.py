"""Texts of others inside a prompt: they stay what they are, data in a block of ours."""

import re

_TAG = "[\U000e0000-\U000e007f]"
_BLACK_FLAG = "\U0001f3f4"
# What makes it the flag of England, Scotland or Wales: the only ones in Unicode's own list.
_LAND = (
    "\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074"
    "|\U000e0077\U000e006c\U000e0073)\U000e007f"
)
_SELECTOR = "[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
# Signs that nobody sees and a model reads: of no width, of another direction, the letters of "tags" except
# those of one of the flags, and the selectors of variants behind another one.
# Emoji are joined by U+200D, which stays where it is part of one.
HIDDEN = re.compile(
    f"(?:(?<!{_BLACK_FLAG})(?<!{_TAG})|(?<={_BLACK_FLAG})(?!{_LAND})|(?<={_BLACK_FLAG}{_LAND})){_TAG}+"
    f"|(?<={_SELECTOR}){_SELECTOR}+"
    "|[\u200b\u200c\u2060-\u2064\u180e\ufeff\u202a-\u202e\u2066-\u2069\u206a-\u206f]"
    "|(?<=[^\\W_])\u200d(?=[^\\W_])"
)
# Whatever could be taken for one of our blocks, or for a turn of the dialogue, by any model.
FENCE = re.compile(
    r"(?i)[<\uff1c\ufe64](?=[^\w<>]{0,8}(?:passage|deal|contact|company|memory|script|known|message|question|answer|reply|rule|goal"
    r"|system|assistant|tool|im_start|im_end|endoftext)\b|\|)"
)


def as_data(text: str) -> str:
    """Return a text as it may stand in a prompt: it cannot close its block, open one, or hide anything."""
    return FENCE.sub("‹", visible(text))


def visible(text: str) -> str:
    """Return the text without the signs that nobody sees."""
    return HIDDEN.sub("", text)
