"""The form of a test chat: its agent, where the customer is taken to be, and what is overridden."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from starlette.datastructures import FormData

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import CREATIVITIES, Agent, Settings
from gptagent.features.crm import service as crm
from gptagent.features.dialog.rehearsing.model import Place
from gptagent.features.dialog.trying.model import NewChat
from gptagent.kernel.db import Session
from gptagent.ui.web import words

# What the page overrides; over the API it may be any setting.
OVERRIDABLE = ("instructions", "creativity", "reply_max_chars", "model")
NOBODY = UUID(int=0)
NO_NUMBER = -1  # stands for what is none, and is refused as unknown
LONGEST_NUMBER = 18  # digits of a bigint that are sure to fit


def read_chat(form: FormData, agent: Agent | None, old: Mapping[str, Any]) -> NewChat:
    """Return what was typed. `old` are the chat's overrides of before, for the same agent."""
    connection, _, stage = words(form, "stage").partition("/")
    pipeline_id, _, stage_id = stage.partition("/")
    chosen = words(form, "connection_id") or connection
    place = Place(
        channel=words(form, "channel"),
        connection_id=_uuid(chosen) if chosen else None,
        pipeline_id=_number(pipeline_id),
        stage_id=_number(stage_id),
        lead_id=_number(words(form, "lead_id")),
        contact_id=_number(words(form, "contact_id")),
    )
    agent_id = _uuid(words(form, "agent_id"))
    own = agents.as_edited(agent).settings if agent else None
    return NewChat(agent_id, words(form, "title").strip(), place, read_overrides(form, own, old))


def read_overrides(form: FormData, own: Settings | None, old: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs from `own`, those the form began with; what it does not show stays as it was."""
    if own is None:
        return {}
    rest = {name: value for name, value in old.items() if name not in OVERRIDABLE or name not in form}
    typed = {name: _typed(form, name) for name in OVERRIDABLE if name in form}
    return {**rest, **{name: value for name, value in typed.items() if value != getattr(own, name)}}


async def offered(session: Session) -> dict[str, Any]:
    """Return what the form's lists offer."""
    connections = await crm.list_connections(session)
    names = {one.id: one.name or one.host for one in connections}
    channels = {
        channel.origin: crm.CHANNELS.get(channel.origin, channel.origin)
        for one in connections
        for channel in await crm.list_channels(session, one.id)
    }
    stages = [
        (f"{pipeline.connection_id}/{pipeline.id}/{stage.id}", f"{pipeline.name} · {stage.name}")
        for pipeline in await crm.list_pipelines(session)
        for stage in pipeline.stages
    ]
    return {
        "all_agents": await agents.list_agents(session),
        "connections": list(names.items()),
        "channels": sorted(channels.items(), key=lambda one: one[1]),
        "stages": stages,
        "creativities": CREATIVITIES,
    }


def values_of(new: NewChat, agent: Agent | None) -> dict[str, Any]:
    """Return what the fields show: the settings the agent is tried with, the chat's in their place."""
    place = new.place
    stage = f"{place.connection_id}/{place.pipeline_id}/{place.stage_id}" if place.stage_id else ""
    tried = agents.as_edited(agent).settings if agent else None
    own = {name: getattr(tried, name) for name in OVERRIDABLE} if tried else {}
    return {
        "title": new.title,
        "agent_id": str(new.agent_id),
        "channel": place.channel,
        "connection_id": str(place.connection_id or ""),
        "stage": stage,
        "lead_id": _shown(place.lead_id),
        "contact_id": _shown(place.contact_id),
        **own,
        **{name: value for name, value in new.overrides.items() if name in OVERRIDABLE},
    }


def first_of(candidates: Sequence[Agent], wanted: str) -> Agent | None:
    """Return the agent that is named, else the first one that is on, else the first."""
    named = [one for one in candidates if str(one.id) == wanted]
    active = [one for one in candidates if one.is_active]
    return next(iter((*named, *active, *candidates)), None)


def _typed(form: FormData, name: str) -> object:
    text = words(form, name).replace("\r\n", "\n").strip()
    if name == "reply_max_chars":
        return _number(text) if text else None
    if name == "model":
        return text or None
    return text


def _number(text: str) -> int | None:
    text = text.strip()
    if not text or text == "None":
        return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else NO_NUMBER


def _shown(number: int | None) -> str:
    return "" if number is None or number == NO_NUMBER else str(number)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return NOBODY
