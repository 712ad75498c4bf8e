"""Uploaded files, stored by key. Keys come from `scope.key(...)`, so no tenant can name another's file."""

import asyncio
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gptagent.kernel.errors import NotFound, TooLarge
from gptagent.kernel.ids import new_token

# No part begins with a dot: `.` and `..` are folders, and half-written files are hidden by one.
_PART = r"[0-9a-zA-Z_\-][0-9a-zA-Z_.\-]*"
_KEY = re.compile(rf"{_PART}(:{_PART})*")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`sha256` in hex."""

    key: str
    size_bytes: int
    sha256: str


class FileStore(Protocol):
    async def put(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> StoredFile:
        """Store the stream under the key. Raises TooLarge (nothing is kept) past `max_bytes`."""
        ...

    async def open_path(self, key: str) -> Path:
        """Return a local path to read the file from. Raises NotFound."""
        ...

    async def delete(self, key: str) -> None:
        """Forget the file; a missing one is no error."""
        ...

    async def delete_below(self, prefix: str) -> None:
        """Forget every file whose key is `prefix`, a colon, and more."""
        ...


class LocalFiles:
    """A folder of this machine (FILES_URL=file://...)."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, max_bytes: int) -> StoredFile:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f".{path.name}.{new_token(6)}")
        digest, size = hashlib.sha256(), 0
        try:
            with part.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > max_bytes:
                        raise TooLarge(
                            "file_too_large",
                            "The file is larger than {limit} MB.",
                            params={"limit": max_bytes // 1_000_000},
                        )
                    digest.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return StoredFile(key, size, digest.hexdigest())

    async def open_path(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise NotFound("file_not_found", "The file is no longer there.")
        return path

    async def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    async def delete_below(self, prefix: str) -> None:
        folder = self._path(prefix)
        if folder.is_dir():
            await asyncio.to_thread(shutil.rmtree, folder)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError("not a key of the file store")
        return self._root.joinpath(*key.split(":"))
