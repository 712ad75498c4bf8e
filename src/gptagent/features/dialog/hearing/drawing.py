"""A customer's picture as a model gets it: upright, of its pixels only, with nothing else of the file.

A photo of a phone tells where it was taken, when, and with which device. That stays here.
"""

import struct
from contextlib import suppress
from io import BytesIO
from threading import Lock

from PIL import Image, ImageOps

from gptagent.features.inference.model import Picture
from gptagent.features.knowledge.parsing import ParseFailed

PIXELS_MAX = 50_000_000  # what phones take; unpacked 200 MB
SIDE_MAX_PIXELS = 4_096  # no provider looks at more
QUALITY = 90  # words on a photo stay sharp
# What is read of each type, and as what it is written: a picture that moves by its first frame.
_KINDS = {
    "image/jpeg": ("JPEG", "JPEG"),
    "image/png": ("PNG", "PNG"),
    "image/gif": ("GIF", "PNG"),
    "image/webp": ("WEBP", "WEBP"),
}
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError)
# What a truncated or made-up note of how a photo was held comes to, besides.
_NOTES_UNREADABLE = (struct.error, SyntaxError, ValueError, TypeError, KeyError, OverflowError)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_ONE_AT_A_TIME = Lock()  # in each process, for the memory it takes


def drawn_anew(content: bytes, mime: str) -> Picture | None:
    """Return the picture; None if it has too many pixels. Raises ParseFailed if it is none of its type.

    Takes the processor's time: not for the event loop.
    """
    read, written = _KINDS[mime]
    try:
        with _ONE_AT_A_TIME, Image.open(BytesIO(content), formats=(read,)) as image:
            if image.width * image.height > PIXELS_MAX:
                return None
            image.draft("RGB", (SIDE_MAX_PIXELS, SIDE_MAX_PIXELS))  # a JPEG is read at a fraction of its size
            return Picture(Image.MIME[written], _written(_pixels(image), written))
    except _BOMBS:
        return None
    except _UNREADABLE as error:
        raise ParseFailed("damaged") from error


def _pixels(image: Image.Image) -> Image.Image:
    """Return them alone. Of the picture in its full size there are no copies: each takes 200 MB."""
    image.load()
    with suppress(*_NOTES_UNREADABLE):  # the picture is whole all the same
        ImageOps.exif_transpose(image, in_place=True)
    mode = "RGBA" if image.has_transparency_data else ("L" if image.mode in {"1", "L"} else "RGB")
    small = image if image.mode == mode else image.convert(mode)
    small.thumbnail((SIDE_MAX_PIXELS, SIDE_MAX_PIXELS))
    plain = small.copy()
    plain.info.clear()  # comments, profiles and times go along with what is written otherwise
    return plain


def _written(image: Image.Image, kind: str) -> bytes:
    out = BytesIO()
    image.save(out, kind, **({} if kind == "PNG" else {"quality": QUALITY}))
    return out.getvalue()
