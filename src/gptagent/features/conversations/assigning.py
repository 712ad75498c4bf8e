"""Whose a conversation is, and who has read it how far."""

from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.conversations import store
from gptagent.features.conversations.service import get_conversation, tell
from gptagent.features.organizations import policy
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.model import Member
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Invalid


async def list_assignable(session: Session) -> list[Member]:
    """Return the active members who may work in conversations."""
    return [one for one in await organizations.list_members(session) if _may_have(one)]


async def assign(session: Session, conversation_id: UUID, person_id: UUID | None) -> None:
    """Make a member responsible for the conversation, or nobody. It changes nothing of who answers.

    Raises NotFound; Invalid on `assignee_id` for somebody who is no active member with the right to answer.
    """
    before = await get_conversation(session, conversation_id, lock=True)
    if person_id == before.assignee_id:
        return
    if person_id is not None and all(one.person_id != person_id for one in await list_assignable(session)):
        raise Invalid.field("assignee_id", "Choose a member who may answer customers.")
    await store.assign(session, conversation_id, person_id)
    change = {"assignee": (_told(before.assignee_id), _told(person_id))}
    await audit.record(session, Entry("conversation.assigned", "conversation", str(conversation_id), change))
    await tell(session, conversation_id)


async def mark_read(session: Session, conversation_id: UUID, person_id: UUID) -> None:
    """Note that a member has seen the conversation as far as it goes now. Raises NotFound."""
    await get_conversation(session, conversation_id)
    await store.mark_read(session, conversation_id, person_id)


def _may_have(member: Member) -> bool:
    return member.status == "active" and policy.WORK_CONVERSATIONS in policy.PERMISSIONS[member.role]


def _told(person_id: UUID | None) -> str | None:
    return str(person_id) if person_id else None
