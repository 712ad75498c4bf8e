"""A call nobody took: whoever is responsible owes the customer one."""

from datetime import timedelta
from uuid import UUID

from gptagent.features.crm.deliveries.model import NoteAdded
from gptagent.features.crm.model import NewTask
from gptagent.features.crm.promises import owe_task
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session
from gptagent.kernel.i18n import translate

CALL_BACK_WITHIN = timedelta(hours=1)
MAX_PHONE_CHARS = 40
CALL_BACK = "A call was missed. Please call back: {phone}"
CALL_BACK_UNKNOWN = "A call was missed. Please call back."


async def owe_call_back(session: Session, connection_id: UUID, note: NoteAdded) -> None:
    """Promise a task on the record that was called. Its note is told once, so is this."""
    phone = note.call.phone[:MAX_PHONE_CHARS] if note.call else ""
    locale = await organizations.get_locale(session)
    text = translate(locale, CALL_BACK, phone=phone) if phone else translate(locale, CALL_BACK_UNKNOWN)
    due_at = utcnow() + CALL_BACK_WITHIN
    task = NewTask(note.record.id, text, due_at, note.responsible_user_id, note.record.kind)
    await owe_task(session, connection_id, task)
