"""How figures are printed and condensed."""

import sys
from collections.abc import Sequence


def show(name: str, label: str, value: float, digits: int = 1) -> None:
    """Print one line `name label value`."""
    print(f"{name} {label} {value:.{digits}f}", flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all does not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


def skip(reason: str) -> None:
    """Say on stderr why there is no figure."""
    print(f"skipped: {reason}", file=sys.stderr, flush=True)
