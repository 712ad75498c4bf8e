"""Channels of the Chats API, as support would register them."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.controls.find import desk_of
from gptagent.sandbox.wire import answer, read_as


class NewChannel(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`hook_url` may hold `:scope_id`."""

    hook_url: str
    code: str = "amo.ext.sandbox"
    secret: str | None = None
    id: str | None = None


async def list_channels(request: Request) -> Response:
    found = desk_of(request).channels.by_id.values()
    return answer({"channels": [channel.as_json() for channel in found]})


async def new_channel(request: Request) -> Response:
    wanted = await read_as(request, NewChannel)
    channel = desk_of(request).channels.register(wanted.code, wanted.hook_url, wanted.secret, wanted.id)
    return answer(channel.as_json(), 201)
