"""Hashes of tokens: random enough that no salt and no slow function is needed."""

import hashlib


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
