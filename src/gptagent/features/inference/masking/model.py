"""Kinds of personal data, and which of them a workspace keeps from providers of models."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

# In the order in which they are looked for: what has a checksum before what has only a form.
Kind = Literal["email", "iban", "card", "snils", "passport", "inn", "phone"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Found:
    """Where something stands in a text and how it is written; `key` is the same for all ways to write it."""

    kind: Kind
    start: int
    end: int
    text: str
    key: str

    def overlaps(self, other: "Found") -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Masking:
    """What no provider is told; a workspace that has chosen nothing keeps all kinds to itself."""

    kinds: tuple[Kind, ...] = KINDS
    version: int = 0
    updated_at: datetime | None = None
