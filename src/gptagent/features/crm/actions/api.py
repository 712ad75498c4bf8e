"""Actions over REST, one address each.

What is asked for is checked against the account as it was synced and then promised (202): the action tells
how it went.
"""

from dataclasses import dataclass
from functools import partial
from uuid import UUID

from fastapi import APIRouter

from gptagent.features.crm.actions import service
from gptagent.features.crm.actions.bodies import (
    ActionOut,
    ContactBody,
    CrmId,
    EmailBody,
    LeadBody,
    NewContactBody,
    NewLeadBody,
    NoteBody,
    ResponsibleBody,
    RunBody,
    StageBody,
    TagsBody,
    TaskBody,
)
from gptagent.features.crm.actions.checking import Asked
from gptagent.features.crm.actions.model import ActionKind, Email, Evidence, Note, Task, WrittenKind
from gptagent.features.crm.actions.service import Target
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.rest import api_router


@dataclass(frozen=True, slots=True)
class ActionsApi:
    """`sends_letters`: whether the platform has a mail server."""

    db: Database
    sends_letters: bool

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
        add(f"{contact}/emails", summary="Write an e-mail to a contact")(self.email_contact)
        router.get("/actions/{action_id}", summary="Get an action and how it went")(self.get_action)
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

    async def email_contact(
        self, scope: CurrentScope, connection_id: UUID, contact_id: CrmId, body: EmailBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        email = Email(body.subject, body.text, body.variables, body.lead_id)
        target = Target(connection_id, "contacts", contact_id)
        async with self.db.session(scope) as session:
            done = await service.send_email(
                session, target, email, body.why, sends_letters=self.sends_letters, now=utcnow()
            )
        return ActionOut.model_validate(done)

    async def run_salesbot(
        self, scope: CurrentScope, connection_id: UUID, lead_id: CrmId, body: RunBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            target = Target(connection_id, "leads", lead_id)
            done = await service.run_salesbot(session, target, body.bot_id, body.why)
        return ActionOut.model_validate(done)

    async def get_action(self, scope: CurrentScope, connection_id: UUID, action_id: UUID) -> ActionOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return ActionOut.model_validate(await service.get_action(session, connection_id, action_id))

    async def _create(
        self,
        scope: CurrentScope,
        connection_id: UUID,
        kind: WrittenKind,
        body: ContactBody,
        contact_id: int | None,
    ) -> ActionOut:
        async with self.db.session(scope) as session:
            done = await service.create_record(
                session, connection_id, kind, body.asked(), contact_id=contact_id, evidence=body.why
            )
        return ActionOut.model_validate(done)

    async def _update(
        self, scope: CurrentScope, target: Target, asked: Asked, why: Evidence, kind: ActionKind
    ) -> ActionOut:
        async with self.db.session(scope) as session:
            done = await service.update_record(session, target, asked, why, kind=kind)
        return ActionOut.model_validate(done)

    async def _task(self, scope: CurrentScope, target: Target, body: TaskBody) -> ActionOut:
        async with self.db.session(scope) as session:
            task = Task(body.text, body.due_at, body.type_id, body.responsible_user_id)
            done = await service.create_task(session, target, task, body.why, now=utcnow())
        return ActionOut.model_validate(done)

    async def _note(self, scope: CurrentScope, target: Target, body: NoteBody) -> ActionOut:
        async with self.db.session(scope) as session:
            note = Note(body.kind, body.text, body.duration, body.phone, body.link)
            done = await service.add_note(session, target, note, body.why)
        return ActionOut.model_validate(done)
