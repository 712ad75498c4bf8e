"""What knowledge asks of the outside."""

from typing import Protocol


class Recogniser(Protocol):
    """Reads the text on a picture."""

    async def is_ready(self) -> bool:
        """Tell whether it is installed here."""
        ...

    async def recognise(self, graymap: bytes) -> str:
        """Return the text on a portable graymap (PGM), in lines as they stand. Raises ParseFailed."""
        ...
