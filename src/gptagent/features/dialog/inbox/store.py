"""All SQL of the inbox."""
# ruff: noqa: S608 - what is put into statements are this module's constants

from dataclasses import fields

from asyncpg import Record

from gptagent.features.conversations.model import Conversation
from gptagent.features.dialog.inbox.model import SEARCHED_CONVERSATIONS, SEARCHED_MESSAGES, View, Wanted
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_COMPUTED = {
    "resume_at": "app.resume_at(c.quiet_since) as resume_at",
    "letter": "c.mail_subject, c.mail_address, c.mail_box",
}
_COLUMNS = ", ".join(_COMPUTED.get(one.name, f"c.{one.name}") for one in fields(Conversation))
# Messages are looked at only where the conversation itself says that there may be new ones, by `case`: what
# is joined by "and" is done in any order. A message that came a day after it was sent is nobody's news.
_UNREAD = """coalesce((select case when c.last_seq > coalesce(r.seq, 0)
                                    and c.last_message_at > who.unread_since - interval '1 day'
                                   then exists (select from app.message m
                                                 where m.conversation_id = c.id and m.author = 'customer'
                                                   and m.seq > coalesce(r.seq, 0)
                                                   and m.created_at > who.unread_since)
                                   else false end
                         from app.member who
                              left join app.conversation_read r
                                     on r.person_id = who.person_id and r.conversation_id = c.id
                        where who.person_id = $1), false)"""
_DRAFT = """exists (select from app.turn t where t.conversation_id = c.id and t.draft_state = 'waiting')"""
_VIEWS: dict[View, str] = {
    "all": "true",
    "mine": "c.assignee_id = $1",
    "unassigned": "c.assignee_id is null",
    "unread": _UNREAD,
    "drafts": _DRAFT,
    "held": "c.taken_over_at is not null",
}
_WORDS = f"""c.id in (select recent.id
                        from (select id from app.conversation order by last_message_at desc
                               limit {SEARCHED_CONVERSATIONS}) as recent
                       where exists (select from (select text from app.message m
                                                   where m.conversation_id = recent.id
                                                   order by seq desc limit {SEARCHED_MESSAGES}) as said
                                      where said.text ilike $6))"""


async def select_page(session: Session, wanted: Wanted, page: Page) -> list[Record]:
    """Return the conversations of a page with `is_unread` and `has_draft`."""
    return await session.fetch(
        f"""select * from (
              select {_COLUMNS}, {_UNREAD} as is_unread, {_DRAFT} as has_draft
                from app.conversation c
               where ($1::uuid is null or true) and {_VIEWS[wanted.view]}
                 and ($2::uuid is null or c.connection_id = $2)
                 and ($3::boolean is null or (c.taken_over_at is not null) = $3)
                 and ($4::uuid is null or exists (select from app.turn t
                                                   where t.conversation_id = c.id and t.agent_id = $4))
                 and ($5::text = '' or c.channel = $5)
                 and ($6::text = '' or c.customer_name ilike $6 or {_WORDS})) as shown
            where {page.clause(7)}""",
        wanted.person_id,
        wanted.connection_id,
        wanted.taken_over,
        wanted.agent_id,
        wanted.channel,
        _pattern(wanted.search),
        *page.args,
    )


async def count_drafts(session: Session) -> int:
    found: int = await session.fetchval("select count(*) from app.turn where draft_state = 'waiting'")
    return found


def _pattern(search: str) -> str:
    """Return what contains the words; nothing for none. A sign of patterns is a sign like others."""
    if not search:
        return ""
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
