"""Verbs of replies' files: owe them with the reply, recognise the CRM's reports of them, tell of them."""

from collections.abc import Sequence
from uuid import UUID

from gptagent.features.conversations.model import topic_of
from gptagent.features.crm.model import InboundMessage
from gptagent.features.dialog.enclosures import store
from gptagent.features.dialog.enclosures.model import (
    AGAIN_AFTER,
    NO_ROUTE,
    ReplyFile,
    article_of,
    is_same_file,
)
from gptagent.features.dialog.model import Answer, Turn
from gptagent.features.knowledge import service as knowledge
from gptagent.kernel.db import Session

SEND = "dialog.send_files"


async def owe_files(session: Session, turn: Turn, answer: Answer) -> None:
    """A reply has left: note the files of the article it was drawn from, and queue their sending.

    It is the end of the turn's own transaction, which holds its lane: two replies to one chat note their
    files one after the other. A way of replying that holds text only notes them as not sent.
    """
    article_id = article_of(answer)
    files = await knowledge.files_to_send(session, article_id) if article_id else []
    if not files:
        return
    reason = None if turn.send_route in {None, "talk"} else NO_ROUTE
    owed = await store.owe_files(session, turn, files, reason=reason, again_after=AGAIN_AFTER)
    if owed:
        await session.enqueue(SEND, {"turn_id": str(turn.id)})


async def claim(session: Session, conversation_id: UUID, message: InboundMessage) -> bool:
    """Tell whether a reported message is one of our files, and note that it left. Text is never one."""
    if message.text.strip() or message.attachment_type is None:
        return False
    for row in await store.candidates(session, conversation_id, message.provider_id):
        is_known = row["provider_message_id"] is not None
        if is_known or is_same_file(
            row["name"], row["drive_uuid"], message.attachment_name, message.attachment_url
        ):
            await store.note_reported(session, row["turn_id"], row["file_id"], message.provider_id)
            await tell(session, conversation_id)
            return True
    return False


async def list_files(session: Session, turn_ids: Sequence[UUID]) -> list[ReplyFile]:
    """Return the files that belong to these turns' replies, in the order they are sent in."""
    return await store.files_of(session, turn_ids) if turn_ids else []


async def tell(session: Session, conversation_id: UUID) -> None:
    """Let open pages show what became of a file."""
    await session.publish(topic_of(conversation_id), "changed", {"conversation_id": str(conversation_id)})
