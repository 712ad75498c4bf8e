"""Stages of a deal, by the CRM's own numbers. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from gptagent.kernel.errors import FieldError, Invalid

STAGES_MAX = 200  # of one article, document or script


@dataclass(frozen=True, slots=True, order=True)
class StageKey:
    """A stage of a pipeline, by the CRM's own numbers."""

    connection_id: UUID
    pipeline_id: int
    stage_id: int

    def __str__(self) -> str:
        return f"{self.connection_id}:{self.pipeline_id}:{self.stage_id}"


@dataclass(frozen=True, slots=True)
class At:
    """Where a question is asked: at a stage of a deal, or with None in a chat of which no deal is known.

    There what is bound to stages is not found at all.
    """

    stage: StageKey | None


def stage_of(text: str) -> StageKey | None:
    """Return the stage that `str` of it names, None for what names none."""
    connection, _, rest = text.partition(":")
    pipeline, _, stage = rest.partition(":")
    numbers = [one for one in (pipeline, stage) if one.isascii() and one.isdecimal() and len(one) < 19]
    try:
        connection_id = UUID(connection)
    except ValueError:
        return None
    return StageKey(connection_id, int(pipeline), int(stage)) if len(numbers) == 2 else None


def text_of(at: At | None) -> str | None:
    """Return where was asked in a text: empty for a chat without a deal, None where it is not known."""
    if at is None:
        return None
    return str(at.stage) if at.stage else ""


def at_of(text: str | None) -> At | None:
    """Return where was asked, of what `text_of` made."""
    return None if text is None else At(stage_of(text))


def stages_of(texts: Iterable[str]) -> tuple[StageKey, ...]:
    """Return the stages that the boxes of a form name. Raises Invalid for what names none."""
    found = [stage_of(one) for one in texts if one]
    keys = tuple(one for one in found if one is not None)
    if len(keys) < len(found):
        raise Invalid.field("stages", "There is no such stage.")
    return keys


def stage_errors(stages: tuple[StageKey, ...]) -> tuple[FieldError, ...]:
    """Return what is wrong with the number of stages."""
    if len(stages) <= STAGES_MAX:
        return ()
    return (FieldError("stages", "Choose at most {max}.", {"max": STAGES_MAX}),)
