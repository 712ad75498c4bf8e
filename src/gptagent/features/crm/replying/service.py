"""Verbs of replying: how a connection replies, and the way a reply goes now."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm import service as crm
from gptagent.features.crm.connecting.keys import Keys
from gptagent.features.crm.mirror import store as mirror
from gptagent.features.crm.model import (
    MAIL,
    CallPriority,
    Connection,
    CrmLink,
    NamedId,
    ReplyRoute,
    brand_of,
)
from gptagent.features.crm.ports import CrmPort, ReplyTransport
from gptagent.features.crm.records import Channel
from gptagent.features.crm.replying import store
from gptagent.features.crm.replying.mailing import MailTransport
from gptagent.features.crm.replying.model import (
    FIELD_NAME,
    LOOK_SOON,
    MODES,
    OUTGOING_CODE,
    SECRET_MAX_CHARS,
    SECRET_MIN_CHARS,
    SLOT_LASTS,
    STEP_MAX,
    STEP_MIN,
    Circumstances,
    Reply,
    ReplySetup,
    choose_route,
    window_is_closed,
)
from gptagent.features.crm.replying.transports import build_transport, is_unreadable, release
from gptagent.features.mail.model import Mailer
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, FieldError, Forbidden, Invalid, NotFound
from gptagent.kernel.scope import Scope

__all__ = [
    "CrmRoutes",
    "Reply",
    "Standing",
    "carries_files",
    "change_setup",
    "get_setup",
    "get_standing",
    "is_unreadable",
    "list_choices",
    "look_soon",
    "make_field",
    "note_refusal",
    "release",
    "reports_replies",
    "widget_url",
    "window_is_closed",
]

SECRET_PURPOSE = "crm-widget"  # noqa: S105 - names what is sealed
# What says that this account's messages cannot go straight into a talk.
REFUSALS = frozenset({"crm_payment_required", "crm_scope"})
LONG_TEXT = "textarea"
DRIVE_SCOPE = "files"  # of a token that may put files into the account's drive
NAME_MAX_CHARS = 200
LARGEST_ID = 2**63


@dataclass(frozen=True, slots=True)
class Choices:
    """What the account offers for the way by a bot; `reason` is the code of why it could not be asked."""

    bots: tuple[NamedId, ...] = ()
    fields: tuple[NamedId, ...] = ()
    reason: str | None = None


async def get_setup(session: Session, connection_id: UUID) -> ReplySetup:
    row = await store.select_setup(session, connection_id)
    return ReplySetup(**dict(row)) if row else ReplySetup(connection_id)


@dataclass(frozen=True, slots=True)
class SentBy:
    """Replies of the last 30 days, by their way."""

    talk: int = 0
    salesbot: int = 0
    widget: int = 0
    mail: int = 0


WidgetKey = Literal["integration", "entered", "missing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a connection replies: what is set, what the account has, and which way a deal's reply goes now.

    `widget_key` checks what the account's bots ask: that of the integration by whose consent it is connected,
    or one that was entered. `carries_files`: what an article brings along can go after such a reply.
    """

    setup: ReplySetup
    route: ReplyRoute
    token_may_send: bool
    waiting_bots: int
    sent: SentBy
    widget_key: WidgetKey
    is_oauth: bool
    carries_files: bool


async def get_standing(session: Session, connection_id: UUID, keys: Keys) -> Standing:
    """Raises NotFound."""
    connection = await crm.get_connection(session, connection_id)
    setup = await get_setup(session, connection_id)
    waiting = await store.count_slots(session, connection_id, SLOT_LASTS)
    route = await _route_now(session, connection, setup, slot_waits=waiting > 0)
    sent = SentBy(**await store.count_sent(session, connection_id))
    return Standing(
        setup=setup,
        route=route,
        token_may_send=connection.can_send_messages,
        waiting_bots=waiting,
        sent=sent,
        widget_key=await _widget_key(session, connection, setup, keys),
        is_oauth=connection.access_kind == "oauth",
        carries_files=_carries_files(connection, route),
    )


async def carries_files(session: Session, connection_id: UUID) -> bool:
    """Whether files can follow a reply as it goes now: a field and a bot's answer hold text only.

    Raises NotFound.
    """
    connection = await crm.get_connection(session, connection_id)
    setup = await get_setup(session, connection_id)
    waiting = await store.count_slots(session, connection_id, SLOT_LASTS)
    route = await _route_now(session, connection, setup, slot_waits=waiting > 0)
    return _carries_files(connection, route)


async def _route_now(
    session: Session, connection: Connection, setup: ReplySetup, *, slot_waits: bool
) -> ReplyRoute:
    """Return the way of the next reply to a deal's chat."""
    about = Circumstances(
        brand=brand_of(connection.host),
        token_may_send=connection.can_send_messages,
        has_lead=True,
        slot_waits=slot_waits,
        now=utcnow(),
        bots_ask=await store.bots_ask(session, connection.id, SLOT_LASTS),
    )
    return choose_route(setup, about)


def _carries_files(connection: Connection, route: ReplyRoute) -> bool:
    may_upload = connection.scopes is None or DRIVE_SCOPE in connection.scopes
    may_send = connection.can_send_messages and may_upload
    return route == "talk" and brand_of(connection.host) == "kommo" and may_send


async def _widget_key(session: Session, connection: Connection, setup: ReplySetup, keys: Keys) -> WidgetKey:
    if connection.access_kind == "oauth":
        own = await keys.find(session, connection.brand, connection.client_id or "")
        return "integration" if own else "missing"
    return "entered" if setup.has_widget_secret else "missing"


async def reports_replies(session: Session, connection_id: UUID) -> bool:
    """Whether a reply that left is told of by itself: by Kommo's webhook, or by amoCRM's log, which is read.

    An account that has not said yet which reports it knows is taken for one that does.
    """
    row = await store.select_reporting(session, connection_id)
    if row is None or row["brand"] == "amocrm":
        return True
    return row["hook_state"] != "refused" and (not row["hook_codes"] or OUTGOING_CODE in row["hook_codes"])


async def look_soon(session: Session, link: CrmLink) -> None:
    """A reply was taken: where no webhook tells of it, have the log read soon, once for all deals."""
    if brand_of(link.host) == "amocrm":
        await store.look_by(session, link.connection_id, LOOK_SOON)


def widget_url(connection_id: UUID, public_url: str) -> str:
    """Return where the account's widget block asks. It is no secret: a signed token decides who is heard."""
    return f"{public_url}/hooks/kommo/{connection_id}/widget"


async def change_setup(
    session: Session,
    connection_id: UUID,
    changes: Mapping[str, object],
    vault: Vault,
    *,
    sends_letters: bool = False,
) -> ReplySetup:
    """Change how a connection replies: mode, field_id, field_name, bot_id, bot_name, widget_step,
    reads_letters, and widget_secret ('' forgets it). Raises NotFound; Invalid by field; Conflict for a secret
    of an account that is connected by consent: its integration's is known.
    """
    connection = await crm.get_connection(session, connection_id, lock=True)
    if connection.access_kind == "oauth" and changes.get("widget_secret"):
        raise Conflict(
            "crm_widget_key_known",
            "This account is connected by consent: the key of its integration is known already.",
        )
    before = await get_setup(session, connection_id)
    values = _checked(changes)
    if values.get("reads_letters") and not before.reads_letters:
        if not sends_letters:
            raise Invalid.field(
                "reads_letters", "The platform has no mail server. Its operator sets SMTP_URL and MAIL_FROM."
            )
        await mirror.upsert_channels(session, connection_id, [Channel(MAIL)])
    sealed = await store.select_widget_secret(session, connection_id)
    if "widget_secret" in values:
        secret = str(values.pop("widget_secret") or "")
        sealed = vault.seal(secret, org_id=session.scope.org_id, purpose=SECRET_PURPOSE) if secret else None
    await store.put_setup(session, replace(before, **values), sealed)  # type: ignore[arg-type]  # checked above
    await store.forget_refusal(session, connection_id)  # whoever saves wants it tried again
    after = await get_setup(session, connection_id)
    changed = _differences(before, after, secret_given="widget_secret" in changes)
    if changed:
        await audit.record(session, Entry("connection.replies", "connection", str(connection_id), changed))
    await session.publish("connections", "changed", {"connection_id": str(connection_id)})
    return after


def _differences(
    before: ReplySetup, after: ReplySetup, *, secret_given: bool
) -> dict[str, tuple[object, object] | None]:
    names = ("mode", "field_id", "bot_id", "widget_step", "reads_letters")
    changed: dict[str, tuple[object, object] | None] = {
        name: (getattr(before, name), getattr(after, name))
        for name in names
        if getattr(before, name) != getattr(after, name)
    }
    return changed | ({"widget_secret": None} if secret_given else {})


def _checked(changes: Mapping[str, object]) -> dict[str, object]:
    values = dict(changes)
    wrong: list[FieldError] = [
        FieldError(name, "Enter the number as the CRM shows it.")
        for name in ("field_id", "bot_id")
        if not _is_number(values.get(name))
    ]
    if "mode" in values and values["mode"] not in MODES:
        wrong.append(FieldError("mode", "Choose one of the offered ways."))
    step = values.get("widget_step", STEP_MIN)
    if not isinstance(step, int) or not STEP_MIN <= step <= STEP_MAX:
        wrong.append(
            FieldError(
                "widget_step", "Enter a number from {least} to {most}.", {"least": STEP_MIN, "most": STEP_MAX}
            )
        )
    secret = values.get("widget_secret")
    if isinstance(secret, str) and secret and not _is_secret(secret):
        wrong.append(FieldError("widget_secret", "Paste the secret key exactly as the CRM shows it."))
    for name in ("field_name", "bot_name"):
        if isinstance(values.get(name), str):
            values[name] = str(values[name])[:NAME_MAX_CHARS]
    if wrong:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(wrong))
    return values


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int) and 0 < value < LARGEST_ID)


def _is_secret(text: str) -> bool:
    is_plain = text.isascii() and not any(char.isspace() for char in text)
    return is_plain and SECRET_MIN_CHARS <= len(text) <= SECRET_MAX_CHARS


async def list_choices(
    db: Database, scope: Scope, connection_id: UUID, *, crm_port: CrmPort, vault: Vault
) -> Choices:
    """Ask the account for its bots and the text fields of its deals. Raises NotFound only."""
    try:
        link = await _open(db, scope, connection_id, vault)
        fields = await _text_fields(crm_port, link)
    except AppError as error:
        if error.code == "not_found":
            raise
        return Choices(reason=error.code)
    try:
        bots = await crm_port.fetch_salesbots(link, CallPriority.READ)
        return Choices(tuple(NamedId(one.id, one.name or str(one.id)) for one in bots), fields)
    except AppError as error:  # amoCRM and older accounts have no such list: the number is typed
        return Choices((), fields, error.code)


async def make_field(
    db: Database, scope: Scope, connection_id: UUID, *, crm_port: CrmPort, vault: Vault
) -> ReplySetup:
    """Find or create the deal's field for replies, and use it from now on. Raises what the CRM answered."""
    link = await _open(db, scope, connection_id, vault)
    known = [one for one in await _text_fields(crm_port, link) if one.name == FIELD_NAME]
    field = known[0] if known else await crm_port.create_text_field(link, FIELD_NAME)
    async with db.session(scope) as session:
        chosen = {"field_id": field.id, "field_name": field.name}
        return await change_setup(session, connection_id, chosen, vault)


async def _text_fields(crm_port: CrmPort, link: CrmLink) -> tuple[NamedId, ...]:
    """Return the deal's fields that hold long text."""
    found = await crm_port.fetch_fields(link, "leads", CallPriority.READ)
    return tuple(NamedId(one.id, one.name or str(one.id)) for one in found if one.type == LONG_TEXT)


async def _open(db: Database, scope: Scope, connection_id: UUID, vault: Vault) -> CrmLink:
    async with db.session(scope) as session:
        return await crm.open_link(session, connection_id, vault)


async def find_route(session: Session, link: CrmLink, lead_id: int | None, talk_id: int | None) -> ReplyRoute:
    """Return the way a reply about that deal would go now. Raises NotFound."""
    route, _setup = await _find_way(session, link, lead_id, talk_id)
    return route


async def _find_way(
    session: Session, link: CrmLink, lead_id: int | None, talk_id: int | None
) -> tuple[ReplyRoute, ReplySetup]:
    row = await store.select_way(session, link.connection_id, lead_id, talk_id, SLOT_LASTS)
    if row is None:
        raise NotFound
    chosen = dict(row)
    about = Circumstances(
        brand=brand_of(link.host),
        token_may_send=chosen.pop("token_may_send"),
        has_lead=lead_id is not None,
        slot_waits=chosen.pop("slot_waits"),
        now=utcnow(),
        bots_ask=chosen.pop("bots_ask"),
    )
    is_set_up = chosen["connection_id"] is not None
    setup = ReplySetup(**chosen) if is_set_up else ReplySetup(link.connection_id)
    return choose_route(setup, about), setup


@dataclass(frozen=True, slots=True)
class CrmRoutes:
    """Finds the way of a reply, and what carries it."""

    db: Database
    scope: Scope
    crm: CrmPort
    vault: Vault
    mailer: Mailer | None = None

    async def choose(self, session: Session, link: CrmLink, reply: Reply) -> ReplyTransport:
        """Return what carries a new reply, by the setup, the plan and what the CRM has refused lately.

        A letter is answered by a letter.
        """
        if reply.letter is not None:
            return MailTransport(self.db, self.scope, self.mailer)
        return self._build(*await _find_way(session, link, reply.lead_id, reply.talk_id))

    async def resume(self, session: Session, link: CrmLink, route: ReplyRoute) -> ReplyTransport:
        """Return what carried a reply that is under way."""
        if route == "mail":
            return MailTransport(self.db, self.scope, self.mailer)
        return self._build(route, await get_setup(session, link.connection_id))

    def _build(self, route: ReplyRoute, setup: ReplySetup) -> ReplyTransport:
        return build_transport(route, setup, db=self.db, scope=self.scope, crm=self.crm, vault=self.vault)

    async def gives_way(self, session: Session, link: CrmLink, reply: Reply, error: AppError) -> bool:
        """Note that the CRM takes no message straight into a talk. Whether the reply may go another way."""
        is_missing = brand_of(link.host) == "amocrm" and error.code == "crm_not_found"
        if not is_missing and not (isinstance(error, Conflict | Forbidden) and error.code in REFUSALS):
            return False
        await note_refusal(session, link.connection_id, error.code)
        setup = await get_setup(session, link.connection_id)
        if setup.mode != "automatic":
            return False
        transport = await self.choose(session, link, reply)
        return transport.route != "talk"


async def note_refusal(session: Session, connection_id: UUID, reason: str) -> None:
    """Remember that the CRM takes no message straight into a talk, for the choice and for the page."""
    await store.note_refusal(session, connection_id, reason)
    await session.publish("connections", "changed", {"connection_id": str(connection_id)})
