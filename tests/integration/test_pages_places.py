"""Categories of documents and sites, and a part of the base on the test bench: pages and API, no script."""

import httpx2
import pytest

from gptagent.features.agents import service as agents
from gptagent.features.knowledge import service
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.model import ZIP, NewArticle, NewDocument
from gptagent.kernel.clock import utcnow
from gptagent.kernel.ids import new_id
from members import bearer
from readers import texts

V1 = "/api/v1"
ASKED = "How long does the warranty of a watch last?"


@pytest.fixture
async def made(database, scope):
    """Two categories, an article in the first, and an agent kept to the second."""
    async with database.session(scope) as session:
        watches, sofas = [
            await categories.create_category(session, NewCategory(title), now=utcnow())
            for title in ("Watches", "Sofas")
        ]
        new = NewArticle("Warranty", "The warranty of a watch lasts two years.", categories=(watches.id,))
        await service.create_article(session, new, now=utcnow())
        agent = await agents.create_agent(session, "Sally of the sofas", locale="en")
        kept = {"all": False, "categories": [str(sofas.id)]}
        await agents.update_agent(session, agent.id, {"knowledge": kept})
    return str(watches.id), str(sofas.id), str(agent.id)


async def test_documents_are_put_into_categories_on_upload_and_later(alice, dora, made, database, scope):
    """KB-17"""
    watches, sofas, _agent = made
    page = await alice.open("/knowledge-base")
    assert "What is in no category it does not find." in texts(page)
    files = {"files": ("hours.txt", b"The showroom opens at nine.")}
    sent = await alice.send("/knowledge-base/documents", {"categories": watches}, files=files)
    page = await alice.follow(sent)
    assert "hours.txt" in page.text and "· Watches" in texts(page)
    async with database.session(scope) as session:
        (document,) = await service.list_documents(session)
    place = f"/knowledge-base/documents/{document.id}/edit"
    page = await alice.open(place)
    assert f'value="{watches}" checked' in page.text and f'value="{sofas}" checked' not in page.text
    assert (await dora.open(place)).status_code == 403
    page = await alice.follow(await alice.send(place, {"categories": ["", sofas]}))
    assert "Saved" in texts(page) and "· Sofas" in texts(page) and "· Watches" not in texts(page)
    refused = await alice.send(place, {"categories": str(new_id())})
    assert (refused.status_code, "There is no such category." in refused.text) == (422, True)
    again = {"files": ("other.txt", b"Another one."), "more": ("other.exe", b"MZ")}
    kept = await alice.send("/knowledge-base/documents", {"categories": str(new_id())}, files=again)
    assert kept.status_code == 422
    page = await alice.follow(await alice.send(place, {"categories": ""}))
    assert "· Sofas" not in texts(page)
    own = "The files of an archive are documents of their own"
    assert own not in texts(await alice.open(place))
    async with database.session(scope) as session:
        archive = NewDocument("all.zip", ZIP, 10, "0" * 64, "documents/none")
        archive_id = (await service.register_document(session, archive, now=utcnow())).document.id
    assert own in texts(await alice.open(f"/knowledge-base/documents/{archive_id}/edit"))


async def test_the_bench_asks_a_part_of_the_base_or_as_an_agent(alice, made):
    """AGT-16"""
    watches, sofas, agent = made
    for chosen, told in (
        ({}, "Would be answered"),
        ({"categories": [watches, sofas]}, "Would be answered"),
        ({"categories": sofas}, "Counts as not found"),
        ({"agent": agent}, "Counts as not found"),
    ):
        page = await alice.open("/knowledge-bench", params={"q": ASKED, **chosen})
        assert page.status_code == 200 and told in texts(page), chosen
    for chosen, told in (
        ({"categories": str(new_id())}, "There is no such category."),
        ({"categories": "nonsense"}, "There is no such category."),
        ({"agent": str(new_id())}, "There is no such agent."),
        ({"agent": agent, "categories": sofas}, "The agent has its own categories. Choose either."),
    ):
        page = await alice.open("/knowledge-bench", params={"q": ASKED, **chosen})
        assert (page.status_code, told in texts(page)) == (422, True), chosen


async def test_the_api_filters_and_places_as_the_pages_do(web, made, database, scope):
    """AGT-16, KB-17"""
    watches, sofas, agent = made
    headers = await bearer(database, database._vault, scope)
    async with httpx2.AsyncClient(base_url=web, headers=headers, timeout=20) as http:
        for chosen, answered in (
            ({}, True),
            ({"categories": [watches]}, True),
            ({"categories": [sofas]}, False),
            ({"agent_id": agent}, False),
        ):
            tried = await http.post(f"{V1}/knowledge-questions/try", json={"text": ASKED, **chosen})
            assert tried.json()["is_answerable"] is answered, chosen
        both = {"text": ASKED, "agent_id": agent, "categories": [sofas]}
        assert (await http.post(f"{V1}/knowledge-questions/try", json=both)).status_code == 422
        files, data = {"file": ("hours.txt", b"Nine.")}, {"categories": f"{watches}, {sofas}"}
        document = (await http.post(f"{V1}/documents", files=files, data=data)).json()
        assert set(document["categories"]) == {watches, sofas}
        place = f"{V1}/documents/{document['id']}"
        changed = await http.patch(place, json={"categories": [sofas]})
        assert (changed.status_code, changed.json()["categories"]) == (200, [sofas])
        assert (await http.get(f"{V1}/categories/{sofas}")).json()["documents"] == 1
        for wrong in ({"categories": [str(new_id())]}, {"categories": "sofas"}, {"other": 1}):
            assert (await http.patch(place, json=wrong)).status_code == 422
        unchanged = await http.patch(place, json={})
        assert (unchanged.status_code, unchanged.json()["categories"]) == (200, [sofas])
        refused = await http.delete(f"{V1}/categories/{sofas}")
        assert (refused.status_code, refused.json()["code"]) == (409, "category_not_empty")
