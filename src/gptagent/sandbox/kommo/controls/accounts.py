"""Accounts and their tokens."""

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.controls import describe
from gptagent.sandbox.kommo.controls.find import account_of, desk_of
from gptagent.sandbox.kommo.knobs import Knobs
from gptagent.sandbox.kommo.seed import Features, issue_token
from gptagent.sandbox.kommo.state import Traffic
from gptagent.sandbox.wire import answer, read_as, refusal

SUBDOMAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class NewAccount(msgspec.Struct, forbid_unknown_fields=True):
    subdomain: str
    name: str = ""
    features: Features = msgspec.field(default_factory=Features)


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    scopes: list[str] | None = None


async def list_accounts(request: Request) -> Response:
    return answer(
        {"accounts": [describe.account(account) for account in desk_of(request).world.accounts.values()]}
    )


async def new_account(request: Request) -> Response:
    wanted = await read_as(request, NewAccount)
    if not SUBDOMAIN.fullmatch(wanted.subdomain):
        raise refusal(422, "subdomain: one host label of a-z, 0-9 and -")
    if wanted.subdomain in desk_of(request).world.accounts:
        raise refusal(409, "this account exists")
    account = desk_of(request).open_account(
        wanted.subdomain, wanted.name or wanted.subdomain, wanted.features
    )
    return answer(describe.account(account), 201)


async def get_account(request: Request) -> Response:
    return answer(describe.account(account_of(request)))


async def new_token(request: Request) -> Response:
    wanted = await read_as(request, NewToken)
    scopes = None if wanted.scopes is None else frozenset(wanted.scopes)
    return answer({"token": issue_token(account_of(request), scopes).value}, 201)


async def revoke_tokens(request: Request) -> Response:
    for token in account_of(request).tokens.values():
        token.revoked = True
    return answer({})


async def reset(request: Request) -> Response:
    desk_of(request).forget_accounts()
    desk_of(request).world.default_knobs = Knobs()
    desk_of(request).world.default_faults.clear()
    desk_of(request).world.traffic = Traffic()
    return answer({})
