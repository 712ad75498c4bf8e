"""The pages and the API of the graph: looking, finding, drawing, correcting, without a script."""

import re
from uuid import UUID

import httpx2
import pytest

from gptagent.features.inference.budgets import service as budgets
from gptagent.features.inference.budgets.model import Budgets, Limits
from gptagent.features.inference.guarded import GuardedModel
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.extraction import service as reading
from gptagent.features.knowledge.extraction import store
from gptagent.features.knowledge.extraction.jobs import GraphJobs
from gptagent.features.knowledge.graph import service as graph
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.naming import jobs as naming_jobs
from gptagent.kernel.clock import utcnow
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext
from members import bearer
from readers import texts

TEXT = "Acme Ltd answers at sales@acme.example.\n\n- Chair — $30, until 2026-12-31\n- Desk <b> — $90"


@pytest.fixture
async def made(database, scope):
    """The entities of one article that patterns have read, by name."""
    async with database.session(scope) as session:
        article = await knowledge.create_article(session, NewArticle("Prices", TEXT), now=utcnow())
    await GraphJobs(None).extract(JobContext(database, None, scope, 1, 1), str(article.id))
    async with database.session(scope) as session:
        found, _types = await graph.find_entities(session, limit=50)
    return {one.name: one.id for one in found}


@pytest.fixture
async def api(web, database, scope):
    headers = await bearer(database, database._vault, scope)
    async with httpx2.AsyncClient(base_url=f"{web}/api/v1", headers=headers, timeout=20) as http:
        yield http


def rows(page):
    return re.findall(r'class="table__main" href="[^"]+">([^<]+)<', page.text)


async def test_entities_are_listed_found_and_filtered_with_counts(alice, made):
    """KB-21"""
    page = await alice.open("/knowledge-graph")
    assert rows(page) == ["Acme Ltd", "Chair", "Desk &lt;b&gt;", "Prices"]
    assert "Product 2" in texts(page) and "All types 4" in texts(page)
    assert "1 of 1 passage read" in texts(page)
    for query, expected in (("?q=acme", ["Acme Ltd"]), ("?type=product", ["Chair", "Desk &lt;b&gt;"])):
        assert rows(await alice.open(f"/knowledge-graph{query}")) == expected
    assert "Nothing found" in texts(await alice.open("/knowledge-graph?q=nowhere&type=nonsense"))


async def test_without_money_passages_wait_and_the_page_says_why(alice, api, database, scope, model):
    """KB-21, MSG-5: nobody is asked, and the reading goes on by itself once there is money."""
    async with database.session(scope) as session:
        article = await knowledge.create_article(session, NewArticle("Prices", TEXT), now=utcnow())
        await budgets.set_budgets(session, Budgets(Limits(day_tokens=0)), now=utcnow())
    jobs = GraphJobs(GuardedModel(database, model), pause=0)
    await jobs.extract(JobContext(database, None, scope, 1, 1), str(article.id))
    told = (await api.get("/graph")).json()
    assert (told["waiting"], told["unpaid"], told["calls"]) == (1, 1, 0)
    assert "The budget for AI models is used up" in texts(await alice.open("/knowledge-graph"))
    async with database.session(scope) as session:
        await budgets.set_budgets(session, Budgets(), now=utcnow())
    await jobs.extract(JobContext(database, None, scope, 1, 1), str(article.id))
    assert (await api.get("/graph")).json()["unpaid"] == 0
    assert "The budget for AI models is used up" not in texts(await alice.open("/knowledge-graph"))


async def test_an_entity_is_drawn_with_a_list_that_says_the_same(alice, dora, made):
    page = await alice.open(f"/knowledge-graph/{made['Prices']}")
    drawing = re.search(r"<svg class=\"graph-drawing\".*?</svg>", page.text, re.DOTALL)[0]
    assert drawing.count("<path") == 3 and "Desk &lt;b&gt;" in drawing and "contains" in drawing
    listed = page.text.partition("</svg>")[2]
    assert all(str(made[name]) in listed for name in ("Acme Ltd", "Chair", "Desk <b>"))
    chair = texts(await dora.open(f"/knowledge-graph/{made['Chair']}"))
    assert "$30" in chair and "until 12/31/2026" in chair and "version 1" in chair
    assert "Correct" not in chair and "Delete" not in chair, "who may only look corrects nothing"
    assert (await alice.open(f"/knowledge-graph/{new_id()}")).status_code == 404


async def test_an_entity_is_renamed_merged_and_deleted_by_forms(alice, made):
    chair, desk = f"/knowledge-graph/{made['Chair']}", made["Desk <b>"]
    taken = await alice.send(f"{chair}/edit", {"name": "desk b", "type": "product"})
    assert taken.status_code == 409 and "Merge the two instead." in texts(taken)
    assert 'value="desk b"' in taken.text
    empty = await alice.send(f"{chair}/edit", {"name": " ", "type": "product"})
    assert empty.status_code == 422 and "Write 1 to 200 characters." in texts(empty)
    stale = await alice.send(f"{chair}/edit", {"name": "Stool", "type": "product", "version": "77"})
    assert stale.status_code == 409
    renamed = await alice.follow(await alice.send(f"{chair}/edit", {"name": "Stool", "type": "concept"}))
    assert "Stool" in texts(renamed) and "Corrected" in texts(renamed) and "Concept" in texts(renamed)
    found = await alice.open(f"{chair}?other=desk")
    assert f'name="other_id" value="{desk}"' in found.text
    merged = await alice.follow(await alice.send(f"{chair}/merge", {"other_id": str(desk)}))
    assert "Desk &lt;b&gt;" in merged.text and "$90" in texts(merged) and "$30" in texts(merged)
    assert (await alice.send(f"{chair}/merge", {"other_id": "nonsense"})).status_code == 404
    assert (await alice.send(f"{chair}/merge", {"other_id": str(made["Chair"])})).status_code == 422
    gone = await alice.follow(await alice.send(f"{chair}/delete"))
    assert rows(gone) == ["Acme Ltd", "Prices"]


async def test_facts_are_added_corrected_and_deleted_by_forms(alice, made):
    chair = f"/knowledge-graph/{made['Chair']}"
    wrong = {"attribute": "colour", "value": "red", "valid_from": "2026-02-01", "valid_until": "2026-01-01"}
    refused = await alice.send(f"{chair}/facts", wrong)
    assert refused.status_code == 422 and "The end lies before the beginning." in texts(refused)
    no_day = await alice.send(f"{chair}/facts", {**wrong, "valid_from": "soon"})
    assert no_day.status_code == 422 and "Write the date as YYYY-MM-DD." in texts(no_day)
    added = await alice.follow(await alice.send(f"{chair}/facts", {"attribute": "colour", "value": "red"}))
    assert "colour red" in texts(added) and "No passage says it" in texts(added)
    again = await alice.send(f"{chair}/facts", {"attribute": "Colour", "value": "RED"})
    assert again.status_code == 409 and "This fact is there already." in texts(again)
    fact_id = re.search(r"/facts/([0-9a-f-]{36})\"", added.text)[1]
    changed = await alice.send(f"{chair}/facts/{fact_id}", {"attribute": "colour", "value": "green"})
    assert "green" in texts(await alice.follow(changed))
    gone = await alice.follow(await alice.send(f"{chair}/facts/{fact_id}/delete"))
    assert "green" not in texts(gone)
    assert (await alice.send(f"{chair}/facts/{fact_id}/delete")).status_code == 404


async def test_relations_are_added_and_deleted_by_forms_and_not_read_again(alice, api, made, database, scope):
    """KB-21: like facts; a merged entity takes them along"""
    chair, desk, acme = (made[name] for name in ("Chair", "Desk <b>", "Acme Ltd"))
    here = f"/knowledge-graph/{acme}"
    found = await alice.open(f"{here}?other=chair")
    assert f'value="{chair}"' in found.text and "Relate" in texts(found)
    related = {"other_id": str(chair), "kind": "provides"}
    page = await alice.follow(await alice.send(f"{here}/relations", related))
    assert "provides Chair" in texts(page) and "is provided by Acme Ltd" in texts(
        await alice.open(f"/knowledge-graph/{chair}")
    )
    for wrong, status, told in (
        (related, 409, "This relation is there already."),
        ({**related, "kind": "loves"}, 422, "Choose a relation."),
        ({**related, "other_id": str(acme)}, 422, "An entity cannot be related to itself."),
        ({**related, "other_id": str(new_id())}, 422, "There is no such entity."),
    ):
        refused = await alice.send(f"{here}/relations", wrong)
        assert (refused.status_code, told in texts(refused)) == (status, True), wrong
    async with database.session(scope) as session:
        await reading.read_anew(session, now=utcnow())
        article_id = await session.fetchval("select id from app.article")
    await GraphJobs(None).extract(JobContext(database, None, scope, 1, 1), str(article_id))
    (kept,) = [one for one in await relations(api, acme) if one["kind"] == "provides"]
    assert (kept["other_id"], kept["is_outgoing"], kept["is_corrected"]) == (str(chair), True, True)
    path = f"{here}/relations/{kept['id']}/delete"
    assert "provides Chair" not in texts(await alice.follow(await alice.send(path)))
    assert (await alice.send(path)).status_code == 404
    said = {"kind": "provides", "other_id": str(chair)}
    again = await api.post(f"/graph/entities/{acme}/relations", json=said)
    assert (again.status_code, again.json()["relations"][0]["id"]) == (201, kept["id"]), "it comes back"
    assert (await api.delete(f"/graph/entities/{chair}/relations/{kept['id']}")).status_code == 204
    assert (await api.delete(f"/graph/entities/{desk}/relations/{kept['id']}")).status_code == 404
    async with database.session(scope) as session:
        support = """insert into app.graph_support (chunk_id, relation_id, confidence)
                     select id, $1, 0.9 from app.chunk limit 1"""
        await session.execute(support, UUID(kept["id"]))
        await session.execute("delete from app.graph_support where relation_id = $1", UUID(kept["id"]))
        found_again = await store.upsert_relation(session, new_id(), acme, "provides", chair)
        assert str(found_again) == kept["id"]
        await graph.merge_entities(session, desk, chair, now=utcnow())
    assert [one for one in await relations(api, acme) if one["kind"] == "provides"] == [], (
        "merged, it stays away"
    )


async def test_a_wrong_name_is_taken_off_by_a_form_and_over_the_api(readers, made, database, scope):
    """KB-21: what it is called stays; who may not edit is not asked"""
    alice, dora, api = readers
    here = f"/knowledge-graph/{made['Chair']}"
    for name in ("Stool", "Bench <b>", "Seat"):
        await alice.send(f"{here}/edit", {"name": name, "type": "product"})
    page = await alice.open(here)
    assert "Take the name “Bench &lt;b&gt;” off" in page.text and "Take the name “Seat” off" not in page.text
    assert "Take the name" not in (await dora.open(here)).text
    assert (await dora.send(f"{here}/aliases/delete", {"name": "Stool"})).status_code == 403
    page = await alice.follow(await alice.send(f"{here}/aliases/delete", {"name": "Bench <b>"}))
    assert "The name is taken off" in page.text and "Bench" not in texts(page)
    refused = await alice.send(f"{here}/aliases/delete", {"name": "Seat"})
    assert (refused.status_code, "It is shown by this name." in texts(refused)) == (409, True)
    assert (await alice.send(f"{here}/aliases/delete", {"name": "Bench <b>"})).status_code == 422
    path = f"/graph/entities/{made['Chair']}/aliases/removal"
    said = await api.post(path, json={"name": "Stool"})
    assert (said.status_code, said.json()["aliases"]) == (200, ["Seat", "Chair"])
    for body, status in (({"name": "Stool"}, 422), ({"name": "Seat"}, 409), ({"name": ""}, 422)):
        assert (await api.post(path, json=body)).status_code == status
    async with database.session(scope) as session:
        told = await session.fetch(
            "select changes::text from app.audit_event where action = 'graph_alias.deleted'"
        )
    assert len(told) == 2 and not any(name in str(told) for name in ("Stool", "Bench"))


async def relations(api, entity_id):
    return (await api.get(f"/graph/entities/{entity_id}/relations")).json()["items"]


async def test_what_failed_is_shown_and_tried_again_and_the_budget_is_set(alice, dora, made, database, scope):
    """KB-22"""
    async with database.session(scope) as session:
        await session.execute("update app.graph_reading set state = 'waiting', error_code = 'bad_output'")
        (source,) = await store.waiting_sources(session)
        await store.fail_source(session, source, utcnow())
    page = await alice.open("/knowledge-graph")
    assert "1 passage could not be read" in texts(page)
    assert "The model's answer could not be understood." in page.text.replace("&#39;", "'")
    queued = "select count(*) from jobs.pgqueuer where headers->>'org' = $1"
    async with database.session(scope) as session:
        before = await session.fetchval(queued, str(scope.org_id))
    begun = await alice.follow(await alice.send("/knowledge-graph/readings", {"only": "failed"}))
    assert "could not be read" not in texts(begun) and "1 passage waits." in texts(begun)
    async with database.session(scope) as session:
        assert await session.fetchval(queued, str(scope.org_id)) == before + 1
    for typed in ("-1", "many", "100000001"):
        refused = await alice.send("/knowledge-graph/budget", {"daily_tokens": typed})
        assert refused.status_code == 422 and "Write a number from 0 to" in texts(refused)
        assert f'value="{typed}"' in refused.text
    assert (
        'value="5"'
        in (await alice.follow(await alice.send("/knowledge-graph/budget", {"daily_tokens": "5"}))).text
    )
    assert (await dora.send("/knowledge-graph/budget", {"daily_tokens": "7"})).status_code == 403


async def test_a_program_does_the_same_over_the_api(api, made, database, scope):
    listed = (await api.get("/graph/entities", params={"type": "product", "limit": 1})).json()
    assert [one["name"] for one in listed["items"]] == ["Chair"]
    more = await api.get(
        "/graph/entities", params={"type": "product", "limit": 1, "cursor": listed["next_cursor"]}
    )
    assert [one["name"] for one in more.json()["items"]] == ["Desk <b>"]
    chair = f"/graph/entities/{made['Chair']}"
    card = await api.get(chair)
    assert card.json()["facts"][0]["value"] == "$30" and card.json()["origins"][0]["version"] == 1
    stale = await api.patch(chair, json={"name": "Stool"}, headers={"if-match": '"old"'})
    assert stale.status_code == 412
    renamed = await api.patch(chair, json={"name": "Stool"}, headers={"if-match": card.headers["etag"]})
    assert renamed.json()["aliases"] == ["Stool", "Chair"]
    assert (await api.patch(chair, json={"type": "spaceship"})).status_code == 422
    merged = await api.post(f"{chair}/merge", json={"other_id": str(made["Desk <b>"])})
    assert {fact["value"] for fact in merged.json()["facts"]} == {"$30", "$90"}
    added = await api.post(f"{chair}/facts", json={"attribute": "colour", "value": "red"})
    assert added.status_code == 201
    fact = next(one["id"] for one in added.json()["facts"] if one["value"] == "red")
    put = await api.put(f"{chair}/facts/{fact}", json={"attribute": "colour", "value": "green"})
    assert "green" in {one["value"] for one in put.json()["facts"]}
    assert (await api.delete(f"{chair}/facts/{fact}")).status_code == 204
    assert (await api.put(f"{chair}/facts/{fact}", json={"attribute": "a", "value": "b"})).json()[
        "code"
    ] == "graph_fact_not_found"
    assert (await api.delete(chair)).status_code == 204
    assert (await api.get(chair)).json()["code"] == "graph_entity_not_found"
    assert (await api.patch("/graph", json={"daily_tokens": 9})).json()["daily_tokens"] == 9
    assert (await api.post("/graph/readings", json={"failed_only": False})).json() == {"sources": 1}
    status = (await api.get("/graph")).json()
    assert status["waiting"] == 1 and status["types"] == {"document": 1, "organization": 1}
    async with database.session(scope) as session:
        actions = await session.fetch(
            "select action, changes::text from app.audit_event where action ~ '^graph'"
        )
    assert {row["action"] for row in actions} == {
        "graph.budget_changed",
        "graph.read_anew",
        "graph_entity.deleted",
        "graph_entity.merged",
        "graph_entity.updated",
        "graph_fact.added",
        "graph_fact.deleted",
        "graph_fact.updated",
    }
    assert not any(word in row["changes"] for row in actions for word in ("Stool", "Chair", "green"))


@pytest.fixture
def readers(alice, dora, api):
    return alice, dora, api


async def test_what_other_names_add_is_measured_by_a_button_and_told(readers, made, database, scope):
    """KB-21"""
    alice, dora, api = readers
    page = texts(await alice.open("/knowledge-graph"))
    assert "Other names in the search Not used" in page and "It is measured two minutes after" in page
    assert (await dora.send("/knowledge-graph/measure")).status_code == 403
    begun = texts(await alice.follow(await alice.send("/knowledge-graph/measure")))
    assert "It is being measured" in begun and "Being measured" in begun
    again = texts(await alice.follow(await alice.send("/knowledge-graph/measure")))
    assert "It is being measured already" in again
    assert (await api.post("/graph/measurements")).json()["use"]["is_queued"]
    await naming_jobs.measure(JobContext(database, None, scope, 1, 1))
    part = texts(await dora.open("/knowledge-graph", params={"part": "use"}))
    assert "There are too few questions to tell." in part and "Measure again" not in part
    use = (await api.get("/graph")).json()["use"]
    assert (use["is_used"], use["is_queued"], use["named"]) == (False, False, 0) and use["sample_size"] > 0
    async with database.session(scope) as session:
        await session.execute(
            """update app.graph_benefit set is_used = true, sample_size = 20, named = 7, recall_with = 0.9,
                      recall_without = 0.5"""
        )
    told = texts(await alice.open("/knowledge-graph"))
    assert "In use" in told and "that finds more here" in told and "own words 50%" in told


async def test_facts_and_relations_are_shown_in_pages(alice, api, made, database, scope):
    chair = made["Chair"]
    async with database.session(scope) as session:
        await session.execute(
            """insert into app.graph_fact (id, entity_id, attribute, value, digest)
               select gen_random_uuid(), $1, 'size', 'number ' || n, n::text from generate_series(1, 60) n""",
            chair,
        )
    first, second = [
        texts(await alice.open(f"/knowledge-graph/{chair}", params={"facts": n})) for n in ("1", "2")
    ]
    assert "1 to 50 of 61" in first and "51 to 61 of 61" in second
    assert "51 to 61 of 61" in texts(await alice.open(f"/knowledge-graph/{chair}", params={"facts": "9"}))
    assert len((await api.get(f"/graph/entities/{chair}")).json()["facts"]) == 50
    listed = (await api.get(f"/graph/entities/{chair}/facts", params={"limit": 40})).json()
    rest = await api.get(
        f"/graph/entities/{chair}/facts", params={"limit": 40, "cursor": listed["next_cursor"]}
    )
    assert len(listed["items"]) == 40 and len(rest.json()["items"]) == 21
    assert rest.json()["next_cursor"] is None
    relations = (await api.get(f"/graph/entities/{chair}/relations")).json()
    assert [one["other_name"] for one in relations["items"]] == ["Prices"]
