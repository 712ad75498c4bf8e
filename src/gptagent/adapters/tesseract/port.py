"""Runs Tesseract on one page at a time, under the limits of whatever reads files of strangers."""

import asyncio
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE

from gptagent.features.knowledge.parsing.limits import OUTPUT_MAX_BYTES, RECOGNISING_SECONDS
from gptagent.features.knowledge.parsing.parent import end, ended
from gptagent.features.knowledge.parsing.result import ParseFailed

LANGUAGES = ("rus", "eng")
_CHILD = "gptagent.adapters.tesseract.child"
_LISTING_SECONDS = 30


class Tesseract:
    """`program` is looked for on the path; which of the languages are installed is asked once."""

    def __init__(self, program: str = "tesseract") -> None:
        self._program = shutil.which(program)
        self._languages: tuple[str, ...] | None = None

    async def is_ready(self) -> bool:
        if self._languages is None:
            self._languages = await self._installed() if self._program else ()
        return bool(self._languages)

    async def recognise(self, graymap: bytes) -> str:
        """Return the text on a portable graymap. Raises ParseFailed if that takes too long, or fails."""
        if not await self.is_ready():
            raise ParseFailed("no_recognition")
        languages = "+".join(self._languages or ())
        return await self._run(graymap, "stdin", "stdout", "-l", languages, "--dpi", "300", "--psm", "3")

    async def _installed(self) -> tuple[str, ...]:
        try:
            listed = await self._run(b"", "--list-langs", seconds=_LISTING_SECONDS)
        except ParseFailed:
            return ()
        return tuple(language for language in LANGUAGES if language in listed.split())

    async def _run(self, given: bytes, *arguments: str, seconds: float = RECOGNISING_SECONDS) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", _CHILD, self._program or "", *arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(seconds):
                output, _ = await process.communicate(given)
        except TimeoutError as error:
            raise ParseFailed("too_complex") from error
        finally:
            await end(process)
        if process.returncode:
            raise ended(process.returncode)
        return (
            output[:OUTPUT_MAX_BYTES].decode("utf-8", errors="replace").replace("\f", "\n").replace("\0", " ")
        )
