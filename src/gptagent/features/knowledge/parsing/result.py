"""What parsing ends in."""

from dataclasses import dataclass

from gptagent.features.knowledge.chunking import Fragment
from gptagent.features.knowledge.model import FAILURES


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """`pages` is None for formats without pages."""

    fragments: tuple[Fragment, ...]
    pages: int | None


class ParseFailed(Exception):  # noqa: N818 - the name states what happened
    """`code` is a key of model.FAILURES, `message` its English template."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = FAILURES[code]
