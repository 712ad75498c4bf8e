"""Identifiers: UUIDv7 (RFC 9562), ordered by time, so that indexes grow at their end."""

import os
import secrets
import time
from uuid import UUID


def new_id() -> UUID:
    """Return a UUIDv7: 48 bits of Unix milliseconds, the rest random."""
    millis = time.time_ns() // 1_000_000
    value = (millis << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)


def new_token(bytes_: int = 32) -> str:
    """Return an unguessable URL-safe token."""
    return secrets.token_urlsafe(bytes_)
