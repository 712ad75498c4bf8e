"""What parsing ends in."""

from dataclasses import dataclass

from gptagent.features.knowledge.chunking import Fragment
from gptagent.features.knowledge.model import FAILURES, Unread


@dataclass(frozen=True, slots=True)
class Scan:
    """A picture of a text, which is drawn by its `number`, and where what it says is to stand."""

    number: int
    heading: str = ""
    page: int | None = None


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """`pages` is None for formats without pages. `scans` are the pages that are pictures of a text."""

    fragments: tuple[Fragment, ...]
    pages: int | None
    scans: tuple[Scan, ...] = ()
    unread: tuple[Unread, ...] = ()


class Interrupted(Exception):  # noqa: N818 - the name states what happened
    """A file was not read, and it is not the file's fault: it is to be read again.

    Its reader was stopped from outside, as a restart does, or `is_outdated`: another release lies on the disk
    than the one that this process runs, so it is to be read by a process that was started since.
    """

    def __init__(self, *, is_outdated: bool = False) -> None:
        super().__init__("outdated" if is_outdated else "stopped")
        self.is_outdated = is_outdated


class ParseFailed(Exception):  # noqa: N818 - the name states what happened
    """`code` is a key of model.FAILURES, `message` its English template."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = FAILURES[code]
