"""The job that carries an action out: claimed, called without a transaction, recorded; never done twice."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.crm import service as crm_service
from gptagent.features.crm.actions import service, store
from gptagent.features.crm.actions.model import (
    DATE_SLACK,
    ActionState,
    BotRun,
    Create,
    Email,
    Held,
    NewNote,
    Note,
    Plain,
    Tags,
    Task,
    Update,
    Values,
    WrittenKind,
    held_in,
    read_request,
    same,
)
from gptagent.features.crm.actions.places import address_in, fill_email
from gptagent.features.crm.actions.service import Target
from gptagent.features.crm.calling.once import made_once
from gptagent.features.crm.deliveries.model import RecordKind
from gptagent.features.crm.model import CrmLink, NewTask
from gptagent.features.crm.ports import CrmPort
from gptagent.features.mail.model import Mailer, Written
from gptagent.features.mail.service import compose_written
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Session
from gptagent.kernel.errors import (
    AppError,
    Conflict,
    Forbidden,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    UpstreamUnavailable,
)
from gptagent.kernel.i18n import translate
from gptagent.kernel.jobs import JobContext

# A record made by us is not older than this before we asked, by the CRM's clock.
CLOCK_SKEW = timedelta(minutes=2)
SILENCE_PAUSE = timedelta(hours=1)
BROKEN_PAUSE = timedelta(minutes=1)
TURN_PAUSE = timedelta(seconds=1)  # until an earlier action of the same record is over
WAITS_AT_MOST = timedelta(days=1)
UNCONFIRMED = {"run_salesbot": "crm_outcome_unknown", "send_email": "mail_unconfirmed"}
ORPHAN_DUE_IN = timedelta(days=1)
ORPHAN = (
    "Contact {contact} was made for deal {lead}, but the deal did not get it. Please link them by hand, or "
    "delete the contact if it is not needed."
)
TASK_KINDS: Mapping[WrittenKind, RecordKind] = {"leads": "lead", "contacts": "contact"}


@dataclass(frozen=True, slots=True)
class _Claim:
    row: Record
    link: CrmLink
    known: frozenset[int]
    taken_at: float  # monotonic

    @property
    def id(self) -> UUID:
        action_id: UUID = self.row["id"]
        return action_id

    @property
    def kind(self) -> WrittenKind:
        entity: WrittenKind = self.row["entity"]
        return entity

    @property
    def record_id(self) -> int:
        entity_id: int = self.row["entity_id"]
        return entity_id

    @property
    def made(self) -> int | None:
        """The contact that was made for the deal already."""
        contact_id: int | None = self.row["made"]
        return contact_id

    @property
    def was_begun(self) -> bool:
        """Whether an earlier run may have reached the CRM."""
        return bool(self.row["was"] == "sending")

    @property
    def since(self) -> datetime:
        started_at: datetime = self.row["started_at"]
        return started_at - CLOCK_SKEW

    async def once(
        self, find: Callable[[], Awaitable[int | None]], create: Callable[[], Awaitable[int]]
    ) -> int:
        return await made_once(find, create, begun_before=self.was_begun, since=self.taken_at)


@dataclass(frozen=True, slots=True)
class ActionJobs:
    """`mailer` is None where no SMTP server is set."""

    crm: CrmPort
    vault: Vault
    mailer: Mailer | None = None

    async def perform(self, ctx: JobContext, /, action_id: str) -> None:
        """Do what was asked once: after a crash or a lost answer the CRM is read before a repetition."""
        claim = await self._claim(ctx, UUID(action_id))
        if claim is None:
            return
        try:
            await self._carry_out(ctx, claim)
        except OutcomeUnknown as error:  # tried again after a pause, which reads back first
            raise UpstreamUnavailable("crm_unavailable", error.message, retry_after=5) from error
        except AppError as error:
            if error.retryable:
                raise
            await self._refused(ctx, claim, error)

    async def give_up(self, ctx: JobContext, /, action_id: str) -> None:
        async with ctx.db.session(ctx.scope) as session:
            await _fail(session, UUID(action_id), ("crm_gave_up", None))

    async def _claim(self, ctx: JobContext, action_id: UUID) -> _Claim | None:
        taken_at = time.monotonic()
        async with ctx.db.session(ctx.scope) as session:
            owed = await store.is_owed(session, action_id)
            if owed is None:
                return None
            pause = await self._pause(session, owed["connection_id"])
            if pause is not None and owed["created_at"] < utcnow() - WAITS_AT_MOST:
                await _fail(session, action_id, ("too_late", None))
                return None
            row = None if pause else await store.claim_action(session, action_id, utcnow())
            if row is None:
                await session.enqueue(
                    service.PERFORM, {"action_id": str(action_id)}, delay=pause or TURN_PAUSE
                )
                return None
            known = await store.known_ids(session, row["connection_id"], row["kind"], row["started_at"])
            # It was on a moment ago: a refusal now would lose the action.
            link = await crm_service.open_link(session, row["connection_id"], self.vault, while_off=True)
            return _Claim(row, link, frozenset(known), taken_at)

    async def _pause(self, session: Session, connection_id: UUID) -> timedelta | None:
        """Return how long to wait: a silenced workspace does nothing, a broken or idle account cannot."""
        if await organizations.find_silence(session) is not None:
            return SILENCE_PAUSE
        connection = await crm_service.get_connection(session, connection_id)
        return None if connection.status == "connected" and connection.is_active else BROKEN_PAUSE

    async def _refused(self, ctx: JobContext, claim: _Claim, error: AppError) -> None:
        """Record why the CRM did not take it. A refused token lets the action wait for the next one."""
        async with ctx.db.session(ctx.scope) as session:
            if isinstance(error, Forbidden) and error.code == "crm_unauthorized":
                await crm_service.mark_broken(session, claim.link, self.vault, error.code)
                await store.release_action(session, claim.id)
                await session.enqueue(service.PERFORM, {"action_id": str(claim.id)}, delay=BROKEN_PAUSE)
                return
            if not (claim.was_begun and error.code == "crm_edited_since"):
                await store.drop_planned(session, claim.id)  # certainly not written
            detail = error.params.get("detail")
            reason = (error.code, None if detail is None else str(detail))
            await _fail(session, claim.id, reason)

    async def _carry_out(self, ctx: JobContext, claim: _Claim) -> None:
        request = read_request(claim.row["request"])
        match request:
            case Update():
                await self._update(ctx, claim, request)
            case Create():
                await self._create(ctx, claim, request)
            case Task():
                await self._done(ctx, claim, await self._task(claim, request))
            case Note():
                await self._done(ctx, claim, await self._note(claim, request))
            case Email():
                await self._at_most_once(ctx, claim, lambda: self._email(ctx, claim, request))
            case BotRun():
                await self._at_most_once(ctx, claim, lambda: self._run(ctx, claim, request))

    async def _update(self, ctx: JobContext, claim: _Claim, request: Update) -> None:
        current = await self._read(claim)
        async with ctx.db.session(ctx.scope) as session:
            planned = await store.select_planned(session, claim.id)
            if planned:
                todo = _remaining(planned, current)
            else:
                todo = _wanted(request, current)
                rows = [(key, held_in(current, key, after), after) for key, after in todo.items()]
                await store.insert_changes(session, claim.row, claim.record_id, rows, reverts=request.reverts)
        if todo:
            await self.crm.update_record(claim.link, claim.kind, claim.record_id, todo, current)
        written = await self._read(claim) if todo or planned else current
        async with ctx.db.session(ctx.scope) as session:
            meant = {key: after for key, _, after in planned} | todo
            for key, after in meant.items():
                await store.settle_change(session, claim.id, key, held_in(written, key, after), utcnow())
            await _finish(session, claim.id, "done", external_id=claim.record_id)

    async def _read(self, claim: _Claim) -> Mapping[str, Held]:
        found = await self.crm.fetch_values(claim.link, claim.kind, claim.record_id)
        if found is None:
            raise NotFound("crm_not_found", "The CRM does not know this.")
        return found

    async def _create(self, ctx: JobContext, claim: _Claim, request: Create) -> None:
        made, current = claim.made, None
        if made is not None:
            current = await self.crm.fetch_values(claim.link, claim.kind, made)
        if made is None or current is None:  # somebody may have deleted it since
            made = await claim.once(
                lambda: self.crm.find_record(claim.link, claim.kind, request, claim.since, claim.known),
                lambda: self._created(claim, request),
            )
        if request.lead_id is not None:
            async with ctx.db.session(ctx.scope) as session:  # the next attempt knows it
                await store.note_made(session, claim.id, made)
            if claim.was_begun or claim.made is not None:  # it was made some time ago
                await self._check_lead(claim, request, made)
            await self.crm.link_contact(claim.link, request.lead_id, made)
        if current is not None:  # an action that knew less of the customer may have made it
            missing = _wanted(Update(request.values, keep=tuple(request.values)), current)
            if missing:
                await self.crm.update_record(claim.link, claim.kind, made, missing, current)
        values = {"name": Plain(request.name), **request.values}
        async with ctx.db.session(ctx.scope) as session:
            if await store.is_owed(session, claim.id) is None:
                return  # recorded by whoever had the job meanwhile
            rows = [(key, None, held) for key, held in values.items()]
            await store.insert_changes(session, claim.row, made, rows, written_at=utcnow())
            await _finish(session, claim.id, "done", external_id=made)

    async def _created(self, claim: _Claim, request: Create) -> int:
        await self._check_lead(claim, request)
        return await self.crm.create_record(claim.link, claim.kind, request)

    async def _check_lead(self, claim: _Claim, request: Create, made: int | None = None) -> None:
        """Raise Conflict if the deal a contact is for has one by now, other than `made`: the mirror may be
        late.
        """
        if request.lead_id is None:
            return
        lead = await self.crm.fetch_lead(claim.link, request.lead_id)
        if lead is None:
            raise NotFound("crm_not_found", "The CRM does not know this.")
        if set(lead.contact_ids) - {made}:
            raise Conflict("lead_has_contact", "The deal has a contact in the CRM already.")

    async def _task(self, claim: _Claim, request: Task) -> int:
        kind, link = TASK_KINDS[claim.kind], claim.link
        responsible = request.responsible_user_id or claim.row["responsible"]
        task = NewTask(claim.record_id, request.text, request.due_at, responsible, kind, request.type_id)
        return await claim.once(
            lambda: self.crm.find_task(
                link, task.lead_id, task.text, claim.since, kind=kind, known=claim.known
            ),
            lambda: self.crm.create_task(link, task),
        )

    async def _note(self, claim: _Claim, request: Note) -> int:
        new = NewNote(claim.kind, claim.record_id, request, str(claim.id))
        return await claim.once(
            lambda: self.crm.find_note(claim.link, new, claim.since, claim.known),
            lambda: self.crm.create_note(claim.link, new),
        )

    async def _at_most_once(
        self, ctx: JobContext, claim: _Claim, effect: Callable[[], Awaitable[None]]
    ) -> None:
        """Do what nothing tells afterwards whether it was done: unconfirmed, it is left at that."""
        if not claim.was_begun:
            try:
                await effect()
            except OutcomeUnknown:
                pass
            except (UpstreamUnavailable, RateLimited):
                async with ctx.db.session(ctx.scope) as session:
                    await store.release_action(session, claim.id)
                raise
            else:
                return
        async with ctx.db.session(ctx.scope) as session:
            await _finish(session, claim.id, "unknown", error=(UNCONFIRMED[claim.row["kind"]], None))

    async def _run(self, ctx: JobContext, claim: _Claim, request: BotRun) -> None:
        await self.crm.reserve_send(claim.link)
        await self.crm.run_bot(claim.link, request.bot_id, claim.record_id)
        await self._done(ctx, claim, None)

    async def _email(self, ctx: JobContext, claim: _Claim, request: Email) -> None:
        """Write to the address the contact has now; what was written becomes a note in the CRM."""
        if self.mailer is None:
            raise Conflict("email_not_set_up", "The platform has no mail server.")
        contact: Values = await self._read(claim)
        deal: Values = {}
        if request.lead_id is not None:
            deal = await self.crm.fetch_values(claim.link, "leads", request.lead_id) or {}
        address = address_in(contact)
        if address is None:
            raise Conflict("contact_without_email", "The contact has no e-mail address in the CRM.")
        async with ctx.db.session(ctx.scope) as session:
            place = await organizations.get_settings(session)
        subject, text = fill_email(request, contact, deal, place.name)
        letter = Written(claim.id, address, subject, text, place.locale, place.name)
        await self.mailer.send(compose_written(letter))
        async with ctx.db.session(ctx.scope) as session:
            target = Target(claim.link.connection_id, "contacts", claim.record_id)
            await _finish(session, claim.id, "done")
            await service.note_email(session, target, subject, text)

    async def _done(self, ctx: JobContext, claim: _Claim, external_id: int | None) -> None:
        async with ctx.db.session(ctx.scope) as session:
            await _finish(session, claim.id, "done", external_id=external_id)


async def _finish(
    session: Session,
    action_id: UUID,
    state: ActionState,
    *,
    external_id: int | None = None,
    error: tuple[str, str | None] = ("", None),
) -> bool:
    """Return False if it was over already."""
    is_news = await store.finish_action(session, action_id, state, external_id=external_id, error=error)
    await session.publish("connections", "changed", {"action_id": str(action_id)})
    return is_news


async def _fail(session: Session, action_id: UUID, error: tuple[str, str | None]) -> None:
    """End it without what was asked. Of a contact that was made and has no deal a colleague is told: the CRM
    lets nobody delete one over its API.
    """
    if not await _finish(session, action_id, "failed", error=error):
        return
    orphan = await store.find_orphan(session, action_id)
    if orphan is None:
        return
    locale = await organizations.get_locale(session)
    numbers = {"contact": str(orphan["contact_id"]), "lead": str(orphan["lead_id"])}
    text = translate(locale, ORPHAN, **numbers)
    task = NewTask(orphan["contact_id"], text, utcnow() + ORPHAN_DUE_IN, kind="contact")
    await crm_service.owe_task(session, orphan["connection_id"], task)


def _wanted(request: Update, current: Mapping[str, Held]) -> dict[str, Held]:
    """Return what differs from what the record has. Raises Conflict if it is not as it was expected to be."""
    for key, expected in request.expected.items():
        if not same(held_in(current, key), expected):
            raise Conflict("crm_edited_since", "Somebody has changed this in the CRM since.")
    wanted = {
        key: held
        for key, held in request.values.items()
        if key not in request.keep or same(held_in(current, key), held_in({}, key))
    }
    if request.tags_add or request.tags_remove:
        wanted["tags"] = _tagged(request, held_in(current, "tags"))
    return {key: held for key, held in wanted.items() if not same(held_in(current, key), held)}


def _tagged(request: Update, current: Held) -> Tags:
    had = current.names if isinstance(current, Tags) else ()
    gone = {name.casefold() for name in request.tags_remove}
    names = {name.casefold(): name for name in (*request.tags_add, *had)}
    return Tags(tuple(sorted(name for key, name in names.items() if key not in gone)))


def _remaining(
    planned: list[tuple[str, Held | None, Held | None]], current: Mapping[str, Held]
) -> dict[str, Held]:
    """Return what an earlier run has not written. Raises Conflict if somebody else has written meanwhile."""
    todo: dict[str, Held] = {}
    for key, before, after in planned:
        now = held_in(current, key)
        if after is None or same(now, after, slack=DATE_SLACK):
            continue
        if not same(now, before):
            raise Conflict("crm_edited_since", "Somebody has changed this in the CRM since.")
        todo[key] = after
    return todo
