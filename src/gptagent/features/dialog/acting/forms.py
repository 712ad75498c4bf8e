"""What the tools of a model are made of: schemas of their arguments, and how words are read. Pure."""

from collections.abc import Mapping

from gptagent.features.dialog.acting.model import Declined

TEXT_MAX_CHARS = 1_000
SUBJECT_MAX_CHARS = 150
Schema = Mapping[str, object]
# What a call comes to: the action's fields, and what a person reads.
Read = tuple[dict[str, object], str]


def text_form(about: str, most: int = TEXT_MAX_CHARS) -> Schema:
    return {"type": "string", "description": about, "maxLength": most}


def words(value: object, most: int, *, required: bool = True) -> str:
    """Return at most so many characters of what a model wrote. Raises Declined if there are none."""
    text = value.replace("\0", "").strip() if isinstance(value, str) else ""
    if required and not text:
        raise wrong()
    return text[:most]


def wrong() -> Declined:
    return Declined("argument_invalid")


def idle() -> Declined:
    return Declined("nothing_to_do")
