"""How well questions find their right passages, by the place of the first one (from 1; 0: not found). Pure."""

from collections.abc import Iterable, Sequence

MEASURED_AT = 5  # passages that are given to an answer


def recall_of(ranks: Sequence[int]) -> float:
    """Return the share (0-1) of questions with a right passage among the first MEASURED_AT."""
    return sum(0 < rank <= MEASURED_AT for rank in ranks) / max(len(ranks), 1)


def mrr_of(ranks: Sequence[int]) -> float:
    """Return the mean of 1 / rank."""
    return sum(map(reciprocal, ranks)) / max(len(ranks), 1)


def gained(before: Iterable[int], after: Iterable[int]) -> int:
    """Return how many more questions find a right passage earlier than later."""
    return sum(
        (reciprocal(new) > reciprocal(old)) - (reciprocal(new) < reciprocal(old))
        for old, new in zip(before, after, strict=True)
    )


def reciprocal(rank: int) -> float:
    """Return 1 / rank, 0 for what was not found."""
    return 1 / rank if rank else 0.0
