"""Held chats that are given back by themselves, once the person has been quiet for as long as is set."""

from gptagent.features.conversations import store
from gptagent.features.conversations.service import Inbox
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope

SWEEP_BATCH = 500


async def sweep_resumes(db: Database, inbox: Inbox) -> int:
    """Give back the chats whose time has come by the rule of now, however it was before. Returns how many.

    A person who writes meanwhile, or a rule that changes, is seen once the chat is locked.
    """
    async with db.installation() as session:
        due = await store.resumes_due(session, SWEEP_BATCH)
    resumed = 0
    for org_id, conversation_id in due:
        async with db.session(Scope(org_id)) as session:
            row = await store.select_conversation(session, conversation_id, lock=True)
            if row is not None and row["resume_at"] is not None and row["resume_at"] <= utcnow():
                await inbox.resume(session, conversation_id)
                resumed += 1
    return resumed
