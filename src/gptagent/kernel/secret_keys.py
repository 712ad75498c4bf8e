"""The keys that seal stored secrets, as an operator gives them: checked before anything is sealed."""

import base64
import binascii
import re
import stat
from itertools import pairwise
from pathlib import Path

SECRET_KEY_BYTES = 32
# Of 32 random bytes about 30 differ. Fewer than 16 do once in 10^20 keys, and often in typed ones.
MIN_DIFFERENT_BYTES = 16
MAKE_ONE = "openssl rand -base64 32"


def decode_keys(text: str, name: str = "SECRET_KEYS") -> list[bytes]:
    """Decode base64 keys separated by commas or line ends; the first one seals.

    Raises ValueError with a sentence that names `name` and never a key.
    """
    keys = []
    for part in filter(None, re.split(r"[,\s]+", text)):
        try:
            key = base64.b64decode(part, validate=True)
        except binascii.Error as error:
            raise ValueError(f"{name} must be base64 (make one with: {MAKE_ONE})") from error
        if fault := weakness(key):
            raise ValueError(f"each of {name} must be 32 random bytes ({MAKE_ONE}): one {fault}")
        keys.append(key)
    if not keys:
        raise ValueError(f"{name} is empty (make one with: {MAKE_ONE})")
    if len(set(keys)) < len(keys):
        raise ValueError(f"{name} has the same key twice")
    return keys


def weakness(key: bytes) -> str | None:
    """Return why nobody drew this key at random, or None if it may be random."""
    if len(key) != SECRET_KEY_BYTES:
        return f"has {len(key)} bytes"
    if any(key == (key[:size] * SECRET_KEY_BYTES)[:SECRET_KEY_BYTES] for size in range(1, 17)):
        return "repeats itself"
    if len(set(key)) < MIN_DIFFERENT_BYTES:
        return "has hardly any different bytes"
    if len({(after - before) % 256 for before, after in pairwise(key)}) == 1:
        return "is a sequence"
    if all(32 <= byte < 127 for byte in key):
        return "is a text"
    return None


def read_key_file(path: Path, *, private: bool) -> list[bytes]:
    """Read keys from a file. With `private` the file must be out of others' reach.

    Raises ValueError with a sentence that names SECRET_KEYS_FILE and never a key.
    """
    name = "SECRET_KEYS_FILE"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name} cannot be read ({type(error).__name__})") from error
    if private and mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        raise ValueError(f"{name} is open to others (mode {mode:03o}): chmod 600 it, or 640 for one group")
    return decode_keys(text, name)
