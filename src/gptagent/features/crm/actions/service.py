"""Verbs on actions: asked for, checked against the mirror, owed to the CRM; the journal read and taken back.

Each verb promises the action: its job leaves with the caller's transaction. All raise NotFound for a record
the mirror does not have, Conflict for a connection that is off or broken, Invalid with the wrong field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm import store as crm_store
from gptagent.features.crm.actions import checking, store
from gptagent.features.crm.actions.checking import Asked
from gptagent.features.crm.actions.fieldvalues import (
    CHOOSING,
    NAME_MAX_CHARS,
    SAID_TYPES,
    TEXT_MAX_CHARS,
    check_text,
    contacts_in,
)
from gptagent.features.crm.actions.labels import Line, line_of
from gptagent.features.crm.actions.model import (
    Action,
    ActionKind,
    BotRun,
    Change,
    Create,
    Email,
    Evidence,
    Known,
    Note,
    NoteKind,
    Promise,
    Request,
    Tags,
    Task,
    Update,
    WrittenKind,
)
from gptagent.features.crm.actions.places import check_email
from gptagent.features.crm.connecting.service import check_works, to_connection
from gptagent.features.crm.mirror import service as mirror
from gptagent.features.crm.mirror.model import MirroredField
from gptagent.features.crm.model import Connection
from gptagent.features.organizations import service as organizations
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound, RateLimited
from gptagent.kernel.i18n import translate
from gptagent.kernel.paging import Order, Page

PERFORM = "crm.perform_action"
ORDERS = {"-created_at": Order("-created_at", "created_at", descending=True)}
REASON_MAX_CHARS = 500
CALL_MAX_SECONDS = 86_400
TASK_TYPES_MAX = 2**31 - 1
LINES_SHOWN = 10  # beside a conversation
EMAILS_PER_CONTACT = 5  # in an hour, as many as letters of the platform itself: identity.limits
EMAILS_PER_WORKSPACE = 60
EMAIL_WINDOW = timedelta(hours=1)
EMAIL_NOTE = "An e-mail was sent: {subject}\n\n{text}"
NOBODY = Evidence()
# Who had it written, as msgids.
ACTORS: Mapping[str, str] = {
    "person": "A person",
    "api_key": "A program with a key",
    "system": "The agent",
    "crm": "The agent",
    "operator": "The operator",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A record of a connection."""

    connection_id: UUID
    kind: WrittenKind
    id: int


async def update_record(
    session: Session,
    target: Target,
    asked: Asked,
    evidence: Evidence = NOBODY,
    *,
    kind: ActionKind | None = None,
    keep: Sequence[str] = (),
) -> Action:
    """Have values of a deal or contact written. Every field that changes leaves a line in the journal.

    Of those that `keep` names, what is in the CRM by then stays.
    """
    known = await _known(session, target.connection_id, asked)
    await _check_record(session, target)
    pipeline = None
    if target.kind == "leads":
        pipeline = await store.select_place(session, target.connection_id, target.id)
    values = checking.check_values(known, target.kind, asked, pipeline)
    add = checking.check_tags(asked.tags_add, "tags")
    remove = checking.check_tags(asked.tags_remove, "tags")
    if not (values or add or remove):
        raise Invalid.field("", "Say what to write.")
    wanted: ActionKind = kind or ("update_lead" if target.kind == "leads" else "update_contact")
    return await _owe(session, target, wanted, Update(values, add, remove, keep=tuple(keep)), evidence)


def takes_words(field: MirroredField) -> bool:
    """Whether what somebody says can be written into a field."""
    return field.is_known and field.type in SAID_TYPES and not field.is_api_only


def has_choices(field: MirroredField) -> bool:
    """Whether a field takes only what its own list has."""
    return field.type in CHOOSING


async def create_record(
    session: Session,
    connection_id: UUID,
    kind: WrittenKind,
    asked: Asked,
    *,
    contact_id: int | None = None,
    lead_id: int | None = None,
    evidence: Evidence = NOBODY,
) -> Action:
    """Have a deal or contact made. Its name is what an unconfirmed one is found by again.

    `lead_id`: a deal that has no contact, whose contact it becomes.
    """
    known = await _known(session, connection_id, asked)
    values = checking.check_values(known, kind, asked, None)
    name = check_text("name", str(asked.given.get("name") or ""), NAME_MAX_CHARS)
    if contact_id is not None and not await store.knows_record(
        session, connection_id, "contacts", contact_id
    ):
        raise Invalid.field("contact_id", "The CRM has no such contact. Read the account again if it is new.")
    if lead_id is not None:
        await _check_record(session, Target(connection_id, "leads", lead_id))
    values.pop("name", None)
    tags = checking.check_tags(asked.tags_add, "tags")
    if tags:
        values["tags"] = Tags(tags)
    wanted: ActionKind = "create_lead" if kind == "leads" else "create_contact"
    request = Create(name, values, contact_id, lead_id)
    return await _insert(session, Promise(connection_id, wanted, kind, None, request, evidence))


async def create_task(
    session: Session, target: Target, task: Task, evidence: Evidence = NOBODY, *, now: datetime
) -> Action:
    """Have a task made for a person of the CRM; without one, for whoever is responsible for the deal."""
    known = await _known(session, target.connection_id)
    await _check_record(session, target)
    text = check_text("text", task.text, TEXT_MAX_CHARS)
    checking.check_due(task.due_at, now)
    if not 1 <= task.type_id <= TASK_TYPES_MAX:
        raise Invalid.field("type_id", "Name a type of task by its number.")
    if task.responsible_user_id is not None:
        checking.check_user(known, task.responsible_user_id)
    checked = Task(text, task.due_at, task.type_id, task.responsible_user_id)
    return await _owe(session, target, "create_task", checked, evidence)


async def add_note(session: Session, target: Target, note: Note, evidence: Evidence = NOBODY) -> Action:
    """Have a note left on a record: of words, of a call, or of a meeting."""
    await _known(session, target.connection_id)
    await _check_record(session, target)
    return await _owe(session, target, _NOTES[note.kind], _checked_note(note), evidence)


_NOTES: dict[NoteKind, ActionKind] = {
    "common": "add_note",
    "call_in": "create_call_note",
    "call_out": "create_call_note",
    "meeting": "create_meeting_note",
}


def _checked_note(note: Note) -> Note:
    if note.kind in {"common", "meeting"}:
        return Note(note.kind, check_text("text", note.text, checking.NOTE_MAX_CHARS))
    if not 0 <= note.duration <= CALL_MAX_SECONDS:
        raise Invalid.field("duration", "At most {most} seconds.", most=CALL_MAX_SECONDS)
    phone = check_text("phone", note.phone, 50)
    link = check_text("link", note.link, 2000, required=False)
    if link and not link.startswith("https://"):
        raise Invalid.field("link", "The address of a recording begins with https://.")
    return Note(note.kind, "", note.duration, phone, link)


async def send_email(
    session: Session,
    target: Target,
    email: Email,
    evidence: Evidence = NOBODY,
    *,
    sends_letters: bool,
    now: datetime,
) -> Action:
    """Have an e-mail sent to a contact's address in the CRM, once. The address is looked up when it is sent.

    Raises Conflict("email_not_set_up") without a mail server, RateLimited after too many in an hour.
    """
    await _known(session, target.connection_id)
    await _check_record(session, target)
    checked = check_email(email)
    if not sends_letters:
        raise Conflict(
            "email_not_set_up", "The platform has no mail server. Its operator sets SMTP_URL and MAIL_FROM."
        )
    if email.lead_id is not None and not await store.knows_record(
        session, target.connection_id, "leads", email.lead_id
    ):
        raise Invalid.field("lead_id", "The CRM has no such deal. Read the account again if it is new.")
    of_contact, of_all = await store.count_emails(
        session, target.connection_id, target.id, now - EMAIL_WINDOW
    )
    if of_contact >= EMAILS_PER_CONTACT or of_all >= EMAILS_PER_WORKSPACE:
        raise RateLimited(
            "too_many_letters",
            "Too many letters were sent lately. Try again later.",
            retry_after=EMAIL_WINDOW.total_seconds(),
        )
    return await _owe(session, target, "send_email", checked, evidence)


async def note_email(session: Session, target: Target, subject: str, text: str) -> None:
    """Have what was written to a contact left there as a note, for the people who look after them."""
    locale = await organizations.get_locale(session)
    told = translate(locale, EMAIL_NOTE, subject=subject, text=text)
    await _owe(session, target, "add_note", Note("common", told[: checking.NOTE_MAX_CHARS]), NOBODY)


async def run_salesbot(session: Session, target: Target, bot_id: int, evidence: Evidence = NOBODY) -> Action:
    """Have a Salesbot started on a deal, once: the CRM cannot be asked whether it was."""
    known = await _known(session, target.connection_id)
    await _check_record(session, target)
    checking.check_salesbot(known, bot_id)
    return await _owe(session, target, "run_salesbot", BotRun(bot_id), evidence)


async def owe_revert(session: Session, change: Change, connection_id: UUID, *, force: bool) -> Action:
    """Have the value before written back. Raises Conflict if that is done, or under way."""
    held = await store.select_change(session, connection_id, change.id, lock=True)
    if held is None:
        raise NotFound
    check_revertible(held)
    assert held.before is not None  # what may be reverted has one
    request = Update(
        {held.key: held.before}, expected={} if force else {held.key: held.after}, reverts=held.id
    )
    target = Target(connection_id, held.entity, held.entity_id)
    await _known(session, connection_id)
    return await _owe(session, target, "revert", request, NOBODY)


def check_revertible(change: Change) -> None:
    """Raise Conflict if there is nothing to take back."""
    if change.reverted_at is not None or change.is_being_reverted:
        raise Conflict("already_reverted", "This change was taken back already.")
    if not change.may_be_reverted:
        raise Conflict("not_revertible", "This change cannot be taken back.")


async def count_notes(session: Session, target: Target) -> int:
    """Return how many notes the platform has left on a record, or is leaving."""
    return await store.count_notes(session, target.connection_id, target.kind, target.id)


async def get_action(session: Session, connection_id: UUID, action_id: UUID) -> Action:
    found = await store.select_action(session, connection_id, action_id)
    if found is None:
        raise NotFound
    return found


async def get_change(session: Session, connection_id: UUID, change_id: UUID) -> Change:
    found = await store.select_change(session, connection_id, change_id)
    if found is None:
        raise NotFound
    return found


async def page_changes(
    session: Session,
    connection_id: UUID,
    page: Page,
    *,
    kind: WrittenKind | None = None,
    record_id: int | None = None,
) -> tuple[list[Change], str | None]:
    """Return a page of the journal. Raises NotFound if there is no such connection."""
    await _connection(session, connection_id)
    found = await store.select_page(session, connection_id, page, kind, record_id)
    return page.cut(found, lambda one: (one.created_at, one.id))


async def list_changes(
    session: Session,
    connection_id: UUID,
    *,
    kind: WrittenKind | None = None,
    record_id: int | None = None,
    offset: int = 0,
    limit: int,
) -> tuple[Sequence[Change], int]:
    """Return lines of the journal, the latest first, and how many there are."""
    found = await store.select_latest(session, connection_id, (kind, record_id), offset, limit)
    return found, await store.count_changes(session, connection_id, kind, record_id)


async def lines_of_customer(
    session: Session, connection_id: UUID, lead_id: int | None, contact_id: int | None
) -> list[Line]:
    """Return the latest lines of the journal about a customer's deal and contact, as a person reads them."""
    found = await store.select_of_customer(session, connection_id, lead_id, contact_id, LINES_SHOWN)
    known = await known_of(session, connection_id) if found else Known((), (), (), ())
    return [line_of(known, one) for one in found]


async def known_of(session: Session, connection_id: UUID, asked: Asked | None = None) -> Known:
    """Return how the account is set up, with what is gone, and of whom `asked` speaks."""
    contacts = contacts_in(asked.fields or {}) if asked is not None else []
    return Known(
        await mirror.list_pipelines(session, connection_id, removed=True),
        await mirror.list_fields(session, connection_id, removed=True),
        await mirror.list_users(session, connection_id, removed=True),
        await mirror.list_salesbots(session, connection_id, removed=True),
        await store.select_contact_names(session, connection_id, contacts) if contacts else {},
    )


async def _known(session: Session, connection_id: UUID, asked: Asked | None = None) -> Known:
    check_works(await _connection(session, connection_id))
    return await known_of(session, connection_id, asked)


async def _connection(session: Session, connection_id: UUID) -> Connection:
    row = await crm_store.select_connection(session, connection_id)
    if row is None:
        raise NotFound
    return to_connection(row)


async def _check_record(session: Session, target: Target) -> None:
    if not await store.knows_record(session, target.connection_id, target.kind, target.id):
        raise NotFound


async def _owe(
    session: Session, target: Target, kind: ActionKind, request: Request, evidence: Evidence
) -> Action:
    promise = Promise(target.connection_id, kind, target.kind, target.id, request, evidence)
    return await _insert(session, promise)


async def _insert(session: Session, promise: Promise) -> Action:
    check_text("reason", promise.evidence.reason, REASON_MAX_CHARS, required=False)
    action_id = await store.insert_action(session, promise)
    await session.enqueue(PERFORM, {"action_id": str(action_id)})
    record = f"{promise.entity}/{promise.record_id or 'new'}"
    changes = {"kind": (None, promise.kind), "record": (None, record)}
    await audit.record(session, Entry("crm_action.asked", "crm_action", str(action_id), changes))
    return await get_action(session, promise.connection_id, action_id)
