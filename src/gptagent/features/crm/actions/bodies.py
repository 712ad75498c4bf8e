"""What programs send and get over REST about actions and the journal."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue

from gptagent.features.crm.actions import service
from gptagent.features.crm.actions.checking import Asked
from gptagent.features.crm.actions.model import ActionKind, ActionState, Evidence, NoteKind, WrittenKind
from gptagent.kernel.http import Body, Wire, example

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


class EmailBody(ActionBody):
    """`subject` and `text` hold places: `{{contact.name}}`, `{{contact.first_name}}`,
    `{{contact.last_name}}`, `{{workspace.name}}`, each of `variables`, and with `lead_id` `{{deal.name}}` and
    `{{deal.price}}`.
    """

    model_config = example(
        {
            "subject": "Your order {{number}}",
            "text": "Dear {{contact.first_name}},\nit is on its way.",
            "variables": {"number": "42"},
        }
    )

    subject: str
    text: str
    variables: dict[str, str] = Field(default_factory=dict)
    lead_id: CrmId | None = None


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
