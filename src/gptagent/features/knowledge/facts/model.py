"""Facts about the company."""

from dataclasses import dataclass
from datetime import datetime

FACTS_MAX_CHARS = 4_000  # they are paid for with every answer


@dataclass(frozen=True, slots=True)
class CompanyFacts:
    """`version` is 0 as long as nothing was ever written."""

    content: str = ""
    version: int = 0
    updated_at: datetime | None = None
