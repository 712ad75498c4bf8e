"""Salesbots of an account, and files that lie on the vendor's servers."""

import base64
import binascii

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.controls.find import account_of, desk_of
from gptagent.sandbox.kommo.salesbots import HASHES, WidgetBlock, bots_of
from gptagent.sandbox.kommo.state import Bot, StoredFile, new_uuid
from gptagent.sandbox.wire import answer, read_as, refusal


class NewBot(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    text: str = ""
    widget: WidgetBlock | None = None


class NewFile(msgspec.Struct, forbid_unknown_fields=True):
    """`content` is base64."""

    name: str
    mime: str = "application/pdf"
    content: str = ""
    host: str = "amojo.kommo.test"


async def new_bot(request: Request) -> Response:
    account, wanted = account_of(request), await read_as(request, NewBot)
    if wanted.widget is not None and wanted.widget.alg not in HASHES:
        raise refusal(422, f"alg: one of {', '.join(HASHES)}")
    bot = Bot(desk_of(request).world.ids.next(), wanted.name, wanted.text, wanted.widget)
    bots_of(desk_of(request), account).add(bot)
    return answer({"id": bot.id, "bot_id": bot.id, "name": bot.name}, 201)


async def list_bots(request: Request) -> Response:
    bots = bots_of(desk_of(request), account_of(request))
    return answer(
        {
            "bots": [{"id": bot.id, "name": bot.name} for bot in bots.bots.values()],
            "runs": [
                {"bot_id": run.bot.id, "lead_id": lead_id, "continue_id": run.continue_id}
                for lead_id, run in bots.runs.items()
            ],
            "calls": bots.calls,
        }
    )


async def new_file(request: Request) -> Response:
    account, wanted = account_of(request), await read_as(request, NewFile)
    try:
        content = base64.b64decode(wanted.content, validate=True) or wanted.name.encode()
    except binascii.Error as error:
        raise refusal(422, "content must be base64") from error
    stored = StoredFile(new_uuid(), wanted.name, wanted.mime, len(content), content)
    account.files[stored.uuid] = stored
    link = f"https://{wanted.host}/v2/{account.amojo_id}/attachments/{stored.uuid}/{wanted.name}"
    return answer({"uuid": stored.uuid, "name": stored.name, "size": stored.size, "link": link}, 201)
