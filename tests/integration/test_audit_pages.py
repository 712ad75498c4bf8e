"""The audit on its page, in files and over the API."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.audit.service import PAGE_SIZE
from gptagent.kernel.scope import Actor, Origin
from members import add_member, bearer
from readers import reader_of, texts

PAGE = "/settings/audit"
SUSPENDED = Entry("workspace.suspended", "workspace", "7", {"role": ("member", "admin"), "email": None})


@pytest.fixture
def here(scope):
    return replace(scope, request_id="0123456789abcdef", address="198.51.100.7")


async def record(database, scope, *entries, origin=None):
    async with database.session(scope) as session:
        for entry in entries:
            await audit.record(session, entry, origin=origin)


async def test_a_line_says_who_did_what_when_and_from_where(alice, database, here):
    """TEN-10"""
    await record(database, here, SUSPENDED)
    page = texts(await alice.open(PAGE))
    for said in (
        "Alice",
        "Workspace suspended",
        "workspace 7",
        "Role : member → admin",
        "198.51.100.7",
        "01234567",
    ):
        assert said.replace(" :", ":") in page, said
    assert "E-mail: changed" in page


async def test_the_page_speaks_russian(alice, database, here):
    await record(database, here, SUSPENDED)
    alice.http.cookies.set("language", "ru")
    page = texts(await alice.open(PAGE))
    assert "Рабочее пространство приостановлено" in page and "Роль: member → admin" in page


async def test_an_action_nobody_has_put_into_words_is_shown_by_its_name(alice, database, here):
    await record(database, here, Entry("teapot.boiled", "teapot", "9"))
    assert "teapot.boiled" in texts(await alice.open(PAGE))


async def test_people_who_are_gone_are_called_so(alice, database, here):
    bob = await add_member(database, here, "member")
    erased = await add_member(database, here, "member")
    for who in (bob, erased):
        await record(database, here, Entry("person.suspended", "person", str(who.actor.id)))
    async with database.session(bob) as session:
        await session.execute("delete from app.person where id = $1", bob.actor.id)
    async with database.session(erased) as session:
        await session.execute("update app.person set erased_at = now() where id = $1", erased.actor.id)
    page = texts(await alice.open(PAGE))
    assert "A deleted person" in page and "An erased person" in page
    assert "Bob Member" not in page


async def test_other_actors_and_impersonation_are_named(alice, database, here):
    bob = await add_member(database, here, "member")
    by = Actor("person", here.actor.id, impersonator=bob.actor.id)
    await record(database, here, SUSPENDED, origin=Origin(by))
    await record(database, here, SUSPENDED, origin=Origin(Actor("operator")))
    page = texts(await alice.open(PAGE))
    assert "Bob Member as Alice" in page and "The operator" in page


async def test_the_filters_leave_what_is_asked_for(alice, database, here):
    bob = await add_member(database, here, "member")
    await record(database, here, Entry("person.suspended", "teapot", "of Alice"))
    await record(database, bob, Entry("person.resumed", "teapot", "of Bob"))

    async def found(query):
        page = texts(await alice.open(f"{PAGE}?{query}"))
        return "of Alice" in page, "of Bob" in page

    today, tomorrow = (datetime.now(UTC).date() + timedelta(days=days) for days in (-1, 2))
    assert await found("") == (True, True)
    assert await found("action=person.resumed") == (False, True)
    assert await found(f"person={here.actor.id}") == (True, False)
    assert await found(f"since={today}&until={tomorrow}") == (True, True)
    assert await found(f"since={tomorrow}") == (False, False)
    assert await found(f"until={today - timedelta(days=1)}") == (False, False)
    assert await found("since=never&person=nobody") == (True, True)


async def test_a_long_record_has_pages(alice, database, here):
    await record(database, here, *(Entry("teapot.boiled", "teapot", f"t{n}.") for n in range(PAGE_SIZE + 1)))
    first = await alice.open(PAGE)
    assert f"t{PAGE_SIZE}." in first.text and "t0." not in first.text
    (older,) = [part for part in first.text.split('href="') if "before=" in part.split('"')[0]]
    second = await alice.http.get(older.split('"')[0].replace("&amp;", "&"))
    assert "t0." in second.text and f"t{PAGE_SIZE}." not in second.text


@pytest.mark.parametrize("role", ["admin", "member", "viewer"])
async def test_nobody_but_an_owner_reads_it(role, web, database, scope):
    """TEN-4"""
    async with reader_of(web, database, await add_member(database, scope, role)) as reader:
        for path in (PAGE, f"{PAGE}/export"):
            assert (await reader.open(path)).status_code == 403


async def test_an_exported_table_holds_every_row_and_no_formula(alice, database, here):
    evil = '=HYPERLINK("https://evil.test")'
    await record(
        database, here, Entry("teapot.boiled", "teapot", evil), Entry("teapot.boiled", "teapot", "@x")
    )
    answer = await alice.open(f"{PAGE}/export?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row["target_id"] for row in rows[1:3]] == ["'@x", f"'{evil}"]
    assert [int(row["seq"]) for row in rows] == list(range(len(rows), 0, -1))
    assert (rows[1]["actor_name"], rows[1]["address"]) == ("Alice", "198.51.100.7")


async def test_exporting_is_recorded_and_the_file_holds_that_too(alice, database, scope, monkeypatch):
    """TEN-10"""
    monkeypatch.setattr("gptagent.features.admin.audit_lines.EXPORT_ROWS", 2)  # several pieces
    await record(database, scope, *(Entry("teapot.boiled", "teapot", str(n)) for n in range(5)))
    answer = await alice.open(f"{PAGE}/export?format=jsonl&action=teapot.boiled")
    assert [json.loads(line)["target_id"] for line in answer.text.splitlines()] == ["4", "3", "2", "1", "0"]
    everything = (await alice.open(f"{PAGE}/export?format=jsonl")).text.splitlines()
    last, before = (json.loads(line) for line in everything[:2])
    assert last["action"] == before["action"] == "audit.exported"
    assert before["changes"]["action"] == [None, "teapot.boiled"]
    assert len(everything) == last["seq"]


async def test_the_api_returns_it_page_by_page(alice, database, here, home):
    await record(database, here, *(Entry("teapot.boiled", "teapot", str(n)) for n in range(3)))
    headers = await bearer(database, database_vault(database), here)

    async def ask(**params):
        answer = await alice.http.get("/api/v1/audit", params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    first = await ask(limit=2, action="teapot.boiled")
    assert [row["target_id"] for row in first["items"]] == ["2", "1"]
    rest = await ask(limit=2, action="teapot.boiled", cursor=first["next_cursor"])
    assert [row["target_id"] for row in rest["items"]] == ["0"] and rest["next_cursor"] is None
    assert rest["items"][0]["actor_name"] == "Alice"
    assert (await ask(since="2999-01-01T00:00:00Z"))["items"] == []


def database_vault(database):
    return database._vault


async def test_a_neighbour_sees_none_of_it(web, database, other_scope, here):
    """TEN-1"""
    await record(database, here, Entry("teapot.boiled", "teapot", "of Alice"))
    async with reader_of(web, database, other_scope) as charlie:
        for path in (PAGE, f"{PAGE}/export"):
            assert "of Alice" not in (await charlie.open(path)).text
