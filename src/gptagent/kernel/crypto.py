"""Secrets at rest: envelope encryption with AES-256-GCM.

Every secret gets a data key of its own; the data key is wrapped by the installation's primary key. The
tenant and the purpose are authenticated, so a sealed value moved to another row does not open.
Format: version (1) | key id (4) | nonce (12) | wrapped data key (48) | nonce (12) | ciphertext.
"""

import hashlib
import os
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.secret_keys import SECRET_KEY_BYTES, decode_keys
from gptagent.kernel.settings import Settings

_VERSION = b"\x01"
_NONCE = 12
_WRAPPED = SECRET_KEY_BYTES + 16


class Vault:
    """Seals and opens secrets. The first key seals; older ones still open."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {_key_id(key): key for key in keys}
        self._primary = keys[0]

    @property
    def fingerprint(self) -> str:
        """Name of the primary key, safe to show and store."""
        return _fingerprint(self._primary)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Names of all keys, the primary one first."""
        return tuple(_fingerprint(key) for key in self._keys.values())

    @property
    def key_ids(self) -> tuple[bytes, ...]:
        """What sealed values carry of their key, the primary one first."""
        return tuple(self._keys)

    def seal(self, plaintext: str, *, org_id: UUID, purpose: str) -> bytes:
        data_key = AESGCM.generate_key(SECRET_KEY_BYTES * 8)
        outer, inner = os.urandom(_NONCE), os.urandom(_NONCE)
        context = _context(org_id, purpose)
        return b"".join(
            (
                _VERSION,
                _key_id(self._primary),
                outer,
                AESGCM(self._primary).encrypt(outer, data_key, context),
                inner,
                AESGCM(data_key).encrypt(inner, plaintext.encode(), context),
            )
        )

    def open(self, sealed: bytes, *, org_id: UUID, purpose: str) -> str:
        """Return the secret. Raises Misconfigured if its key is unknown or it was tampered with."""
        key = self._keys.get(sealed[1:5])
        if sealed[:1] != _VERSION or key is None:
            raise Misconfigured(
                "secret_key_missing", "A stored secret was sealed with a key not in SECRET_KEYS."
            )
        context = _context(org_id, purpose)
        body = sealed[5:]
        try:
            data_key = AESGCM(key).decrypt(body[:_NONCE], body[_NONCE : _NONCE + _WRAPPED], context)
            rest = body[_NONCE + _WRAPPED :]
            return AESGCM(data_key).decrypt(rest[:_NONCE], rest[_NONCE:], context).decode()
        except (InvalidTag, ValueError) as error:  # ValueError: it was cut off
            raise Misconfigured("secret_damaged", "A stored secret does not open; enter it again.") from error

    def derive(self, purpose: str, fingerprint: str | None = None) -> bytes:
        """Return 32 bytes for another use (RFC 5869), such as signing access tokens.

        They come from the primary key, or from the one with this fingerprint. Raises KeyError for
        a fingerprint of none.
        """
        keys = {_fingerprint(key): key for key in self._keys.values()}
        key = self._primary if fingerprint is None else keys[fingerprint]
        return HKDF(SHA256(), 32, salt=None, info=f"gptagent:{purpose}".encode()).derive(key)


def load_vault(settings: Settings) -> Vault:
    """Open the installation's keys; outside production a missing key file is made in the home."""
    if (given := settings.given_keys) is not None:
        return Vault(given)
    path = settings.home / "keys" / "secret.keys"
    if not path.exists():
        _create_key_file(path)
    return Vault(decode_keys(path.read_text().strip()))


def _create_key_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b64encode(os.urandom(SECRET_KEY_BYTES)) + b"\n")
    try:
        os.link(part, path)  # fails if another process was first: its key counts
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(b"fingerprint" + key).hexdigest()[:16]


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"key-id" + key).digest()[:4]


def _context(org_id: UUID, purpose: str) -> bytes:
    return b"gptagent|" + org_id.bytes + b"|" + purpose.encode()
