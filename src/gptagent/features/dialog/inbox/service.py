"""Verbs of the inbox."""

from gptagent.features.conversations.model import conversation_of
from gptagent.features.dialog.inbox import store
from gptagent.features.dialog.inbox.model import Line, Wanted
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page


async def page_lines(session: Session, wanted: Wanted, page: Page) -> tuple[list[Line], str | None]:
    """Return a page of the conversations, and the cursor of the next one if there is more."""
    lines = []
    for row in await store.select_page(session, wanted, page):
        own = dict(row)
        marks = {"is_unread": own.pop("is_unread"), "has_draft": own.pop("has_draft")}
        lines.append(Line(conversation_of(own), **marks))
    column = page.order.column
    return page.cut(lines, lambda one: (getattr(one.conversation, column), one.conversation.id))


async def count_drafts(session: Session) -> int:
    """Return how many drafts wait for a person."""
    return await store.count_drafts(session)
