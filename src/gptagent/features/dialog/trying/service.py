"""Verbs of trying an agent: chats of one's own, messages in them, turns played again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal
from uuid import UUID

import msgspec

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import HISTORY_MAX_MESSAGES, Agent, Settings
from gptagent.features.conversations import service as conversations
from gptagent.features.crm import service as crm
from gptagent.features.dialog import service as turns
from gptagent.features.dialog.reaching import reached
from gptagent.features.dialog.rehearsing import service as rehearsing
from gptagent.features.dialog.rehearsing.model import Place, Rehearsal, Said
from gptagent.features.dialog.tracing import service as tracing
from gptagent.features.dialog.trying import store
from gptagent.features.dialog.trying.model import (
    CHATS_MAX,
    EXCHANGES_MAX,
    HISTORY_EXCHANGES,
    MESSAGE_MAX_CHARS,
    TITLE_MAX_CHARS,
    WORDS_SUGGESTED,
    NewChat,
    Played,
    TestChat,
)
from gptagent.features.knowledge import service as knowledge
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Order, Page, orders

REHEARSE = "dialog.rehearse"
REPLAYS_SHOWN = 10
REPLAY_ORDERS = orders()
CHAT_ORDERS = {
    "-updated_at": Order("-updated_at", "c.updated_at", descending=True, id_column="c.id"),
    "updated_at": Order("updated_at", "c.updated_at", id_column="c.id"),
}
PLAYED_ORDERS = {
    "seq": Order("seq", "seq", "number"),
    "-seq": Order("-seq", "seq", "number", descending=True),
}
NOBODY = (None, None, None)  # the customer of a chat that is held as none
VERSION_DIGITS = 9  # that are sure to fit into an integer of the database
# Whose settings a turn is played again with: those of now, the draft, or the version with this number.
Basis = Literal["draft"] | int | None


async def page_chats(
    session: Session, person_id: UUID, page: Page, agent_id: UUID | None = None
) -> tuple[list[TestChat], str | None]:
    """Return a page of the person's own chats, and the next one's cursor."""
    found = await store.select_chats(session, person_id, agent_id, page)
    return page.cut(found, lambda one: (one.updated_at, one.id))


async def list_chats(session: Session, person_id: UUID, agent_id: UUID | None = None) -> list[TestChat]:
    """Return the person's own chats, the one used last first."""
    return (await page_chats(session, person_id, Page(CHAT_ORDERS["-updated_at"], CHATS_MAX), agent_id))[0]


async def get_chat(session: Session, person_id: UUID, chat_id: UUID, *, lock: bool = False) -> TestChat:
    """Raise NotFound if the person has no such chat; nobody sees another's."""
    found = await store.select_chat(session, person_id, chat_id, lock=lock)
    if found is None:
        raise NotFound
    return found


async def page_played(session: Session, chat: TestChat, page: Page) -> tuple[list[Played], str | None]:
    """Return a page of what was said in a chat, and the next one's cursor."""
    found = await store.page_played(session, chat.id, page)
    return page.cut(found, lambda one: (one.seq, one.id))


async def list_played(session: Session, chat: TestChat) -> list[Played]:
    return await store.select_played(session, chat.id)


async def get_played(session: Session, chat: TestChat, played_id: UUID) -> Played:
    """Raise NotFound if the chat has no such message."""
    found = await store.select_rehearsal(session, played_id)
    if found is None or found.chat_id != chat.id:
        raise NotFound
    return found


async def create_chat(session: Session, person_id: UUID, new: NewChat) -> TestChat:
    """Raise Invalid naming every wrong field; Conflict once the person has CHATS_MAX."""
    await _check(session, new)
    if await store.count_chats(session, person_id) >= CHATS_MAX:
        raise Conflict("test_chats_full", "You have too many test chats. Delete some first.")
    chat_id = new_id()
    await store.insert_chat(session, chat_id, person_id, new)
    return await get_chat(session, person_id, chat_id)


async def change_chat(session: Session, person_id: UUID, chat_id: UUID, new: NewChat) -> TestChat:
    """Put another agent, place or settings into the chat. What was said stays, unless it was said as a
    customer whom the chat names no more: it holds what is known of them. Raises NotFound, Invalid.
    """
    old = await get_chat(session, person_id, chat_id, lock=True)
    await _check(session, new)
    if _customer_of(old.place) not in {NOBODY, _customer_of(new.place)}:
        await store.clear_chat(session, chat_id)
    await store.update_chat(session, chat_id, new)
    return await get_chat(session, person_id, chat_id)


async def delete_chat(session: Session, person_id: UUID, chat_id: UUID) -> None:
    """Raise NotFound if the person has no such chat."""
    await get_chat(session, person_id, chat_id, lock=True)
    await store.delete_chat(session, chat_id)


async def clear_chat(session: Session, person_id: UUID, chat_id: UUID) -> None:
    """Forget what was said in the chat. Raises NotFound."""
    await get_chat(session, person_id, chat_id, lock=True)
    await store.clear_chat(session, chat_id)


async def say(session: Session, person_id: UUID, chat_id: UUID, text: str) -> Played:
    """Say something to the agent; its answer comes by a job. Raises NotFound, Invalid on `text`, and Conflict
    while an answer is under way or once the chat is full.
    """
    chat = await get_chat(session, person_id, chat_id, lock=True)
    words = text.strip()
    if not 1 <= len(words) <= MESSAGE_MAX_CHARS:
        raise Invalid.field("text", "From {low} to {high} characters.", low=1, high=MESSAGE_MAX_CHARS)
    played = await _at_rest(session, chat)
    if len(played) >= EXCHANGES_MAX:
        raise Conflict("test_chat_full", "This chat is full. Clear it, or begin a new one.")
    seq = played[-1].seq + 1 if played else 1
    return await _play(session, person_id, chat, seq, words)


async def suggest_words(session: Session, chat: TestChat) -> list[str]:
    """Return what may be said first: saved questions and headings of what the agent answers from, a few."""
    agent = await agents.find_agent(session, chat.agent_id)
    if agent is None:
        return []
    at = await rehearsing.place_at(session, chat.place)
    part = knowledge.within(tried(agent).knowledge.part, at, agent.id)
    return await knowledge.opening_questions(session, part, WORDS_SUGGESTED)


async def regenerate(session: Session, person_id: UUID, chat_id: UUID) -> Played:
    """Have the last message answered anew. Raises NotFound if nothing was said, Conflict while an answer is
    under way.
    """
    chat = await get_chat(session, person_id, chat_id, lock=True)
    played = await _at_rest(session, chat)
    if not played:
        raise NotFound
    last = played[-1]
    await store.delete_rehearsal(session, last.id)
    return await _play(session, person_id, chat, last.seq, last.question)


async def replay_turn(  # noqa: PLR0917 - which turn, and with what
    session: Session,
    person_id: UUID,
    conversation_id: UUID,
    turn_id: UUID,
    changes: Mapping[str, Any],
    basis: Basis = None,
) -> Played:
    """Play a frozen turn again with the agent's settings of now, of its draft or of one of its versions, and
    `changes` of them that are not saved.

    Raises NotFound where nothing of the turn is frozen, or agent or version are gone; Invalid.
    """
    agent, _input = await _frozen(session, conversation_id, turn_id)
    changes = {**await changes_to(session, agent, basis), **changes}
    await agents.preview_settings(session, agent.settings, changes)
    rehearsal_id = new_id()
    await store.insert_rehearsal(
        session,
        rehearsal_id,
        person_id,
        turn_id=turn_id,
        conversation_id=conversation_id,
        question="",
        overrides=changes,
    )
    await session.enqueue(REHEARSE, {"rehearsal_id": str(rehearsal_id)})
    return await get_replay(session, conversation_id, turn_id, rehearsal_id)


def read_basis(text: str | None) -> Basis:
    """Return what a form or a program names: `draft`, a version's number, or nothing that is one."""
    if text is None or text == "draft":
        return "draft" if text else None
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= VERSION_DIGITS else None


async def changes_to(session: Session, agent: Agent, basis: Basis) -> dict[str, Any]:
    """Return what makes its settings those of the agent's draft, or of a version. Raises NotFound."""
    if basis is None:
        return {}
    if basis == "draft":
        settings = agent.draft
    else:
        settings = (await agents.get_version(session, agent.id, basis)).settings
    if settings is None:
        raise NotFound
    changes: dict[str, Any] = msgspec.to_builtins(settings)
    return changes


async def page_replays(
    session: Session, conversation_id: UUID, turn_id: UUID, page: Page
) -> tuple[list[Played], str | None]:
    """Return a page of how the turn was played again, and the next one's cursor. Raises NotFound."""
    await turns.get_turn(session, conversation_id, turn_id)
    found = await store.select_replays(session, turn_id, page)
    return page.cut(found, lambda one: (one.created_at, one.id))


async def list_replays(session: Session, conversation_id: UUID, turn_id: UUID) -> list[Played]:
    """Return how the turn was played again lately, latest first. Raises NotFound."""
    latest = Page(REPLAY_ORDERS["-created_at"], REPLAYS_SHOWN)
    return (await page_replays(session, conversation_id, turn_id, latest))[0]


async def get_replay(session: Session, conversation_id: UUID, turn_id: UUID, played_id: UUID) -> Played:
    """Raise NotFound if the turn was not played so."""
    await turns.get_turn(session, conversation_id, turn_id)
    found = await store.select_rehearsal(session, played_id)
    if found is None or found.turn_id != turn_id:
        raise NotFound
    return found


def tried(agent: Agent) -> Settings:
    """Return what a test chat plays the agent with: its draft, or without one what is published."""
    return agents.as_edited(agent).settings


async def rehearsal_of(session: Session, played: Played) -> Rehearsal | None:
    """Return what is to be played; None if the chat is gone. Raises NotFound if the agent is, or Invalid."""
    if played.turn_id is not None:
        return await _of_turn(session, played)
    chat = await store.find_chat(session, played.chat_id) if played.chat_id else None
    if chat is None:
        return None
    agent = await agents.get_agent(session, chat.agent_id)
    settings = await agents.preview_settings(session, tried(agent), chat.overrides)
    said = [one for one in await store.select_played(session, chat.id) if one.seq < played.seq]
    history: list[Said] = []
    for one in said[-HISTORY_EXCHANGES:]:
        history.append(Said("customer", one.question))
        if one.result is not None and one.result.text:
            history.append(Said("agent", one.result.text))
    return Rehearsal(replace(agent, settings=settings), played.question, tuple(history), chat.place)


async def _of_turn(session: Session, played: Played) -> Rehearsal:
    conversation_id = await store.conversation_of(session, played.id)
    if conversation_id is None or played.turn_id is None:
        raise NotFound
    agent, frozen = await _frozen(session, conversation_id, played.turn_id)
    conversation = await conversations.get_conversation(session, conversation_id)
    settings = await agents.preview_settings(session, agent.settings, played.overrides)
    seqs = (*frozen.history, *frozen.unanswered)
    since = max(1, min(seqs) - HISTORY_MAX_MESSAGES)
    found = await conversations.list_messages(session, conversation_id, from_seq=since, to_seq=max(seqs))
    messages = {one.seq: one for one in found}
    question = "\n".join(messages[seq].told for seq in frozen.unanswered if seq in messages)
    then = [messages[seq] for seq in frozen.history if seq in messages]
    missing = settings.history_messages - len(then)
    earlier = await reached(session, [one for one in found if one.seq < min(seqs)]) if missing > 0 else []
    history = tuple(
        Said("customer" if one.author == "customer" else "agent", one.told)
        for one in (*earlier[-missing:], *then)
    )
    place = Place(
        frozen.channel,
        frozen.connection_id,
        lead_id=conversation.lead_id,
        contact_id=conversation.contact_id,
        customer_name=conversation.customer_name,
    )
    return Rehearsal(replace(agent, settings=settings), question, history, place, frozen.lead, frozen.contact)


async def _frozen(session: Session, conversation_id: UUID, turn_id: UUID) -> tuple[Agent, Any]:
    await turns.get_turn(session, conversation_id, turn_id)
    told = await tracing.find_explanation(session, conversation_id, turn_id)
    if told is None or told.input is None or told.agent_id is None or not told.input.unanswered:
        raise NotFound
    return await agents.get_agent(session, told.agent_id), told.input


async def _at_rest(session: Session, chat: TestChat) -> list[Played]:
    played = await store.select_played(session, chat.id)
    if played and not played[-1].is_over:
        raise Conflict("answer_under_way", "The agent is still answering.")
    return played


async def _play(session: Session, person_id: UUID, chat: TestChat, seq: int, text: str) -> Played:
    rehearsal_id = new_id()
    await store.insert_rehearsal(
        session,
        rehearsal_id,
        person_id,
        chat_id=chat.id,
        seq=seq,
        question=text,
        overrides=chat.overrides,
    )
    await store.touch_chat(session, chat.id)
    await session.enqueue(REHEARSE, {"rehearsal_id": str(rehearsal_id)})
    return await get_played(session, chat, rehearsal_id)


async def _check(session: Session, new: NewChat) -> None:
    faults: list[FieldError] = []
    if len(new.title) > TITLE_MAX_CHARS:
        faults.append(FieldError("title", "At most {high} characters.", {"high": TITLE_MAX_CHARS}))
    agent = await agents.find_agent(session, new.agent_id)
    if agent is None:
        faults.append(FieldError("agent_id", "Choose one of the offered values."))
    faults += await _check_place(session, new.place)
    if agent is not None:
        try:
            await agents.preview_settings(session, tried(agent), new.overrides)
        except Invalid as error:
            faults += [replace(one, pointer=f"overrides.{one.pointer}") for one in error.fields]
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))


def _customer_of(place: Place) -> tuple[UUID | None, int | None, int | None]:
    """Return by what a customer's erasure finds the chats that were held as them."""
    is_named = place.lead_id is not None or place.contact_id is not None
    return (place.connection_id if is_named else None, place.lead_id, place.contact_id)


async def _check_place(session: Session, place: Place) -> list[FieldError]:
    """Whatever is named of the CRM has to be in this workspace's mirror."""
    named = (place.pipeline_id, place.stage_id, place.lead_id, place.contact_id)
    if place.connection_id is None:
        is_named = any(one is not None for one in named)
        return [FieldError("connection_id", "Choose one of the offered values.")] if is_named else []
    if place.connection_id not in {one.id for one in await crm.list_connections(session)}:
        return [FieldError("connection_id", "Choose one of the offered values.")]
    faults = []
    lead_id, contact_id = place.lead_id, place.contact_id
    if lead_id and await crm.get_lead_card(session, place.connection_id, lead_id) is None:
        faults.append(FieldError("lead_id", "The CRM's copy has no deal with this number."))
    if contact_id and await crm.get_contact_card(session, place.connection_id, contact_id) is None:
        faults.append(FieldError("contact_id", "The CRM's copy has no contact with this number."))
    stages = {
        (pipeline.id, stage.id)
        for pipeline in await crm.list_pipelines(session)
        if pipeline.connection_id == place.connection_id
        for stage in pipeline.stages
    }
    is_somewhere = place.pipeline_id is not None or place.stage_id is not None
    if is_somewhere and (place.pipeline_id, place.stage_id) not in stages:
        faults.append(FieldError("stage_id", "Choose one of the offered values."))
    return faults
