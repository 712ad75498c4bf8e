"""Finds what a control request is about."""

from typing import cast

from starlette.requests import Request

from gptagent.sandbox.kommo.desk import Desk
from gptagent.sandbox.kommo.state import Account, Chat
from gptagent.sandbox.wire import refusal


def desk_of(request: Request) -> Desk:
    return cast("Desk", request.scope["desk"])


def account_of(request: Request) -> Account:
    """Raises Refused with 404."""
    account = desk_of(request).world.accounts.get(request.path_params["sub"])
    if account is None:
        raise refusal(404, "no such account")
    return account


def account_or_all(request: Request) -> Account | None:
    """Return the account of the path, None where the path names none."""
    return account_of(request) if "sub" in request.path_params else None


def chat_of(request: Request) -> tuple[Account, Chat]:
    """Raises Refused with 404."""
    account = account_of(request)
    chat = account.chats.get(request.path_params["chat"])
    if chat is None:
        raise refusal(404, "no such chat")
    return account, chat
