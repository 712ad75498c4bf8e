"""Tasks of Kommo."""

from collections.abc import Mapping
from datetime import datetime

from gptagent.adapters.kommo import wire
from gptagent.adapters.kommo.client import LARGEST_PAGE, Call, KommoClient, no_answer
from gptagent.adapters.kommo.tree import as_id
from gptagent.features.crm.deliveries.model import RecordKind
from gptagent.features.crm.model import CrmLink, NewTask

COLLECTIONS: Mapping[RecordKind, str] = {
    "lead": "leads",
    "contact": "contacts",
    "company": "companies",
    "customer": "customers",
}


class KommoTasks:
    """Implements `TasksPort`."""

    _client: KommoClient

    async def create_task(self, link: CrmLink, task: NewTask) -> int:
        item: dict[str, object] = {
            "text": task.text,
            "complete_till": int(task.due_at.timestamp()),
            "task_type_id": task.type_id,
            "entity_type": COLLECTIONS[task.kind],
            "entity_id": task.lead_id,
        }
        if task.responsible_user_id is not None:
            item["responsible_user_id"] = task.responsible_user_id
        body = await self._client.fetch(link, Call("create_task", "/tasks", "POST", json=[item]))
        for row in wire.embedded(body, "tasks"):
            if (task_id := as_id(row.get("id"))) is not None:
                return task_id
        raise no_answer(is_write=True)

    async def find_task(
        self,
        link: CrmLink,
        lead_id: int,
        text: str,
        since: datetime,
        *,
        kind: RecordKind = "lead",
        known: frozenset[int] = frozenset(),
    ) -> int | None:
        """Return the record's newest task of exactly this text, created in the second of `since` or later."""
        query = (
            ("filter[entity_type]", COLLECTIONS[kind]),
            ("filter[entity_id][]", lead_id),
            ("order[created_at]", "desc"),
            ("limit", LARGEST_PAGE),
        )
        async for row in self._client.rows(link, Call("find_task", "/tasks", query=query), "tasks"):
            if row.get("text") == text and wire.moment(row.get("created_at")) >= since.replace(microsecond=0):
                task_id = as_id(row.get("id"))
                if task_id not in known:
                    return task_id
        return None
