"""Letters some of whose headers break the standard library's reader: it reads the letter for all that."""

import re
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy
from typing import BinaryIO, cast

from gptagent.features.knowledge.model import entry_name
from gptagent.features.knowledge.parsing.limits import PARTS_DEPTH_MAX
from gptagent.features.knowledge.parsing.result import ParseFailed

_READ = frozenset({"content-type", "content-disposition", "content-transfer-encoding"})
_NAME = re.compile(r"name[*0-9]{0,4}\s{0,9}=\s{0,9}\"?([^\";\r\n]{1,300})", re.IGNORECASE)


class Part(EmailMessage):
    """`unreadable` is what a part is called whose headers say nothing that can be read."""

    unreadable: str | None = None


class _Strict(EmailPolicy):
    """As the standard library reads headers, exceptions and all."""

    def is_read(self, name: str, value: str) -> bool:
        try:
            str(self.header_fetch_parse(name, value))
        except Exception:  # noqa: BLE001 - any: its reader was not made for what programs send
            return False
        return True


_STRICT = _Strict()


class _Lenient(EmailPolicy):
    """A header that cannot be read is an empty one."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        try:
            return cast("str", super().header_fetch_parse(name, value))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - as above
            return cast("str", self.header_factory(name, ""))


def parse_letter(file: BinaryIO) -> EmailMessage:
    """Read a letter. A part of it whose own headers cannot be read is an attachment, and `unreadable`.

    Raises ParseFailed for one so deep that the library, which calls itself, would lose its text.
    """
    policy = _Lenient(message_factory=Part)
    letter = cast("Part", BytesParser(policy=policy).parse(file))
    parts = [(part, 1) for part in held_by(letter)]
    while parts:
        part, depth = parts.pop()
        if depth > PARTS_DEPTH_MAX:
            raise ParseFailed("too_complex")
        parts += [(one, depth + 1) for one in held_by(part)]
        if part.get_content_maintype() != "multipart" and not _is_read(part):
            part.unreadable = entry_name(" ".join(_named(part)))
            for name in _READ:
                del part[name]
            part["Content-Disposition"] = "attachment"
    return letter


def held_by(part: EmailMessage) -> list[Part]:
    """Return the parts of a part, whatever it says it is."""
    held = part.get_payload()
    return [one for one in held if isinstance(one, Part)] if isinstance(held, list) else []


def _is_read(part: EmailMessage) -> bool:
    return all(_STRICT.is_read(name, value) for name, value in _raw(part))


def _raw(part: EmailMessage) -> Iterator[tuple[str, str]]:
    for name, value in part.raw_items():
        if name.lower() in _READ:
            yield name, str(value)


def _named(part: EmailMessage) -> Iterator[str]:
    for _name, value in _raw(part):
        if found := _NAME.search(value):
            yield found[1].strip()
            return
