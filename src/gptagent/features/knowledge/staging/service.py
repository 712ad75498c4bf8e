"""The verbs of stages: which there are, and what of a base is for others than the one asked at."""

import sys
from collections.abc import Collection
from dataclasses import replace

from gptagent.features.crm import service as crm
from gptagent.features.knowledge.categories.model import Within
from gptagent.features.knowledge.staging import store
from gptagent.features.knowledge.staging.model import At, StageKey
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Invalid

ELSEWHERE_COUNTED = 10_000  # more are as many: then every word of a question names passages


async def list_stages(session: Session) -> list[tuple[StageKey, tuple[str, ...]]]:
    """Return every stage of the connected accounts with its path of names, in the CRM's order.

    It begins with the account if there are several.
    """
    names = {one.id: one.name or one.host for one in await crm.list_connections(session)}
    several = len(names) > 1
    return [
        (
            StageKey(pipeline.connection_id, pipeline.id, stage.id),
            (*([names[pipeline.connection_id]] if several else []), pipeline.name, stage.name),
        )
        for pipeline in await crm.list_pipelines(session)
        for stage in pipeline.stages
    ]


async def stage_names(session: Session) -> dict[StageKey, str]:
    """Return what each stage of the connected accounts is called, in the CRM's order."""
    return {key: " · ".join(path) for key, path in await list_stages(session)}


async def stage_choices(session: Session) -> list[tuple[str, str, int]]:
    """Return the stages as a form offers them."""
    return [(str(key), label, 1) for key, label in (await stage_names(session)).items()]


async def check_stages(session: Session, stages: Collection[StageKey]) -> None:
    """Raise Invalid if one of them is not there."""
    if not await are_known(session, stages):
        raise Invalid.field("stages", "There is no such stage.")


async def are_known(session: Session, stages: Collection[StageKey]) -> bool:
    """Tell whether all of these stages are there."""
    return not stages or await store.known_stages(session, stages) == len(set(stages))


async def stages_for(session: Session, places: Collection[At]) -> tuple[StageKey, ...]:
    """Return the stages that an answer to what was asked at these places is proposed to be for, none for all.

    That is where nothing of the base is for some stages only, and where somebody asked without a deal: there
    they would not find it.
    """
    if At(None) in places or not await store.has_staged(session):
        return ()
    return await still_there(session, {one.stage for one in places if one.stage is not None})


async def still_there(session: Session, stages: Collection[StageKey]) -> tuple[StageKey, ...]:
    """Return those of the stages that the connected accounts have."""
    live = {key for key, _path in await list_stages(session)} if stages else set()
    return tuple(sorted(live.intersection(stages)))


async def where_to_look(session: Session, places: Collection[At | None]) -> dict[At | None, At | None]:
    """Return of places where a question was asked where to look whether it is answered by now.

    Where nothing is bound they are all the same; a stage that is gone is looked at only if all of them are.
    """
    if not await store.has_staged(session):
        return dict.fromkeys(places)
    live = {key for key, _path in await list_stages(session)}
    there = [one for one in places if one is None or one.stage is None or one.stage in live]
    return {one: one for one in there or places}


async def narrowed(session: Session, within: Within | None) -> Within | None:
    """Return the part with how many passages are for other stages or of other agents; the whole base if that
    is what it is.
    """
    asked = within or Within()
    elsewhere = await store.count_elsewhere(session, asked.at, asked.agent_id, ELSEWHERE_COUNTED)
    if not elsewhere:
        return None if asked.categories is None else replace(asked, at=None)
    return replace(asked, elsewhere=elsewhere if elsewhere < ELSEWHERE_COUNTED else sys.maxsize)
