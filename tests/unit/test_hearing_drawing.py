"""What a model that looks at pictures is given: the pixels, upright, and nothing else of the file."""

import subprocess
import sys
from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gptagent.features.dialog.hearing.drawing import PIXELS_MAX, SIDE_MAX_PIXELS, drawn_anew
from gptagent.features.knowledge.parsing import ParseFailed
from photos import DEVICE, PLACE, photo

RED, BLUE = (250, 10, 10), (10, 10, 250)


def opened(picture):
    with Image.open(BytesIO(picture.content)) as image:
        image.load()
        return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_place_device_and_comments_of_a_photo_are_gone_and_it_stands_upright(kind):
    """MSG-25, SEC: orientation 6 is a phone held upright: what is left in the file is above."""
    content = photo(kind, orientation=6)
    assert DEVICE in content
    assert Image.open(BytesIO(content)).getexif().get_ifd(0x8825)[2] == PLACE
    picture = drawn_anew(content, f"image/{kind.lower()}")
    assert picture.mime == f"image/{kind.lower()}"
    for trace in (DEVICE, b"Exif", b"eXIf", b"EXIF", b"xmp", b"taken by", b"ICC"):
        assert trace not in picture.content
    image = opened(picture)
    assert not image.getexif()
    assert (image.width, image.height) == (20, 40)
    above, below = (image.convert("RGB").getpixel((10, y)) for y in (5, 35))
    assert above[0] > above[2] and below[2] > below[0]


def test_of_a_picture_that_moves_the_first_frame_is_shown_and_a_clear_one_stays_clear():
    frames, out = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)], BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], comment=b"taken by Ann")
    picture = drawn_anew(out.getvalue(), "image/gif")
    assert picture.mime == "image/png" and b"taken by" not in picture.content
    assert opened(picture).convert("RGB").getpixel((4, 4))[0] > 200
    out, told = BytesIO(), PngInfo()
    told.add_text("Author", "taken by Ann")
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(out, "PNG", pnginfo=told)
    picture = drawn_anew(out.getvalue(), "image/png")
    assert b"taken by" not in picture.content and opened(picture).getpixel((4, 4))[3] == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_whose_notes_are_cut_off_is_shown_as_it_lies(kind):
    out = BytesIO()
    Image.new("RGB", (40, 20), RED).save(out, kind, exif=b"Exif\0\0MM\0*\0", dpi=(72, 72))
    image = opened(drawn_anew(out.getvalue(), f"image/{kind.lower()}"))
    assert (image.width, image.height) == (40, 20)


WEIGHED = """
import resource, sys
from gptagent.features.dialog.hearing.drawing import drawn_anew
weigh = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = weigh()
assert drawn_anew(open(sys.argv[1], "rb").read(), "image/png") is not None
print((weigh() - before) // 1_000)
"""


def test_a_picture_lies_in_the_memory_once_in_its_full_size(tmp_path):
    """In grey 49 MB, in colours four times as much, in a process that answers customers."""
    Image.new("L", (7_000, 7_000)).save(tmp_path / "large.png")
    command = [sys.executable, "-c", WEIGHED, str(tmp_path / "large.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150


def test_what_is_damaged_of_another_type_or_too_large_is_not_shown():
    with pytest.raises(ParseFailed):
        drawn_anew(photo("JPEG")[:200], "image/jpeg")
    with pytest.raises(ParseFailed):
        drawn_anew(photo("PNG"), "image/jpeg")
    out = BytesIO()
    Image.new("1", (PIXELS_MAX // 5_000 + 1, 5_000)).save(out, "PNG")
    assert drawn_anew(out.getvalue(), "image/png") is None
    out = BytesIO()
    Image.new("1", (SIDE_MAX_PIXELS * 2, 16)).save(out, "PNG")
    assert opened(drawn_anew(out.getvalue(), "image/png")).width == SIDE_MAX_PIXELS
