"""A log-in without the second factor its workspace asks for: every route is tried, next to nothing opens."""

from uuid import uuid4

import pytest

from gptagent.entrypoints.authentication import HELD_API, HELD_PATHS
from isolation.estate import furnish, snapshot
from isolation.routes import CASES, PAGES, Foreign, Installation, Own, fill, place, split
from members import add_member

OPEN_PAGES = {
    f"{PAGES}/account-settings/{path}"
    for path in (
        "second-step",
        "confirm",
        "confirm/passkey",
        "security/totp",
        "security/passkeys/add",
        "security/passkeys/options",
    )
}
OPEN_API = {
    f"/api/v1/account{path}"
    for path in ("", "/confirmation", "/totp", "/totp/confirm", "/passkeys", "/passkeys/options")
}


@pytest.fixture(scope="module")
async def held(platform):
    """A furnished workspace that asks for a second factor."""
    estate = await furnish(platform.db, platform.vault, f"held{uuid4().hex[:8]}")
    async with platform.db.session(estate.scope) as session:
        await session.execute("update app.organization set needs_second_factor = true")
    return estate


def addresses(estate, *, pages):
    """Yield each route that is no public one: its method, its pattern and its address in this workspace."""
    for name, case in CASES.items():
        method, path = split(name)
        if isinstance(case, Own | Foreign) and (PAGES in name) == pages:
            yield method, path, place(fill(path, case, estate) if isinstance(case, Foreign) else path, estate)


@pytest.mark.parametrize("role", ["owner", "admin", "viewer"])
async def test_a_log_in_by_one_factor_opens_nothing_of_a_workspace_that_asks_for_two(
    role, http, enter, held, platform
):
    """TEN-4: neither pages, nor the API, nor the stream of events, whatever the role"""
    who = held.scope if role == "owner" else await add_member(platform.db, held.scope, role)
    caller = await enter(held, who)
    before, passed = await snapshot(platform.db, held.scope), []
    browser = {"cookie": f"session={caller.cookie}"}
    for method, pattern, path in addresses(held, pages=True):
        answer = await http.request(method, path, headers=browser)
        is_led = "/account-settings/second-step?next=" in answer.headers.get("location", "")
        if not is_led and pattern not in OPEN_PAGES:
            passed.append((method, path, answer.status_code))
        assert pattern in OPEN_PAGES or held.canary not in answer.text
    for method, pattern, path in addresses(held, pages=False):
        if not pattern.startswith("/api/") or pattern in OPEN_API:
            continue
        answer = await http.request(method, path, headers=caller.headers)
        if (answer.status_code, answer.json().get("code")) != (403, "second_factor_required"):
            passed.append((method, path, answer.status_code))
    assert passed == []
    assert await snapshot(platform.db, held.scope) == before


def test_what_stays_open_is_what_shows_or_makes_a_factor_and_nothing_else():
    known = {split(name)[1] for name, case in CASES.items() if not isinstance(case, Installation)}
    pages = {path for path in known if path.startswith(PAGES) and HELD_PATHS.fullmatch(path[len(PAGES) :])}
    assert pages == OPEN_PAGES
    assert {path for path in known if HELD_API.fullmatch(path)} == OPEN_API


async def test_another_workspace_of_the_same_person_stays_open(http, enter, held, alice, platform):
    """TEN-1: one workspace's choice binds nobody elsewhere."""
    caller = await enter(held)
    async with platform.db.session(alice.scope) as session:
        await session.execute(
            "insert into app.member (person_id, role) values ($1, 'viewer')", held.person_id
        )
    browser = {"cookie": f"session={caller.cookie}"}
    elsewhere = await http.get(f"/manage/{alice.number}-{alice.slug}/dashboard", headers=browser)
    here = await http.get(f"/manage/{held.number}-{held.slug}/dashboard", headers=browser)
    async with platform.db.session(alice.scope) as session:
        await session.execute("delete from app.member where person_id = $1", held.person_id)
    assert (elsewhere.status_code, here.status_code) == (200, 303)


async def test_a_workspace_that_asks_for_more_ends_the_streams_of_weaker_log_ins(held, alice, platform):
    async with platform.db.installation() as session:
        rows = await session.fetch(
            "select session_id from app.ended_entries($1, $2)",
            [held.session_id, alice.session_id],
            [held.scope.org_id, alice.scope.org_id],
        )
    assert {row["session_id"] for row in rows} == {held.session_id}
