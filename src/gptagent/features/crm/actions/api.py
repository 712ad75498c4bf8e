"""Actions over REST, one address each; the journal, and taking a change back.

What is asked for is checked against the account as it was synced and then promised (202): the action tells
how it went.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, Field, JsonValue

from gptagent.features.crm.actions import service
from gptagent.features.crm.actions.checking import Asked
from gptagent.features.crm.actions.labels import line_of
from gptagent.features.crm.actions.model import (
    ActionKind,
    ActionState,
    Change,
    Evidence,
    Known,
    Note,
    NoteKind,
    Task,
    WrittenKind,
)
from gptagent.features.crm.actions.reverting import Reverting, revert_change
from gptagent.features.crm.actions.service import Target
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import api_router

CrmId = Annotated[int, Field(ge=1, le=2**63 - 1)]
FieldValues = dict[CrmId, JsonValue]


class EvidenceBody(Body):
    """Why it is done: a message or turn of a conversation, or a reason in words."""

    conversation_id: UUID | None = None
    message_seq: int | None = Field(None, ge=0, le=2**31 - 1)
    turn_id: UUID | None = None
    reason: str = Field("", max_length=service.REASON_MAX_CHARS)


class ActionBody(Body):
    evidence: EvidenceBody = EvidenceBody()

    @property
    def why(self) -> Evidence:
        return Evidence(**self.evidence.model_dump())


class TagsBody(ActionBody):
    model_config = example({"add": ["VIP"], "remove": []})

    add: list[str] = Field(default_factory=list)
    remove: list[str] = Field(default_factory=list)


class ContactBody(ActionBody):
    """`fields` by the number of the custom field: text, number, true or false, a date, the label or number
    of a choice, a list of them; null empties the field. A part of a postal address is `{value, code}`, a
    company `{name, entity_type, vat_id, address, ...}`, a link `{entity_type, entity_id, catalog_id}`, a step
    of a chain of lists `{catalog_id, catalog_element_id}`, a file `{file_uuid, version_uuid, file_name,
    file_size}`.
    """

    model_config = example({"name": "Ann Lee", "fields": {"1001": "+15550100"}})

    name: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    responsible_user_id: CrmId | None = None
    tags_add: list[str] = Field(default_factory=list)
    tags_remove: list[str] = Field(default_factory=list)
    fields: FieldValues = Field(default_factory=dict)

    def asked(self) -> Asked:
        plain = ("name", "first_name", "last_name", "price", "responsible_user_id")
        given = {key: getattr(self, key) for key in plain if getattr(self, key, None) is not None}
        return Asked(
            given,
            getattr(self, "pipeline_id", None),
            getattr(self, "stage_id", None),
            self.fields,
            self.tags_add,
            self.tags_remove,
        )


class LeadBody(ContactBody):
    model_config = example({"name": "Website", "price": 1200, "stage_id": 142})

    first_name: None = None
    last_name: None = None
    price: int | None = None
    pipeline_id: CrmId | None = None
    stage_id: CrmId | None = None


class NewLeadBody(LeadBody):
    model_config = example({"name": "Website", "price": 1200})

    name: str
    contact_id: CrmId | None = None


class NewContactBody(ContactBody):
    model_config = example({"name": "Ann Lee"})

    name: str


class StageBody(ActionBody):
    """Without a pipeline, the deal stays in its own. 142 is won, 143 lost, in every pipeline."""

    model_config = example({"stage_id": 142})

    stage_id: CrmId
    pipeline_id: CrmId | None = None


class ResponsibleBody(ActionBody):
    model_config = example({"user_id": 504141})

    user_id: CrmId


class TaskBody(ActionBody):
    """`type_id` 1: follow up, 2: meeting, or one of the account's own."""

    model_config = example({"text": "Call Ann", "due_at": "2027-01-31T12:00:00Z"})

    text: str
    due_at: AwareDatetime
    type_id: int = 1
    responsible_user_id: CrmId | None = None


class NoteBody(ActionBody):
    """A note of words or of a meeting has `text`; one of a call `phone`, `duration` in seconds and `link`."""

    model_config = example({"kind": "common", "text": "Wants a call on Monday."})

    kind: NoteKind = "common"
    text: str = ""
    phone: str = ""
    duration: int = 0
    link: str = ""


class RunBody(ActionBody):
    model_config = example({"bot_id": 16})

    bot_id: CrmId


class RevertBody(Body):
    """`force` writes the value back even if a person has changed the field since."""

    model_config = example({"force": False})

    force: bool = False


class ActionOut(Wire):
    """`external_id`: the CRM's number of what was made. `unknown`: it may have happened; nothing tells."""

    id: UUID
    connection_id: UUID
    kind: ActionKind
    entity: WrittenKind
    entity_id: int | None
    state: ActionState
    external_id: int | None
    error_code: str | None
    error_detail: str | None
    created_at: datetime
    finished_at: datetime | None


class EvidenceOut(Wire):
    conversation_id: UUID | None
    message_seq: int | None
    turn_id: UUID | None
    reason: str


class ChangeOut(Wire):
    """`before` is null where the record was made with the value, `written_at` until it is confirmed."""

    id: UUID
    action_id: UUID
    entity: WrittenKind
    entity_id: int
    key: str
    field: str
    before: str | None
    after: str
    evidence: EvidenceOut
    actor_kind: str
    actor_id: UUID | None
    reverts: UUID | None
    reverted_at: datetime | None
    may_be_reverted: bool
    created_at: datetime
    written_at: datetime | None


class ChangesOut(Wire):
    items: list[ChangeOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ActionsApi:
    door: Reverting

    def router(self) -> APIRouter:
        router = api_router("/connections/{connection_id}", tags=["crm actions"])
        lead, contact = "/leads/{lead_id}", "/contacts/{contact_id}"
        add = partial(router.post, status_code=202)
        change = partial(router.patch, status_code=202)
        add("/leads", summary="Make a deal")(self.create_lead)
        change(lead, summary="Change a deal")(self.update_lead)
        add(f"{lead}/stage", summary="Move a deal")(self.change_stage)
        add(f"{lead}/responsible", summary="Give a deal to a person")(self.change_responsible)
        add(f"{lead}/tags", summary="Tag a deal")(self.tag_lead)
        add(f"{lead}/tasks", summary="Make a task on a deal")(self.create_lead_task)
        add(f"{lead}/notes", summary="Leave a note on a deal")(self.note_lead)
        add(f"{lead}/salesbot-runs", summary="Start a Salesbot on a deal")(self.run_salesbot)
        add("/contacts", summary="Make a contact")(self.create_contact)
        change(contact, summary="Change a contact")(self.update_contact)
        add(f"{contact}/tags", summary="Tag a contact")(self.tag_contact)
        add(f"{contact}/tasks", summary="Make a task on a contact")(self.create_contact_task)
        add(f"{contact}/notes", summary="Leave a note on a contact")(self.note_contact)
        router.get("/actions/{action_id}", summary="Get an action and how it went")(self.get_action)
        router.get("/changes", summary="List what was written into deals and contacts, latest first")(
            self.list_changes
        )
        router.post(
            "/changes/{change_id}/revert", summary="Write back what stood there before", status_code=202
        )(self.revert)
        return router

    async def create_lead(self, scope: CurrentScope, connection_id: UUID, body: NewLeadBody) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        return await self._create(scope, connection_id, "leads", body, body.contact_id)

    async def create_contact(
        self, scope: CurrentScope, connection_id: UUID, body: NewContactBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        return await self._create(scope, connection_id, "contacts", body, None)

    async def update_lead(
        self, scope: CurrentScope, connection_id: UUID, lead_id: CrmId, body: LeadBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        return await self._update(
            scope, Target(connection_id, "leads", lead_id), body.asked(), body.why, "update_lead"
        )

    async def update_contact(
        self, scope: CurrentScope, connection_id: UUID, contact_id: CrmId, body: ContactBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        target = Target(connection_id, "contacts", contact_id)
        return await self._update(scope, target, body.asked(), body.why, "update_contact")

    async def change_stage(
        self, scope: CurrentScope, connection_id: UUID, lead_id: CrmId, body: StageBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        asked = Asked({}, body.pipeline_id, body.stage_id)
        return await self._update(
            scope, Target(connection_id, "leads", lead_id), asked, body.why, "change_stage"
        )

    async def change_responsible(
        self, scope: CurrentScope, connection_id: UUID, lead_id: CrmId, body: ResponsibleBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        asked = Asked({"responsible_user_id": body.user_id})
        return await self._update(
            scope, Target(connection_id, "leads", lead_id), asked, body.why, "change_responsible"
        )

    async def tag_lead(
        self, scope: CurrentScope, connection_id: UUID, lead_id: CrmId, body: TagsBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        asked = Asked({}, tags_add=body.add, tags_remove=body.remove)
        return await self._update(scope, Target(connection_id, "leads", lead_id), asked, body.why, "add_tags")

    async def tag_contact(
        self, scope: CurrentScope, connection_id: UUID, contact_id: CrmId, body: TagsBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        asked = Asked({}, tags_add=body.add, tags_remove=body.remove)
        target = Target(connection_id, "contacts", contact_id)
        return await self._update(scope, target, asked, body.why, "add_tags")

    async def create_lead_task(
        self, scope: CurrentScope, connection_id: UUID, lead_id: CrmId, body: TaskBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        return await self._task(scope, Target(connection_id, "leads", lead_id), body)

    async def create_contact_task(
        self, scope: CurrentScope, connection_id: UUID, contact_id: CrmId, body: TaskBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        return await self._task(scope, Target(connection_id, "contacts", contact_id), body)

    async def note_lead(
        self, scope: CurrentScope, connection_id: UUID, lead_id: CrmId, body: NoteBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        return await self._note(scope, Target(connection_id, "leads", lead_id), body)

    async def note_contact(
        self, scope: CurrentScope, connection_id: UUID, contact_id: CrmId, body: NoteBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        return await self._note(scope, Target(connection_id, "contacts", contact_id), body)

    async def run_salesbot(
        self, scope: CurrentScope, connection_id: UUID, lead_id: CrmId, body: RunBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.door.db.session(scope) as session:
            target = Target(connection_id, "leads", lead_id)
            done = await service.run_salesbot(session, target, body.bot_id, body.why)
        return ActionOut.model_validate(done)

    async def get_action(self, scope: CurrentScope, connection_id: UUID, action_id: UUID) -> ActionOut:
        require(scope, policy.VIEW)
        async with self.door.db.session(scope) as session:
            return ActionOut.model_validate(await service.get_action(session, connection_id, action_id))

    async def list_changes(
        self,
        scope: CurrentScope,
        connection_id: UUID,
        page: Annotated[Page, page_of(service.ORDERS, "-created_at")],
        entity: Literal["leads", "contacts"] | None = None,
        entity_id: CrmId | None = None,
    ) -> ChangesOut:
        require(scope, policy.VIEW)
        async with self.door.db.session(scope) as session:
            found, after = await service.page_changes(
                session, connection_id, page, kind=entity, record_id=entity_id
            )
            known = await service.known_of(session, connection_id)
        return ChangesOut(items=[_change_out(known, one) for one in found], next_cursor=after)

    async def revert(
        self, scope: CurrentScope, connection_id: UUID, change_id: UUID, body: RevertBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        done = await revert_change(self.door, scope, connection_id, change_id, force=body.force)
        return ActionOut.model_validate(done)

    async def _create(
        self,
        scope: CurrentScope,
        connection_id: UUID,
        kind: WrittenKind,
        body: ContactBody,
        contact_id: int | None,
    ) -> ActionOut:
        async with self.door.db.session(scope) as session:
            done = await service.create_record(
                session, connection_id, kind, body.asked(), contact_id=contact_id, evidence=body.why
            )
        return ActionOut.model_validate(done)

    async def _update(
        self, scope: CurrentScope, target: Target, asked: Asked, why: Evidence, kind: ActionKind
    ) -> ActionOut:
        async with self.door.db.session(scope) as session:
            done = await service.update_record(session, target, asked, why, kind=kind)
        return ActionOut.model_validate(done)

    async def _task(self, scope: CurrentScope, target: Target, body: TaskBody) -> ActionOut:
        async with self.door.db.session(scope) as session:
            task = Task(body.text, body.due_at, body.type_id, body.responsible_user_id)
            done = await service.create_task(session, target, task, body.why, now=utcnow())
        return ActionOut.model_validate(done)

    async def _note(self, scope: CurrentScope, target: Target, body: NoteBody) -> ActionOut:
        async with self.door.db.session(scope) as session:
            note = Note(body.kind, body.text, body.duration, body.phone, body.link)
            done = await service.add_note(session, target, note, body.why)
        return ActionOut.model_validate(done)


def _change_out(known: Known, change: Change) -> ChangeOut:
    line = line_of(known, change)
    evidence = EvidenceOut.model_validate(change.evidence)
    own = (
        "id",
        "action_id",
        "entity",
        "entity_id",
        "key",
        "actor_kind",
        "actor_id",
        "reverts",
        "reverted_at",
        "may_be_reverted",
        "created_at",
        "written_at",
    )
    facts = {name: getattr(change, name) for name in own}
    return ChangeOut(**facts, field=line.field, before=line.before, after=line.after, evidence=evidence)
