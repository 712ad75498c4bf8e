"""What a person is called and looks like."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from uuid import UUID

from PIL import Image, ImageOps

from gptagent.features.identity import store
from gptagent.features.identity.model import (
    AVATAR_MAX_BYTES,
    AVATAR_MAX_PIXELS,
    AVATAR_SIDE_PIXELS,
    name_faults,
)
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import FieldError, Invalid, TooLarge
from gptagent.kernel.files import FileStore
from gptagent.kernel.i18n import LOCALES
from gptagent.kernel.ids import new_token

FORMATS = ("PNG", "JPEG", "WEBP")
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True, slots=True)
class ProfileChanges:
    """What is None stays as it is."""

    given_name: str | None = field(default=None, repr=False)
    family_name: str | None = field(default=None, repr=False)
    locale: str | None = None


async def update_profile(session: Session, person_id: UUID, changes: ProfileChanges) -> None:
    """Raise Invalid naming every wrong field."""
    given, family = changes.given_name, changes.family_name
    faults = name_faults(given, family)
    if changes.locale is not None and changes.locale not in LOCALES:
        faults.append(FieldError("locale", "Choose one of the languages."))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    if given is not None or family is not None:
        names = (name if name is None else name.strip() for name in (given, family))
        await store.update_names(session, person_id, *names)
    if changes.locale is not None:
        await store.update_locale(session, person_id, changes.locale)


async def set_avatar(db: Database, files: FileStore, person_id: UUID, content: bytes) -> None:
    """Keep the picture, cut to a square and written anew. Raises TooLarge, Invalid on `file`."""
    if len(content) > AVATAR_MAX_BYTES:
        raise TooLarge(
            "picture_too_large",
            "The picture is larger than {limit} MB.",
            params={"limit": AVATAR_MAX_BYTES // 1_000_000},
        )
    async with _one_at_a_time():
        square = await asyncio.to_thread(square_picture, content)
    key = f"people:{person_id.hex}:avatar-{new_token(9).replace('_', 'A')}"
    await files.put(key, _chunk(square), max_bytes=AVATAR_MAX_BYTES)
    try:
        async with db.installation(person_id) as session:
            before = await store.replace_avatar(session, person_id, key)
    except BaseException:
        await files.delete(key)
        raise
    if before:
        await files.delete(before)


async def remove_avatar(db: Database, files: FileStore, person_id: UUID) -> None:
    """Forget the picture; without one nothing happens."""
    async with db.installation(person_id) as session:
        before = await store.replace_avatar(session, person_id, None)
    if before:
        await files.delete(before)


def square_picture(content: bytes) -> bytes:
    """Return the middle of a PNG, JPEG or WebP as a square WebP without anything else the file held.

    What kind of file it is, its content says. Raises Invalid on `file`.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > AVATAR_MAX_PIXELS:
                raise Invalid.field("file", "The picture has too many pixels. Make it smaller first.")
            side = (AVATAR_SIDE_PIXELS, AVATAR_SIDE_PIXELS)
            image.draft("RGB", (2 * side[0], 2 * side[1]))  # a JPEG is read at a fraction of its size
            upright = ImageOps.exif_transpose(image)
            square = ImageOps.fit(upright.convert("RGBA"), side)
    except _UNREADABLE as error:
        raise Invalid.field("file", "This is not a picture. Choose a PNG, JPEG or WebP file.") from error
    written = BytesIO()
    square.save(written, "WEBP", quality=85)
    return written.getvalue()


@cache
def _one_at_a_time() -> asyncio.Semaphore:
    """An opened picture takes up to 200 MB: one at a time in each process."""
    return asyncio.Semaphore(1)


async def _chunk(content: bytes) -> AsyncIterator[bytes]:
    yield content
