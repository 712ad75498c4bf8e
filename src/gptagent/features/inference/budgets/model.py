"""Limits of what models may cost, and what has been used of them."""

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

Level = Literal["workspace", "agent", "contact"]
LEVELS: tuple[Level, ...] = get_args(Level)
Period = Literal["day", "month"]
PERIODS: tuple[Period, ...] = get_args(Period)
# What becomes of a question for which there is no money left: the base is quoted, or a person is asked.
Degrade = Literal["quote", "hand_off"]
DEGRADES: tuple[Degrade, ...] = get_args(Degrade)

LIMIT_MAX = 1_000_000_000  # cents or tokens
MICRO_PER_CENT = 10_000
WARN_AT_PERCENT = 80
# Longer than a call with all its attempts: the process of one that still holds then was killed.
HOLD_FOR = timedelta(minutes=2)
EXHAUSTED = "budget_exhausted"


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so many US cents or tokens in a day or month, by UTC; None: any number.

    A call of a model without a known price counts in tokens only.
    """

    day_cents: int | None = None
    month_cents: int | None = None
    day_tokens: int | None = None
    month_tokens: int | None = None

    def of(self, period: Period) -> "Ceiling":
        cents, tokens = (
            (self.day_cents, self.day_tokens) if period == "day" else (self.month_cents, self.month_tokens)
        )
        return Ceiling(None if cents is None else cents * MICRO_PER_CENT, tokens)

    @property
    def is_set(self) -> bool:
        return any(getattr(self, one.name) is not None for one in fields(self))


@dataclass(frozen=True, slots=True)
class Amount:
    """Millionths of a US dollar, and tokens."""

    micro_usd: int = 0
    tokens: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.micro_usd + other.micro_usd, self.tokens + other.tokens)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most of one period; None: any number."""

    micro_usd: int | None = None
    tokens: int | None = None

    def percent(self, used: Amount) -> int:
        """Return how much of it is used, of money or of tokens, whichever is more; 0 without a limit."""
        return max(_percent(used.micro_usd, self.micro_usd), _percent(used.tokens, self.tokens))

    def is_reached(self, used: Amount) -> bool:
        return self.percent(used) >= 100


@dataclass(frozen=True, slots=True)
class Budgets:
    """What a workspace has set: for all its calls together, and for those about any one contact."""

    workspace: Limits = field(default_factory=Limits)
    contact: Limits = field(default_factory=Limits)
    when_exhausted: Degrade = "quote"
    version: int = 0
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose use is counted, and how far it may go."""

    level: Level
    id: UUID
    limits: Limits


@dataclass(frozen=True, slots=True)
class UseOf:
    """What one bearer has used in a period that goes on."""

    level: Level
    id: UUID
    period: Period
    used: Amount


def begin_of(period: Period, now: datetime) -> datetime:
    """Return when the period that goes on began, by UTC."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day if period == "day" else day.replace(day=1)


def end_of(period: Period, now: datetime) -> datetime:
    begin = begin_of(period, now)
    return begin + timedelta(days=1) if period == "day" else (begin + timedelta(days=32)).replace(day=1)


def _percent(used: int, most: int | None) -> int:
    if most is None:
        return 0
    return used * 100 // most if most else 100
