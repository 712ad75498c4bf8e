"""All SQL of reported messages. Locks: lanes in the order of their conversations, then turns."""

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record

from gptagent.features.crm.model import InboundMessage, same_words
from gptagent.features.dialog.model import READ_BACK_SKEW
from gptagent.kernel.db import Session

# A reply that a bot of the CRM says for us: the run was taken, the message has not been seen.
_AWAITED = """select t.id, t.conversation_id, c.lead_id, t.answer->>'text' as text,
                     coalesce(t.send_since, t.send_started_at - $1::interval) as since
                from app.conversation c join app.turn t on t.conversation_id = c.id
               where t.state = 'sending' and t.send_accepted_at is not null and t.send_route <> 'talk'
                 and t.provider_message_id is null"""
_OTHER_CHATS = """ and c.id <> $2
                   and (c.connection_id, c.lead_id) = (select connection_id, lead_id from app.conversation
                                                        where id = $2)"""


async def lock_lanes(session: Session, conversation_ids: Sequence[UUID]) -> None:
    await session.execute(
        """select from app.lane where conversation_id = any($1)
            order by conversation_id for no key update""",
        list(conversation_ids),
    )


async def claim_own_message(session: Session, conversation_id: UUID, message: InboundMessage) -> str | None:
    """Return the state of the turn that sent this: known by its id, or, while unsettled, by its words.

    A turn that was reopened because its message was missing has sent it after all: it is settled, even if a
    newer one has superseded it meanwhile. A way that tells no id leaves even an ended turn without one. A
    message the CRM tells of without its words is ours if a robot sent it since our send by such a way began.
    Once the CRM has taken a bot's run, the bot says it: a person with the same words is a person.
    """
    rows = await session.fetch(
        """select id, provider_message_id, answer->>'text' as text,
                   coalesce(send_route, 'talk') <> 'talk'
                   and coalesce(send_since, send_started_at) - interval '1 second' <= $4 as may_be_wordless,
                   state = 'sending' and send_accepted_at is not null and send_route <> 'talk'
                   and not ($5 and coalesce(send_since, send_started_at - $1::interval) <= $4) as is_excluded
              from app.turn
             where conversation_id = $2
               and (provider_message_id = $3
                    or (provider_message_id is null
                        and (state = 'sending' or (state in ('open', 'superseded') and send_attempts > 0)
                             or reason = 'delivery_unknown'
                             or (send_route <> 'talk' and outcome in ('reply', 'not_found')
                                 and ended_at > clock_timestamp() - interval '1 hour'))))
             order by provider_message_id is null, created_at desc""",
        READ_BACK_SKEW,
        conversation_id,
        message.provider_id,
        message.sent_at,
        message.author == "bot",
    )
    for row in rows:
        if row["provider_message_id"] is not None or _is_ours(row, message):
            return await _settle(session, row["id"], message.provider_id)
    return None


def _is_ours(row: Record, message: InboundMessage) -> bool:
    if row["is_excluded"]:
        return False
    wordless = (
        not message.text.strip()
        and message.author == "bot"
        and message.attachment_type in {None, "unreadable"}
    )
    return same_words(row["text"] or "", message.text) or (wordless and row["may_be_wordless"])


async def _settle(session: Session, turn_id: UUID, provider_id: str) -> str:
    state: str = await session.fetchval(
        """update app.turn set provider_message_id = $2,
                  reported_at = coalesce(reported_at, clock_timestamp()),
                  state = case when state = 'open' then 'sending' else state end
            where id = $1 returning state""",
        turn_id,
        provider_id,
    )
    return state


async def is_known(session: Session, conversation_id: UUID, provider_id: str) -> bool:
    """Whether a turn of the conversation has accounted for the message."""
    found: bool = await session.fetchval(
        """select exists (select from app.turn
                           where conversation_id = $1 and provider_message_id = $2)""",
        conversation_id,
        provider_id,
    )
    return found


async def awaited_of_deal(session: Session, conversation_id: UUID) -> list[Record]:
    """Return the turns of the deal's other chats that await a message of a bot, the oldest first."""
    return await session.fetch(
        f"{_AWAITED}{_OTHER_CHATS} order by t.send_started_at",
        READ_BACK_SKEW,
        conversation_id,
    )


async def awaited_of_leads(session: Session, connection_id: UUID, lead_ids: Sequence[int]) -> list[Record]:
    """Return the turns that await a message of a bot on one of these deals, the oldest first."""
    return await session.fetch(
        f"{_AWAITED} and c.connection_id = $2 and c.lead_id = any($3) order by t.send_started_at",
        READ_BACK_SKEW,
        connection_id,
        list(lead_ids),
    )


async def known_ids(
    session: Session, connection_id: UUID, lead_ids: Sequence[int], ids: Sequence[str]
) -> set[str]:
    """Return which of these messages turns of these deals have accounted for, or what is owed outside of
    turns.
    """
    rows = await session.fetch(
        """select t.provider_message_id from app.conversation c join app.turn t on t.conversation_id = c.id
            where c.connection_id = $1 and c.lead_id = any($2) and t.provider_message_id = any($3)
           union all
           select o.provider_message_id
             from app.conversation c join app.outgoing o on o.conversation_id = c.id
            where c.connection_id = $1 and c.lead_id = any($2) and o.provider_message_id = any($3)""",
        connection_id,
        list(lead_ids),
        list(ids),
    )
    return {row["provider_message_id"] for row in rows}


async def settle_awaited(session: Session, turn_id: UUID, provider_id: str) -> bool:
    """Note the message of a turn that still awaits it, unless its chat has accounted for that."""
    done = await session.fetchval(
        """update app.turn t set provider_message_id = $2, reported_at = clock_timestamp()
            where id = $1 and state = 'sending' and send_accepted_at is not null
              and provider_message_id is null
              and not exists (select from app.turn o where o.conversation_id = t.conversation_id
                                 and o.provider_message_id = $2)
        returning true""",
        turn_id,
        provider_id,
    )
    return bool(done)
