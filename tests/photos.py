"""Photos as phones take them: with the place, the device and words of whoever took them."""

from io import BytesIO

from PIL import Image
from PIL.PngImagePlugin import PngInfo

DEVICE = b"Pocketphone 8"
PLACE = (55.0, 45.0, 21.0)
_MAKE, _ORIENTATION, _GPS = 0x010F, 0x0112, 0x8825
_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">taken by Ann</x:xmpmeta>'


def photo(kind="JPEG", *, orientation=1):
    """Return a picture that is red in its left half and blue in its right one."""
    image = Image.new("RGB", (40, 20), "red")
    image.paste(Image.new("RGB", (20, 20), "blue"), (20, 0))
    exif = Image.Exif()
    exif[_MAKE], exif[_ORIENTATION] = DEVICE.decode(), orientation
    exif[_GPS] = {1: "N", 2: PLACE, 3: "E", 4: (37.0, 37.0, 3.0)}
    told = PngInfo()
    told.add_text("Comment", "taken by Ann")
    more = {"JPEG": {"comment": "taken by Ann", "xmp": _XMP}, "PNG": {"pnginfo": told}, "WEBP": {"xmp": _XMP}}
    out = BytesIO()
    image.save(out, kind, exif=exif, icc_profile=b"ICC of " + DEVICE, **more[kind])
    return out.getvalue()
