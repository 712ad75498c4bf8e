"""What the platform owes the CRM."""

from uuid import UUID

from gptagent.features.crm import store
from gptagent.features.crm.model import NewTask
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id

PERFORM_TASK = "crm.perform_task"


async def owe_task(
    session: Session, connection_id: UUID, task: NewTask, *, conversation_id: UUID | None = None
) -> UUID:
    """Promise a task on a record: its job leaves with this transaction and makes it exactly once.

    `conversation_id`: whose customer it may quote. Returns its id with us.
    """
    task_id = new_id()
    await store.insert_task(session, task_id, connection_id, task, conversation_id)
    await session.enqueue(PERFORM_TASK, {"task_id": str(task_id)})
    return task_id
