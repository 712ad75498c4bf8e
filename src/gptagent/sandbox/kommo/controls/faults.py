"""Knobs and REST faults, of one account or of all."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.controls.find import account_or_all, desk_of
from gptagent.sandbox.kommo.knobs import RestFault
from gptagent.sandbox.wire import answer, merge, read_list


async def get_knobs(request: Request) -> Response:
    account = account_or_all(request)
    return answer(account.knobs if account else desk_of(request).world.default_knobs)


async def set_knobs(request: Request) -> Response:
    changes = await request.body()
    account = account_or_all(request)
    if account is None:
        desk_of(request).world.default_knobs = merge(desk_of(request).world.default_knobs, changes)
    for chosen in [account] if account else list(desk_of(request).world.accounts.values()):
        chosen.knobs = merge(chosen.knobs, changes)
        if b'"seed"' in changes:
            desk_of(request).hooks(chosen).dice.seed(chosen.knobs.seed)
            chosen.faults.seed(chosen.knobs.seed or 0)
    return await get_knobs(request)


async def get_faults(request: Request) -> Response:
    account = account_or_all(request)
    return answer({"faults": account.faults.rules if account else desk_of(request).world.default_faults})


async def add_faults(request: Request) -> Response:
    rules = await read_list(request, RestFault)
    account = account_or_all(request)
    if account is None:
        desk_of(request).world.default_faults += [msgspec.structs.replace(rule) for rule in rules]
    for chosen in [account] if account else desk_of(request).world.accounts.values():
        chosen.faults.rules += [msgspec.structs.replace(rule) for rule in rules]
    return await get_faults(request)


async def clear_faults(request: Request) -> Response:
    account = account_or_all(request)
    if account is None:
        desk_of(request).world.default_faults.clear()
    for chosen in [account] if account else desk_of(request).world.accounts.values():
        chosen.faults.rules.clear()
    return await get_faults(request)
