"""Letters of the account's mailboxes: a note at each record they belong to, and a line of the log."""

import uuid

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.controls.find import account_of, desk_of
from gptagent.sandbox.kommo.desk import SETTINGS
from gptagent.sandbox.kommo.state import EntityKind, Note, now
from gptagent.sandbox.wire import answer, read_as, refusal


class Mail(msgspec.Struct, forbid_unknown_fields=True):
    """`leads` and `contacts` are where the letter is filed; `income`: a customer has written it."""

    address: str
    subject: str = ""
    summary: str = ""
    name: str = ""
    mailbox: str = "sales@company.test"
    leads: list[int] = []
    contacts: list[int] = []
    thread_id: str = ""
    message_id: str = ""
    income: bool = True


async def new_letter(request: Request) -> Response:
    """File a letter. No webhook tells of it, as the vendor's do not."""
    account, wanted, desk = account_of(request), await read_as(request, Mail), desk_of(request)
    if not set(wanted.leads) <= account.leads.keys() or not set(wanted.contacts) <= account.contacts.keys():
        raise refusal(422, "no such lead or contact")
    message_id = wanted.message_id or str(uuid.uuid4().int)[:12]
    customer, company = {"email": wanted.address, "name": wanted.name}, {"email": wanted.mailbox, "name": ""}
    params: dict[str, object] = {
        "thread_id": wanted.thread_id or message_id,
        "message_id": message_id,
        "private": False,
        "income": wanted.income,
        "from": customer if wanted.income else company,
        "to": company if wanted.income else customer,
        "subject": wanted.subject,
        "content_summary": wanted.summary,
        "attach_cnt": 0,
    }
    by = 0 if wanted.income else account.main_user
    places: tuple[tuple[EntityKind, list[int]], ...] = (
        ("leads", wanted.leads),
        ("contacts", wanted.contacts),
    )
    for kind, numbers in places:
        for number in numbers:
            note = Note(desk.world.ids.next(), number, "amomail_message", params, by, now())
            account.notes[kind, number].append(note)
            name = "incoming_mail" if wanted.income else "outgoing_mail"
            desk.note(account, name, (SETTINGS[kind], number), by=by, after=[{"note": {"id": note.id}}])
    return answer({"message_id": message_id, "thread_id": params["thread_id"]}, 201)
