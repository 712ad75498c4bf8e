"""Stages over REST, as all that names some takes and shows them."""

from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from pydantic import Field

from gptagent.features.knowledge.staging.model import StageKey
from gptagent.kernel.http import Body, Wire

_Number = Annotated[int, Field(ge=1, lt=2**63)]


class StageBody(Body):
    """A stage of a pipeline, as the connection's list of pipelines has it."""

    connection_id: UUID
    pipeline_id: _Number
    stage_id: _Number


class StageKeyOut(Wire):
    connection_id: UUID
    pipeline_id: int
    stage_id: int


def keys_of(given: Iterable[StageBody]) -> tuple[StageKey, ...]:
    """Return the stages that a body names."""
    return tuple(StageKey(one.connection_id, one.pipeline_id, one.stage_id) for one in given)
