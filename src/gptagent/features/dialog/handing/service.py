"""The verb of a hand-off: everything that belongs to it is owed in one transaction, or nothing is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from gptagent.features.agents.model import Agent
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.conversations import assigning, writing
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.events import HoldChanged
from gptagent.features.conversations.memory import service as memory
from gptagent.features.conversations.model import Conversation, Message
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.actions import service as actions
from gptagent.features.crm.actions.model import Evidence, Note
from gptagent.features.crm.model import NewTask
from gptagent.features.dialog import service as lanes
from gptagent.features.dialog.ending import TASK_DUE_IN, TASK_QUESTION_CHARS
from gptagent.features.dialog.handing import store
from gptagent.features.dialog.handing.model import NOTE_MAX_CHARS, Handoff, MadeBy, Reason, said_last
from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.features.dialog.outgoing.service import Writer
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.model import Member
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.i18n import translate
from gptagent.kernel.ids import new_id

HANDOFFS_SHOWN = 20
READ_MESSAGES = 10
MEMORIES_TOLD = 5
HANDOFF_TASK = (
    "{by} has handed the customer over to {name}, who finds the conversation in the inbox. The customer "
    "wrote: “{question}”"
)
SUMMARY = "{by} has handed the conversation over to {name}."
WHY = {
    "asked_for_person": "The customer asked for a person.",
    "model_hands_over": "The agent could not go on by itself.",
    "person": "A colleague decided so.",
}
SAID_LAST = "What was said last:"
KNOWN = "What the customer has said about themselves:"
# Why the customer is told nothing.
CHECKED_FIRST = "The customer was told nothing: replies of this agent are checked before they are sent."
WINDOW_CLOSED = (
    "The customer was told nothing: the channel takes messages only within 24 hours of their last one. "
    "Please write with a template."
)
AUTHORS = {"customer": "Customer", "agent": "Agent", "human": "Colleague", "bot": "Bot"}


@dataclass(frozen=True, slots=True)
class Handing:
    """Who hands over, why, and with which words; `text` None: the customer is told nothing, as `untold` says.

    `agent` is whose words they are; None: those of the colleague `by_name`. `turn_id`: the turn that did it.
    """

    made_by: MadeBy
    by_name: str
    reason: Reason
    text: str | None
    agent: Agent | None = None
    note: str = ""
    turn_id: UUID | None = None
    untold: str = ""


async def hand_over(
    session: Session,
    conversation_id: UUID,
    handing: Handing,
    *,
    assignee_id: UUID | None = None,
    handoff_id: UUID | None = None,
    now: datetime,
) -> Handoff:
    """Give the conversation to a colleague: by `assignee_id`, else to whose it is, else to the least busy.

    `handoff_id` makes a repeated form one hand-off: the first one counts, and it is returned. With another
    colleague or other words it is a form that somebody went back to: Conflict, or these would be lost in
    silence.

    The agent is silent there from this commit on. Raises NotFound; Invalid on `text`, `note` or
    `assignee_id`; Conflict where the message could not leave or the CRM is out of reach: nothing is done.
    """
    conversation = await conversations.get_conversation(session, conversation_id)
    await crm_service.hold_connection(session, conversation.connection_id)
    conversation = await conversations.get_conversation(session, conversation_id, lock=True)
    text = None if handing.text is None else outgoing.checked(handing.text)
    note = handing.note.strip()
    if len(note) > NOTE_MAX_CHARS:
        raise Invalid.field("note", "At most {limit} characters.", limit=NOTE_MAX_CHARS)
    first = None if handoff_id is None else await store.find_said(session, handoff_id)
    if handoff_id is not None and first is not None:
        if first != store.Said(assignee_id or first.assignee_id, text, note):
            raise Conflict(
                "handed_over_before",
                "This form has handed the conversation over already, with other words or to somebody else. "
                "If this is meant too, hand it over once more.",
            )
        return await _get(session, conversation_id, handoff_id)
    if text is not None:
        await outgoing.check_sendable(session, conversation)
    colleague = await _colleague(session, conversation, assignee_id)
    owing = _Owing(conversation, replace(handing, text=text, note=note), colleague, now)
    made = await owing.owe(session, handoff_id or new_id())
    await writing.hold_chat(session, conversation_id, colleague.full_name, now)
    await assigning.assign(session, conversation_id, colleague.person_id)
    await store.insert(session, made)
    await lanes.Lanes().on_hold_changed(session, HoldChanged(conversation_id))
    changes: dict[str, tuple[object, object] | None] = {
        "reason": (None, handing.reason),
        "assignee": (None, str(colleague.person_id)),
    }
    await audit.record(
        session, Entry("conversation.handed_over", "conversation", str(conversation_id), changes)
    )
    return await _get(session, conversation_id, made.id)


async def _get(session: Session, conversation_id: UUID, handoff_id: UUID) -> Handoff:
    """Raises NotFound if it is another conversation's."""
    found = await store.select_one(session, conversation_id, handoff_id)
    if found is None:
        raise NotFound
    return found


async def list_handoffs(session: Session, conversation_id: UUID) -> list[Handoff]:
    """Return the latest hand-offs of a conversation, newest first."""
    return await store.select_of(session, conversation_id, HANDOFFS_SHOWN)


async def _colleague(session: Session, conversation: Conversation, asked: UUID | None) -> Member:
    """Raises Invalid for somebody who may not answer."""
    able = {one.person_id: one for one in await assigning.list_assignable(session)}
    if asked is not None:
        if asked not in able:
            raise Invalid.field("assignee_id", "Choose a member who may answer customers.")
        return able[asked]
    if conversation.assignee_id in able:
        return able[conversation.assignee_id]
    chosen = await store.least_busy(session, list(able))
    if chosen is None:
        raise Conflict("nobody_to_hand_over_to", "Nobody in this workspace may answer customers.")
    return able[chosen]


@dataclass(frozen=True, slots=True)
class _Owing:
    """A hand-off whose parts are about to be owed."""

    conversation: Conversation
    handing: Handing
    colleague: Member
    now: datetime

    async def owe(self, session: Session, handoff_id: UUID) -> store.NewHandoff:
        """Owe message, task and summary; what was said is read before the message is part of it."""
        handing, agent = self.handing, self.handing.agent
        said = await conversations.list_messages(session, self.conversation.id, limit=READ_MESSAGES)
        summary = await self._summary(session, said)
        outgoing_id = None
        if handing.text is not None:
            writer = Writer(handing.by_name, agent.id if agent else None)
            outgoing_id = await outgoing.owe(session, self.conversation, "handoff", handing.text, writer)
        task_id, action_id = await self._ask(session, said, summary)
        return store.NewHandoff(
            id=handoff_id,
            conversation_id=self.conversation.id,
            made_by=handing.made_by,
            agent_id=agent.id if agent else None,
            by_name=handing.by_name,
            assignee_id=self.colleague.person_id,
            reason=handing.reason,
            note=handing.note,
            outgoing_id=outgoing_id,
            task_id=task_id,
            action_id=action_id,
        )

    async def _ask(
        self, session: Session, said: Sequence[Message], summary: str
    ) -> tuple[UUID | None, UUID | None]:
        """Owe the task, and the summary as a note on the deal; one that is unknown or deleted takes no note:
        then the task has all.
        """
        place, lead_id = self.conversation.connection_id, self.conversation.lead_id
        if lead_id is None:
            return None, None
        asked = next((one.told for one in reversed(said) if one.author == "customer"), "")
        text = await self._told(session, HANDOFF_TASK, question=asked[:TASK_QUESTION_CHARS])
        due_at = self.now + TASK_DUE_IN
        evidence = Evidence(conversation_id=self.conversation.id, turn_id=self.handing.turn_id)
        target = actions.Target(place, "leads", lead_id)
        try:
            action = await actions.add_note(session, target, Note("common", summary), evidence)
        except NotFound:
            action, text = None, f"{text}\n\n{summary}"
        task = NewTask(lead_id, text, due_at)
        task_id = await crm_service.owe_task(session, place, task, conversation_id=self.conversation.id)
        return task_id, action.id if action else None

    async def _summary(self, session: Session, said: Sequence[Message]) -> str:
        """Return what the next one needs: who, why, the colleague's word, what was said last and is known."""
        locale = await organizations.get_locale(session)
        names = {author: translate(locale, word) for author, word in AUTHORS.items()}
        words = said_last(said, names)
        known = (await memory.list_memories(session, self.conversation.id))[:MEMORIES_TOLD]
        notes = "\n".join(f"- {one.text}" for one in known)
        why = translate(locale, WHY[self.handing.reason])
        parts = [
            f"{await self._told(session, SUMMARY)} {why}",
            self.handing.note,
            translate(locale, self.handing.untold) if self.handing.untold else "",
            f"{translate(locale, SAID_LAST)}\n{words}" if words else "",
            f"{translate(locale, KNOWN)}\n{notes}" if notes else "",
        ]
        return "\n\n".join(filter(None, parts))

    async def _told(self, session: Session, template: str, **params: str) -> str:
        locale = await organizations.get_locale(session)
        names = {"by": self.handing.by_name, "name": self.colleague.full_name}
        return translate(locale, template, **names, **params)
