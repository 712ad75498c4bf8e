"""All SQL of replying. Locks: connection, conversation, lane, turn, then the deal's claim and the slot."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.crm.replying.model import ReplySetup
from gptagent.kernel.db import Session

_SLOT_VALUES = ("lead_id", "talk_id", "url_hash", "url_sealed", "said_sealed", "asked_at")
_SETUP = """select connection_id, mode, field_id, field_name, bot_id, bot_name, widget_step,
                   widget_secret_sealed is not null as has_widget_secret, refused_reason, refused_at,
                   reads_letters
              from app.crm_reply_setup"""


async def select_setup(session: Session, connection_id: UUID) -> Record | None:
    return await session.fetchrow(f"{_SETUP} where connection_id = $1", connection_id)


async def put_setup(session: Session, setup: ReplySetup, widget_secret: bytes | None) -> None:
    """Store all that a person chooses; what the CRM has refused is kept apart."""
    await session.execute(
        """insert into app.crm_reply_setup (connection_id, mode, field_id, field_name, bot_id, bot_name,
                                           widget_step, widget_secret_sealed, reads_letters)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
           on conflict (org_id, connection_id) do update
              set mode = excluded.mode, field_id = excluded.field_id, field_name = excluded.field_name,
                  bot_id = excluded.bot_id, bot_name = excluded.bot_name, widget_step = excluded.widget_step,
                  widget_secret_sealed = excluded.widget_secret_sealed,
                  reads_letters = excluded.reads_letters""",
        setup.connection_id,
        setup.mode,
        setup.field_id,
        setup.field_name,
        setup.bot_id,
        setup.bot_name,
        setup.widget_step,
        widget_secret,
        setup.reads_letters,
    )


async def forget_refusal(session: Session, connection_id: UUID) -> None:
    await session.execute(
        "update app.crm_reply_setup set refused_reason = null, refused_at = null where connection_id = $1",
        connection_id,
    )


async def connection_by_id(session: Session, connection_id: UUID) -> Record | None:
    return await session.fetchrow(
        "select org_id, connection_id, account_id from app.connection_by_id($1)", connection_id
    )


async def select_widget_secret(session: Session, connection_id: UUID) -> bytes | None:
    sealed: bytes | None = await session.fetchval(
        "select widget_secret_sealed from app.crm_reply_setup where connection_id = $1", connection_id
    )
    return sealed


async def note_refusal(session: Session, connection_id: UUID, reason: str) -> None:
    await session.execute(
        """insert into app.crm_reply_setup (connection_id, refused_reason, refused_at)
           values ($1, $2, clock_timestamp())
           on conflict (org_id, connection_id) do update
              set refused_reason = excluded.refused_reason, refused_at = excluded.refused_at""",
        connection_id,
        reason,
    )


async def claim_lead(
    session: Session, connection_id: UUID, lead_id: int, holder: UUID, lasts: timedelta
) -> bool:
    """Take or keep the deal's turn. False: another reply has it."""
    done = await session.fetchval(
        """insert into app.crm_lead_claim as c (connection_id, lead_id, holder, until)
           values ($1, $2, $3, clock_timestamp() + $4::interval)
           on conflict (org_id, connection_id, lead_id) do update
              set holder = excluded.holder, until = excluded.until
            where c.holder = excluded.holder or c.until < clock_timestamp()
        returning true""",
        connection_id,
        lead_id,
        holder,
        lasts,
    )
    return bool(done)


async def hold_lead(
    session: Session, connection_id: UUID, lead_id: int, holder: UUID, lasts: timedelta
) -> bool:
    """Keep a deal's turn that is still this holder's."""
    done = await session.fetchval(
        """update app.crm_lead_claim set until = clock_timestamp() + $4::interval
            where connection_id = $1 and lead_id = $2 and holder = $3 returning true""",
        connection_id,
        lead_id,
        holder,
        lasts,
    )
    return bool(done)


async def release_lead(session: Session, holder: UUID) -> None:
    await session.execute("delete from app.crm_lead_claim where holder = $1", holder)


async def insert_slot(
    session: Session, slot_id: UUID, connection_id: UUID, values: Mapping[str, object]
) -> bool:
    """Keep a waiting bot. False if it is known already."""
    done = await session.fetchval(
        """insert into app.crm_reply_slot (id, connection_id, lead_id, talk_id, url_hash, url_sealed,
                                          said_sealed, asked_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8)
           on conflict (org_id, connection_id, url_hash) do nothing returning true""",
        slot_id,
        connection_id,
        *(values[name] for name in _SLOT_VALUES),
    )
    return bool(done)


async def outdate_slots(session: Session, connection_id: UUID, lead_id: int, newest: UUID) -> None:
    """A deal runs one bot: those that waited before have been ended."""
    await session.execute(
        """update app.crm_reply_slot set state = 'gone'
            where connection_id = $1 and lead_id = $2 and state = 'waiting' and id <> $3""",
        connection_id,
        lead_id,
        newest,
    )


async def select_way(
    session: Session, connection_id: UUID, lead_id: int | None, talk_id: int | None, lasts: timedelta
) -> Record | None:
    """Return all that says how a reply about a deal goes now: the setup, if there is one, and what is known
    of the account and its bots.
    """
    return await session.fetchrow(
        """select s.*, c.can_send_messages as token_may_send,
                  exists (select from app.crm_reply_slot
                           where connection_id = $1 and lead_id = $2 and state = 'waiting'
                             and (talk_id is null or $3::bigint is null or talk_id = $3)
                             and received_at > clock_timestamp() - $4::interval) as slot_waits,
                  exists (select from app.crm_reply_slot
                           where connection_id = $1
                             and received_at > clock_timestamp() - $4::interval) as bots_ask
             from app.crm_connection c left join ($setup) s on s.connection_id = c.id
            where c.id = $1""".replace("$setup", _SETUP),
        connection_id,
        lead_id,
        talk_id,
        lasts,
    )


async def waiting_slot(
    session: Session, connection_id: UUID, lead_id: int, talk_id: int | None, *, lasts: timedelta
) -> Record | None:
    """Return the slot a reply to the deal would use now.

    `crm_now` is what the CRM's clock shows at least: the time its token was made plus what has passed here
    since; null if the token had none. A second less, as the vendor's own clocks may differ that much.
    """
    return await session.fetchrow(
        """select date_trunc('second', asked_at + (clock_timestamp() - received_at) - interval '1 second')
                    as crm_now
             from app.crm_reply_slot
            where connection_id = $1 and lead_id = $2 and state = 'waiting'
              and (talk_id is null or $3::bigint is null or talk_id = $3)
              and received_at > clock_timestamp() - $4::interval
            order by received_at desc limit 1""",
        connection_id,
        lead_id,
        talk_id,
        lasts,
    )


async def bots_ask(session: Session, connection_id: UUID, lasts: timedelta) -> bool:
    """Whether bots of the account have asked lately."""
    found = await session.fetchval(
        """select exists (select from app.crm_reply_slot
             where connection_id = $1 and received_at > clock_timestamp() - $2::interval)""",
        connection_id,
        lasts,
    )
    return bool(found)


async def has_claims(session: Session, connection_id: UUID) -> bool:
    """Whether a reply by a bot is under way on a deal of the account."""
    found = await session.fetchval(
        """select exists (select from app.crm_lead_claim
             where connection_id = $1 and until > clock_timestamp())""",
        connection_id,
    )
    return bool(found)


async def select_reporting(session: Session, connection_id: UUID) -> Record | None:
    return await session.fetchrow(
        "select brand, hook_state, hook_codes from app.crm_connection where id = $1", connection_id
    )


async def look_by(session: Session, connection_id: UUID, within: timedelta) -> None:
    """Let the account's log be looked at so soon, if it is not anyway."""
    await session.execute(
        """update app.crm_connection set poll_at = clock_timestamp() + $2::interval
            where id = $1 and poll_at > clock_timestamp() + $2::interval""",
        connection_id,
        within,
    )


async def use_slot(
    session: Session,
    connection_id: UUID,
    lead_id: int,
    talk_id: int | None,
    *,
    turn_id: UUID,
    lasts: timedelta,
) -> bytes | None:
    """Use up the newest slot of the deal for this turn. Returns its sealed address; None if none waits."""
    sealed: bytes | None = await session.fetchval(
        """update app.crm_reply_slot set state = 'used', turn_id = $4
            where id = (select id from app.crm_reply_slot
                         where connection_id = $1 and lead_id = $2 and state = 'waiting'
                           and (talk_id is null or $3::bigint is null or talk_id = $3)
                           and received_at > clock_timestamp() - $5::interval
                         order by received_at desc limit 1 for no key update)
              and state = 'waiting' returning url_sealed""",
        connection_id,
        lead_id,
        talk_id,
        turn_id,
        lasts,
    )
    return sealed


async def return_slot(session: Session, turn_id: UUID) -> None:
    await session.execute(
        """update app.crm_reply_slot set state = 'waiting', turn_id = null
            where turn_id = $1 and state = 'used'""",
        turn_id,
    )


async def close_slot(session: Session, turn_id: UUID) -> None:
    await session.execute(
        "update app.crm_reply_slot set state = 'gone' where turn_id = $1 and state = 'used'", turn_id
    )


async def select_said(session: Session, slot_id: UUID) -> Record | None:
    return await session.fetchrow(
        """select connection_id, lead_id, talk_id, received_at, said_sealed from app.crm_reply_slot
            where id = $1""",
        slot_id,
    )


async def forget_said(session: Session, slot_id: UUID) -> bool:
    """Forget the customer's words. Returns whether they were there."""
    done = await session.fetchval(
        """update app.crm_reply_slot set said_sealed = null
            where id = $1 and said_sealed is not null returning true""",
        slot_id,
    )
    return bool(done)


async def forget_slots(session: Session, connection_id: UUID, age: timedelta) -> None:
    await session.execute(
        "delete from app.crm_reply_slot where connection_id = $1 and received_at < now() - $2::interval",
        connection_id,
        age,
    )


async def count_slots(session: Session, connection_id: UUID, lasts: timedelta) -> int:
    found: int = await session.fetchval(
        """select count(*) from app.crm_reply_slot
            where connection_id = $1 and state = 'waiting'
              and received_at > clock_timestamp() - $2::interval""",
        connection_id,
        lasts,
    )
    return found


async def count_sent(session: Session, connection_id: UUID) -> dict[str, int]:
    """Count the replies of the last 30 days by their way; of the dialog's turns nothing else is read."""
    rows = await session.fetch(
        """select t.send_route, count(*) as n
             from app.conversation c join app.turn t on t.conversation_id = c.id
            where c.connection_id = $1 and c.last_message_at > now() - interval '30 days'
              and t.send_route is not null and t.outcome in ('reply', 'not_found')
              and t.ended_at > now() - interval '30 days'
            group by t.send_route""",
        connection_id,
    )
    return {row["send_route"]: row["n"] for row in rows}
