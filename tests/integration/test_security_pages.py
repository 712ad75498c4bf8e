"""What every page owes its reader: a way out, fields that hide and take passwords, no token in its text."""

import re
from dataclasses import replace

import pytest

from gptagent.features.identity import service as identity
from gptagent.kernel.errors import Unauthenticated
from gptagent.kernel.scope import PLATFORM_ID
from integration.test_account import NOWHERE, ChangePassword, email_of, here
from integration.test_pages_account import enrol
from integration.test_pages_login import elsewhere, log_in
from members import PASSWORD, set_password

__all__ = ["here"]

INSIDE = (
    *("/dashboard", "/ai-agents", "/ai-agents/create", "/knowledge-base", "/knowledge-items/create"),
    *("/conversations", "/integrations", "/account-settings", "/account-settings/security"),
)


@pytest.mark.parametrize("path", INSIDE)
async def test_every_page_has_a_way_to_log_out(path, alice):
    page = await alice.open(path)
    assert page.status_code == 200
    assert re.search(r'<form[^>]*action="/logout"', page.text), "every page has the frame's menu"


@pytest.mark.parametrize("path", INSIDE)
async def test_no_page_holds_the_sessions_token(path, alice):
    assert len(alice.http.cookies["session"]) > 40
    assert alice.http.cookies["session"] not in (await alice.open(path)).text


async def test_fields_for_passwords_hide_them_and_let_managers_fill_them(alice, stranger):
    pages = [await stranger.http.get("/login"), await stranger.http.get("/register")]
    pages.append(await alice.open("/account-settings/security"))
    for page in pages:
        fields = [
            field
            for field in re.findall(r"<input[^>]*>", page.text)
            if re.search(r'name="[^"]*password', field)
        ]
        assert fields
        for field in fields:
            assert 'type="password"' in field
            assert re.search(r'autocomplete="(current|new)-password"', field)
            assert "onpaste" not in field and "readonly" not in field


LETTERS = [
    "Correct Horse Battery ",
    " leading and trailing ",
    "é" * 6 + "e\u0301" * 6 + "abc",
    "\u0001\u007f tabs\tand\nlines",
    "🦤🦉🦜🐦🪿🦆" * 4,
    "zebra quilt moon " * 7 + "x" * 8,
]


@pytest.mark.parametrize("password", LETTERS)
async def test_a_password_is_taken_to_the_letter(password, database, here):
    """Not trimmed, not cut, not normalised, not made small; and long ones are welcome."""
    command = ChangePassword(PASSWORD, password)
    await identity.change_password(database, here.actor.id, command, current=NOWHERE, origin=here.origin)
    email = await email_of(database, here)
    assert await identity.verify_password(database, email, password) == here.actor.id
    for other in {password.strip(), password.lower(), password[:-1], password + " "} - {password}:
        with pytest.raises(Unauthenticated):
            await identity.verify_password(database, email, other)


async def test_a_form_keeps_a_password_to_the_letter(stranger, database, scope):
    await set_password(database, scope)
    email = await email_of(database, scope)
    for wrong in (f" {PASSWORD}", f"{PASSWORD} ", PASSWORD.title()):
        fields = {"email": email, "password": wrong}
        assert (await stranger.send("/login", fields, headers=elsewhere())).status_code == 401


async def test_every_log_in_is_recorded_with_its_factors(stranger, database, scope):
    """Done or refused: who, when, from where and by what."""
    await set_password(database, scope)
    email = await email_of(database, scope)
    app, _codes = await enrol(database, scope)
    await log_in(stranger, email, "not the right one")
    await log_in(stranger, email)
    await stranger.send("/login/code", {"code": app.now()}, headers=elsewhere())
    async with database.session(replace(scope, org_id=PLATFORM_ID)) as session:
        rows = await session.fetch(
            """select action, changes->'method'->>1 as method, at, request_id from app.audit_event
                where target_id = $1 and action like 'login.%' order by seq""",
            str(scope.actor.id),
        )
    assert [(row["action"], row["method"]) for row in rows] == [
        ("login.failed", None),
        ("login.succeeded", "totp"),
    ]
    assert all(row["at"] and row["request_id"] for row in rows)
