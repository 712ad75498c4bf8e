"""Texts of others inside a prompt: they stay what they are, data in a block of ours."""

import re

# Signs that nobody sees and a model reads: of no width, of another direction, and the letters of "tags".
# Emoji are joined by U+200D and flags are written with tags, which stay where they are part of one.
HIDDEN = re.compile(
    "(?<!\U0001f3f4)(?<![\U000e0020-\U000e007f])[\U000e0000-\U000e007f]+"
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
