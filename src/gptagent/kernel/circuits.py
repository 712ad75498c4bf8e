"""When something that fails again and again is left alone. PostgreSQL counts, so all processes agree."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Circuit:
    """After `trip` failures in a row it is left alone, first for `first`, then ever longer up to `longest`.

    One call looks how it is and has `probe` for that.
    """

    trip: int
    first: timedelta
    longest: timedelta
    probe: timedelta
