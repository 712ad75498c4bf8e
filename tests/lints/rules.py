"""The list of all rules."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lints.danger import one_environment_door, one_markup_door
from lints.database import no_session_state, sql_in_its_place
from lints.shape import short_enough, silence_has_a_reason
from lints.source import ROOT, Finding, Source, tracked_sources
from lints.words import nothing_foreign

RULES: tuple[Callable[[Source], Iterator[Finding]], ...] = (
    sql_in_its_place,
    no_session_state,
    one_environment_door,
    one_markup_door,
    short_enough,
    silence_has_a_reason,
    nothing_foreign,
)


def check(sources: Iterable[Source]) -> list[Finding]:
    """Return all findings in these files."""
    return [finding for source in sources for rule in RULES for finding in rule(source)]


def check_all(root: Path = ROOT) -> list[Finding]:
    """Return all findings of the repository."""
    return check(tracked_sources(root))
