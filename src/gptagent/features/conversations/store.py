"""All SQL of conversations. Locks: connection, conversation, lane, turn - always in this order."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.crm.events import CustomerSaid, DeliveryOpened, TalkSeen
from gptagent.features.crm.model import InboundMessage, Letter
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page

PREVIEW_CHARS = 200
# What a machine made of the files of a message; only those that have one are looked at.
_MESSAGE = """select seq, author, author_name, text, attachment_type, turn_id, sent_at, delivery_status,
                     case when attachment_type is null then '' else coalesce((
                       select string_agg(a.words, E'\\n' order by a.id) from app.attachment a
                        where a.conversation_id = message.conversation_id and a.seq = message.seq
                          and a.heard_as = 'voice'), '') end as heard,
                     case when attachment_type is null then '' else coalesce((
                       select string_agg(a.words, E'\\n' order by a.id) from app.attachment a
                        where a.conversation_id = message.conversation_id and a.seq = message.seq
                          and a.heard_as in ('picture', 'document')), '') end as seen
                from app.message"""
_CONVERSATION = """select id, connection_id, chat_id, talk_id, contact_id, lead_id, customer_name, channel,
                          last_seq, last_text, last_message_at, taken_over_at, taken_over_by, created_at,
                          assignee_id, app.resume_at(quiet_since) as resume_at,
                          mail_subject, mail_address, mail_box
                     from app.conversation"""


async def lock_conversations(session: Session, opened: DeliveryOpened) -> None:
    await session.execute(
        """select from app.conversation
            where connection_id = $1 and (chat_id = any($2) or lead_id = any($3))
            order by id for no key update""",
        opened.connection_id,
        list(opened.chat_ids),
        list(opened.lead_ids),
    )


async def lock_conversation(session: Session, conversation_id: UUID) -> None:
    await session.execute("select from app.conversation where id = $1 for no key update", conversation_id)


async def pin_conversation(session: Session, conversation_id: UUID) -> None:
    await session.execute("select from app.conversation where id = $1 for key share", conversation_id)


async def was_erased(session: Session, connection_id: UUID, provider_id: str) -> bool:
    """Whether the message belonged to a customer who has been erased."""
    return bool(
        await session.fetchval(
            """select exists (select from app.erased_message
                               where connection_id = $1 and message_hash = sha256(convert_to($2, 'UTF8')))""",
            connection_id,
            provider_id,
        )
    )


async def open_conversation(session: Session, connection_id: UUID, message: InboundMessage) -> Record:
    """Find or make the message's conversation and lock it. `known`: the message is stored already."""
    name = message.author_name if message.author == "customer" else ""
    row = await session.fetchrow(
        """insert into app.conversation as c (id, connection_id, chat_id, talk_id, contact_id, lead_id,
                                         customer_name, channel)
           values ($1, $2, $3, $4, $5, $6, $7, $8)
           on conflict (org_id, connection_id, chat_id) do update
              set talk_id = coalesce(excluded.talk_id, c.talk_id),
                  contact_id = coalesce(excluded.contact_id, c.contact_id),
                  lead_id = coalesce(excluded.lead_id, c.lead_id),
                  customer_name = case when excluded.customer_name <> '' then excluded.customer_name
                                       else c.customer_name end,
                  channel = case when c.channel = '' then excluded.channel else c.channel end
           returning c.id, c.last_seq, c.taken_over_at,
                     exists (select from app.message m
                              where m.conversation_id = c.id and m.provider_id = $9) as known,
                     exists (select from app.message m
                              where m.conversation_id = c.id and m.provider_id >= 'widget:'
                                and m.provider_id < 'widget;') as has_said""",
        new_id(),
        connection_id,
        message.chat_id,
        message.talk_id,
        message.contact_id,
        message.lead_id,
        name,
        message.origin,
        message.provider_id,
    )
    if row is None:
        raise LookupError("an upsert returns its row")
    return row


async def set_letter(session: Session, conversation_id: UUID, letter: Letter, *, is_theirs: bool) -> None:
    """Let the conversation go on where the customer wrote from; a colleague may write to others as well."""
    await session.execute(
        """update app.conversation set mail_subject = $2, mail_address = $3, mail_box = $4
            where id = $1 and ($5 or mail_address is null)""",
        conversation_id,
        letter.subject,
        letter.address,
        letter.mailbox,
        is_theirs,
    )


async def find_place(session: Session, said: CustomerSaid, chat_id: str | None) -> Record | None:
    """Return the conversation a bot's words belong to: of its chat, of its talk, else the deal's latest."""
    return await session.fetchrow(
        """select id, chat_id, channel from app.conversation
            where connection_id = $1
              and case when $4::text is not null then chat_id = $4
                       else lead_id = $2 and ($3::bigint is null or talk_id is null or talk_id = $3) end
            order by talk_id is not distinct from $3 desc, last_message_at desc limit 1""",
        said.connection_id,
        said.lead_id,
        said.talk_id,
        chat_id,
    )


async def recent_words(session: Session, connection_id: UUID, lead_id: int, within: timedelta) -> list[str]:
    rows = await session.fetch(
        """select m.text from app.message m join app.conversation c on c.id = m.conversation_id
            where c.connection_id = $1 and c.lead_id = $2 and m.author = 'customer'
              and m.created_at > clock_timestamp() - $3::interval""",
        connection_id,
        lead_id,
        within,
    )
    return [row["text"] for row in rows]


async def said_messages(session: Session, conversation_id: UUID) -> list[Record]:
    """Return the lately stored messages whose own ids are not known."""
    return await session.fetch(
        """select seq, text from app.message
            where conversation_id = $1 and provider_id >= 'widget:' and provider_id < 'widget;'
              and created_at > clock_timestamp() - interval '1 day' order by seq""",
        conversation_id,
    )


async def rename_message(session: Session, conversation_id: UUID, seq: int, provider_id: str) -> None:
    await session.execute(
        "update app.message set provider_id = $3 where conversation_id = $1 and seq = $2",
        conversation_id,
        seq,
        provider_id,
    )


async def append_message(
    session: Session,
    conversation_id: UUID,
    *,
    author: str,
    author_name: str,
    text: str,
    provider_id: str | None,
    sent_at: datetime,
    attachment_type: str | None = None,
    turn_id: UUID | None = None,
) -> int | None:
    """Append under the next seq, which it returns; None if the provider's id is stored already."""
    seq: int | None = await session.fetchval(
        """with place as (
             update app.conversation set last_seq = last_seq + 1, last_text = $9,
                    last_message_at = greatest(last_message_at, $7)
              where id = $1 and not exists (select from app.message m
                                             where m.conversation_id = $1 and m.provider_id = $5)
             returning last_seq)
           insert into app.message (conversation_id, seq, author, author_name, text, provider_id, sent_at,
                                    attachment_type, turn_id)
           select $1, last_seq, $2, $3, $4, $5, $7, $6, $8 from place returning seq""",
        conversation_id,
        author,
        author_name,
        text,
        provider_id,
        attachment_type,
        sent_at,
        turn_id,
        text[:PREVIEW_CHARS],
    )
    return seq


async def adopt_message(
    session: Session, conversation_id: UUID, provider_id: str, turn_id: UUID, agent_name: str
) -> None:
    """The CRM reported our reply, in other words, before we knew its id: it holds no chat."""
    await session.execute(
        """with ours as (
             update app.message set author = 'agent', author_name = $4, turn_id = $3
              where conversation_id = $1 and provider_id = $2 and author in ('human', 'bot')
             returning sent_at)
           update app.conversation c set taken_over_at = null, taken_over_by = null, quiet_since = null
             from ours where c.id = $1 and c.taken_over_at = ours.sent_at""",
        conversation_id,
        provider_id,
        turn_id,
        agent_name,
    )


async def hold(session: Session, conversation_id: UUID, by: str, now: datetime) -> bool:
    """Mark the chat as a person's. Returns whether it was not before."""
    done = await session.fetchval(
        """update app.conversation set taken_over_at = $2, taken_over_by = $3
            where id = $1 and taken_over_at is null returning true""",
        conversation_id,
        now,
        by,
    )
    return bool(done)


async def note_quiet(session: Session, conversation_id: UUID, since: datetime) -> None:
    """Note since when the person who holds the chat has not written: the time to resume counts anew."""
    await session.execute(
        "update app.conversation set quiet_since = $2 where id = $1 and taken_over_at is not null",
        conversation_id,
        since,
    )


async def resumes_due(session: Session, limit: int) -> list[tuple[UUID, UUID]]:
    rows = await session.fetch("select org_id, conversation_id from app.resumes_due($1)", limit)
    return [(row["org_id"], row["conversation_id"]) for row in rows]


async def release(session: Session, conversation_id: UUID) -> bool:
    done = await session.fetchval(
        """update app.conversation set taken_over_at = null, taken_over_by = null, quiet_since = null
            where id = $1 and taken_over_at is not null returning true""",
        conversation_id,
    )
    return bool(done)


async def update_talk(session: Session, seen: TalkSeen) -> None:
    await session.execute(
        """update app.conversation
              set talk_id = case when $5 then $3 else talk_id end, lead_id = coalesce($4, lead_id)
            where connection_id = $1 and chat_id = $2
              and (talk_id is distinct from $3 or lead_id is distinct from $4)""",
        seen.connection_id,
        seen.chat_id,
        seen.talk_id,
        seen.lead_id,
        seen.is_open,
    )


async def set_talk(session: Session, conversation_id: UUID, talk_id: int) -> None:
    await session.execute("update app.conversation set talk_id = $2 where id = $1", conversation_id, talk_id)


async def set_customer_name(session: Session, conversation_id: UUID, name: str) -> None:
    await session.execute(
        "update app.conversation set customer_name = $2 where id = $1 and customer_name = ''",
        conversation_id,
        name,
    )


async def conversations_of_lead(session: Session, connection_id: UUID, lead_id: int) -> list[UUID]:
    rows = await session.fetch(
        "select id from app.conversation where connection_id = $1 and lead_id = $2 order by id",
        connection_id,
        lead_id,
    )
    return [row["id"] for row in rows]


async def select_conversation(
    session: Session, conversation_id: UUID, *, lock: bool = False
) -> Record | None:
    return await session.fetchrow(
        f"{_CONVERSATION} where id = $1{' for no key update' if lock else ''}", conversation_id
    )


async def select_conversation_page(
    session: Session, page: Page, connection_id: UUID | None, taken_over: bool | None
) -> list[Record]:
    return await session.fetch(
        f"""{_CONVERSATION} where ($1::uuid is null or connection_id = $1)
              and ($2::boolean is null or (taken_over_at is not null) = $2) and {page.clause(3)}""",
        connection_id,
        taken_over,
        *page.args,
    )


async def select_message_page(session: Session, conversation_id: UUID, page: Page) -> list[Record]:
    return await session.fetch(
        f"{_MESSAGE} where conversation_id = $1 and {page.clause(2)}", conversation_id, *page.args
    )


async def select_conversations(session: Session, before: datetime | None, limit: int) -> list[Record]:
    return await session.fetch(
        f"""{_CONVERSATION} where last_message_at < coalesce($1::timestamptz, 'infinity')
             order by last_message_at desc limit $2""",
        before,
        limit,
    )


async def select_messages(
    session: Session, conversation_id: UUID, from_seq: int, limit: int, to_seq: int | None = None
) -> list[Record]:
    """Return the last `limit` messages with at least this seq, and at most that one, oldest first."""
    rows = await session.fetch(
        f"""{_MESSAGE}
            where conversation_id = $1 and seq >= $2 and ($4::bigint is null or seq <= $4)
            order by seq desc limit $3""",
        conversation_id,
        from_seq,
        limit,
        to_seq,
    )
    return rows[::-1]


async def asked_at(
    session: Session, conversation_id: UUID, first_seq: int, last_seq: int, skew: timedelta
) -> datetime | None:
    found: datetime | None = await session.fetchval(
        """select max(least(created_at, sent_at + $4::interval)) from app.message
            where conversation_id = $1 and seq between $2 and $3 and author = 'customer'""",
        conversation_id,
        first_seq,
        last_seq,
        skew,
    )
    return found


async def last_said_at(session: Session, conversation_id: UUID) -> datetime | None:
    """The last few messages decide: a late one may carry an earlier time."""
    found: datetime | None = await session.fetchval(
        """select max(sent_at) from (select sent_at from app.message
                                      where conversation_id = $1 and author = 'customer'
                                      order by seq desc limit 20) as recent""",
        conversation_id,
    )
    return found


async def count_replies(session: Session, periods: Sequence[tuple[datetime, datetime]]) -> list[int]:
    starts, ends = zip(*periods, strict=True)
    rows = await session.fetch(
        """select (select count(*) from app.message m
                    where m.author = 'agent' and m.sent_at >= p.start and m.sent_at < p.stop) as replies
             from unnest($1::timestamptz[], $2::timestamptz[]) with ordinality as p (start, stop, n)
            order by p.n""",
        list(starts),
        list(ends),
    )
    return [row["replies"] for row in rows]


async def has_spoken(session: Session, conversation_id: UUID) -> bool:
    found: bool = await session.fetchval(
        "select exists (select from app.message where conversation_id = $1 and author <> 'customer')",
        conversation_id,
    )
    return found


async def has_replies(session: Session) -> bool:
    return bool(await session.fetchval("select exists (select from app.message where author = 'agent')"))


async def watch_delivery(session: Session, conversation_id: UUID, due_in: timedelta) -> None:
    """Begin to look after replies where the CRM shows what becomes of them: Kommo, not amoCRM."""
    await session.execute(
        """insert into app.delivery_watch (conversation_id, connection_id, check_at)
           select c.id, c.connection_id, clock_timestamp() + $2::interval
             from app.conversation c join app.crm_connection k on k.id = c.connection_id
            where c.id = $1 and k.host not like '%.amocrm.ru' and k.host not like '%.amocrm.test'
           on conflict (org_id, conversation_id) do update
              set check_at = least(delivery_watch.check_at, excluded.check_at)""",
        conversation_id,
        due_in,
    )


async def watch_again(session: Session, conversation_id: UUID, due_in: timedelta) -> bool:
    done = await session.fetchval(
        """update app.delivery_watch set check_at = clock_timestamp() + $2::interval
            where conversation_id = $1 returning true""",
        conversation_id,
        due_in,
    )
    return bool(done)


async def stop_watching(session: Session, conversation_id: UUID) -> None:
    await session.execute("delete from app.delivery_watch where conversation_id = $1", conversation_id)


async def select_undelivered(session: Session, conversation_id: UUID, since: timedelta) -> list[Record]:
    return await session.fetch(
        """select seq, provider_id, turn_id, text, sent_at, delivery_status as status from app.message
            where conversation_id = $1 and provider_id is not null and turn_id is not null
              and coalesce(delivery_status, 'sent') in ('sent', 'delivered')
              and sent_at > clock_timestamp() - $2::interval
            order by seq""",
        conversation_id,
        since,
    )


async def note_left(session: Session, conversation_id: UUID, provider_id: str) -> bool:
    done = await session.fetchval(
        """update app.message set delivery_status = 'sent'
            where conversation_id = $1 and provider_id = $2 and turn_id is not null
              and delivery_status is null
        returning true""",
        conversation_id,
        provider_id,
    )
    return bool(done)


async def update_delivery(session: Session, conversation_id: UUID, seq: int, status: str) -> bool:
    done = await session.fetchval(
        """update app.message set delivery_status = $3
            where conversation_id = $1 and seq = $2 and delivery_status is distinct from $3
        returning true""",
        conversation_id,
        seq,
        status,
    )
    return bool(done)


async def assign(session: Session, conversation_id: UUID, person_id: UUID | None) -> None:
    await session.execute(
        "update app.conversation set assignee_id = $2 where id = $1", conversation_id, person_id
    )


async def mark_read(session: Session, conversation_id: UUID, person_id: UUID) -> None:
    """Note that a member has seen all there is; one who is no member here has no marks."""
    await session.execute(
        """insert into app.conversation_read as r (person_id, conversation_id, seq)
           select $2, c.id, c.last_seq from app.conversation c
            where c.id = $1 and exists (select from app.member where person_id = $2)
           on conflict (org_id, person_id, conversation_id) do update set seq = excluded.seq
            where r.seq < excluded.seq""",
        conversation_id,
        person_id,
    )
