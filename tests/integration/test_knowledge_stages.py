"""What an article or a document is for: stages of a deal. Kept, searched by, used in a turn, in files."""

import httpx2
import pytest

from gptagent.features.agents.asking import list_askers
from gptagent.features.knowledge import jobs, service
from gptagent.features.knowledge.articles.model import ArticleChange
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.exchange import service as exchange
from gptagent.features.knowledge.facts import service as facts
from gptagent.features.knowledge.facts.model import NewFact
from gptagent.features.knowledge.model import TXT, ZIP, At, Form, NewArticle, NewDocument, StageKey
from gptagent.features.knowledge.scoring import store as scoring
from gptagent.features.knowledge.staging import service as staging
from gptagent.features.knowledge.staging.service import narrowed
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Invalid
from gptagent.kernel.ids import new_id
from members import bearer
from readers import texts
from scenes import Scene

V1 = "/api/v1"
ASKED = "How long does the delivery take?"


async def write(session, title, content, *stages, **fields):
    return await service.create_article(
        session, NewArticle(title, content, stages=stages, **fields), now=utcnow()
    )


async def titles(session, question, at=None, part=None, limit=5):
    within = service.within(part, at)
    return [one.source_title for one in await service.search(session, question, limit=limit, within=within)]


async def test_what_is_bound_to_other_stages_is_not_found_and_pushes_nothing_out(world, stages, monkeypatch):
    """KB-17: also nine better passages of another stage, words known there only, and relatives."""
    first, second = stages
    async with world.db.session(world.scope) as session:
        assert await narrowed(session, service.within(None, At(first))) is None, "nothing is bound: the whole"
        anywhere = await write(session, "Anywhere", "A courier brings what was bought, delivery is free.")
        for n in range(9):
            await write(session, f"Offer {n}", f"Delivery delivery delivery of offer {n}.", first)
        place = await categories.create_category(session, NewCategory("Sales"), now=utcnow())
        there = await write(session, "There", "Bracelat is a town.", second, categories=(place.id,))
        here = {"categories": (place.id,), "related": (there.id, anywhere.id)}
        await write(session, "Warranty", "The warranty of a bracelet lasts two years.", first, **here)
        assert await titles(session, "delivery", At(second), limit=1) == ["Anywhere"]
        assert await titles(session, "delivery", At(None), limit=20) == ["Anywhere"], "without a deal"
        assert len(await titles(session, "delivery", At(first), limit=20)) == 10
        assert len(await titles(session, "delivery", limit=20)) == 10, "stages do not count"
        assert await titles(session, "delivery", At(StageKey(new_id(), 1, 1)), limit=20) == ["Anywhere"]
        assert await titles(session, "of what is the bracelat?", At(first)) == ["Warranty"]
        for part in (None, [place.id]):
            assert await titles(session, "bracelat", At(second), part) == ["There"]
            assert await titles(session, "bracelat", At(first), part) == ["Warranty"]
        within = service.within(None, At(first))
        found = await service.search(session, "warranty", within=within)
        passages = await service.add_related(session, "warranty", found, within=within)
        assert [one.source_title for one in passages] == ["Warranty", "Anywhere"]
        part = await narrowed(session, service.within(None, At(second)))
        forms = [Form(0, "offer", 1.0, 9), Form(1, "deliveri", 1.0, 10)]
        for named_min in (1, 2_000):
            ranked = await scoring.rank(session, forms, 2, 5, part, named_min=named_min)
            assert [one.source_title for one in ranked] == ["Anywhere"], "the rarest word stands elsewhere"
        monkeypatch.setattr(staging, "ELSEWHERE_COUNTED", 2)
        part = await narrowed(session, service.within(None, At(second)))
        ranked = await scoring.rank(session, forms, 2, 5, part, named_min=1)
        assert [one.source_title for one in ranked] == ["Anywhere"], "so many that they are not counted"


async def test_an_article_of_another_stage_is_not_used_in_a_turn(world, stages):
    """KB-17: the same question in two chats, whose deals are at different stages."""
    first, second = stages
    said = {first: "The delivery takes two days.", second: "The delivery takes nine weeks."}
    async with world.db.session(world.scope) as session:
        for key, text in said.items():
            await write(session, "Delivery", text, key)
    for key, text in said.items():
        chat = {"name": "Ann", "origin": "waba", "status_id": key.stage_id}
        scene = Scene(world, await world.account.call("POST", "/chats", chat))
        await scene.says(ASKED)
        await scene.calm()
        (sent,) = await scene.sent()
        assert sent.startswith(f"«{text}»"), key
    async with world.db.session(world.scope) as session:  # the account of the stages is gone
        await session.execute("delete from app.source_stage")
        assert await titles(session, "delivery", At(first)) == []
        assert len(await titles(session, "delivery")) == 2


async def test_stages_are_kept_changed_refused_and_of_a_gone_account_kept_apart(
    world, stages, database, other_scope
):
    first, second = stages
    async with database.session(other_scope) as session:
        with pytest.raises(Invalid):  # a stage of somebody else's account is none
            await write(session, "Delivery", "The delivery takes two days.", first)
    async with world.db.session(world.scope) as session:
        made = await write(session, "Delivery", "The delivery takes two days.", second, first, first)
        assert (made.stages, made.is_everywhere) == (tuple(sorted(stages)), False)
        changed = await service.update_article(
            session, ArticleChange(made.id, title="Delivery now"), now=utcnow()
        )
        assert changed.stages == made.stages and (changed.version, made.version) == (2, 1)
        changed = await service.update_article(session, ArticleChange(made.id, stages=(first,)), now=utcnow())
        assert (changed.stages, changed.version) == ((first,), 3)
        restored = await service.restore_version(session, made.id, 1, now=utcnow())
        assert restored.stages == (first,), "where it is stays, as with categories"
        with pytest.raises(Invalid):
            await service.update_article(session, ArticleChange(made.id, stages=(_strange(),)), now=utcnow())
        await session.execute("delete from app.source_stage")
        left = await service.update_article(session, ArticleChange(made.id, is_active=False), now=utcnow())
        assert (left.stages, left.is_everywhere) == ((), False)
        freed = await service.update_article(session, ArticleChange(made.id, stages=()), now=utcnow())
        assert freed.is_everywhere and (await service.get_article(session, made.id)).is_everywhere
        told = await session.fetch(
            "select changes::text as told from app.audit_event where action = 'article.updated'"
        )
    assert sum('"stages"' in row["told"] for row in told) == 2


def _strange():
    return StageKey(new_id(), 1, 1)


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_a_file_names_stages_by_their_names_and_is_refused_where_they_are_not(
    form, world, stages, database, other_scope
):
    """U152"""
    async with world.db.session(world.scope) as session:
        await write(session, "Bound", "Long enough a text.", *stages)
        await write(session, "Free", "Long enough a text.")
    data = b"".join([one async for one in await exchange.export_articles(world.db, world.scope, form)])
    async with world.db.session(world.scope) as session:
        assert await exchange.import_articles(session, data, now=utcnow()) == 2
        kept = await session.fetch("select id, title from app.article order by id")
        read = [await service.get_article(session, row["id"]) for row in kept]
    by_title = {(one.title, one.stages, one.is_everywhere) for one in read}
    assert by_title == {("Bound", tuple(sorted(stages)), False), ("Free", (), True)}
    async with database.session(other_scope) as session:
        with pytest.raises(Invalid) as refused:
            await exchange.import_articles(session, data, now=utcnow())
    assert [one.pointer.partition("/")[2] for one in refused.value.fields] == ["stages"]
    async with world.db.session(world.scope) as session:
        await session.execute("delete from app.source_stage")
    data = b"".join([one async for one in await exchange.export_articles(world.db, world.scope, form)])
    async with world.db.session(world.scope) as session:
        with pytest.raises(Invalid):  # nor does a file make it found everywhere
            await exchange.import_articles(session, data, now=utcnow())


async def test_what_an_archive_holds_is_for_the_stages_of_the_archive(world, stages):
    first, second = stages
    async with world.db.session(world.scope) as session:
        archive = NewDocument("all.zip", ZIP, 10, "0" * 64, "documents/none", stages=(first,))
        held = (await service.register_document(session, archive, now=utcnow())).document
        file = NewDocument("one.txt", TXT, 10, "1" * 64, "documents/one")
        entry = (await service.register_document(session, file, now=utcnow())).document
        await jobs.place_as(session, entry.id, held.id)
        entry = await service.get_document(session, entry.id)
        assert (held.stages, entry.stages, entry.is_everywhere) == ((first,), (first,), False)
        placed = await service.place_document(session, entry.id, stages=(second,))
        assert placed.stages == (second,)
        again = NewDocument("one.txt", TXT, 12, "2" * 64, "documents/two")
        replaced = (await service.register_document(session, again, now=utcnow())).document
        assert (replaced.id, replaced.stages) == (entry.id, (second,)), "other bytes stay where it was"


async def test_pages_and_api_take_and_show_stages(world, stages, alice, web):
    """U131"""
    first, second = stages
    fields = {"title": "Delivery", "content": "The delivery takes two days.", "is_active": "on"}
    page = await alice.follow(await alice.send("/knowledge-items/create", {**fields, "stages": str(first)}))
    assert f'value="{first}" checked' in page.text and f'value="{second}" checked' not in page.text
    assert "At 1 stage only" in texts(await alice.open("/knowledge-items"))
    refused = await alice.send("/knowledge-items/create", {**fields, "stages": "nonsense"})
    assert (refused.status_code, "There is no such stage." in refused.text) == (422, True)
    for stage, told in (
        ("", "Would be answered"),
        (first, "Would be answered"),
        (second, "Counts as not found"),
        ("none", "Counts as not found"),
    ):
        page = await alice.open("/knowledge-bench", params={"q": ASKED, "stage": str(stage)})
        assert (page.status_code, told in texts(page)) == (200, True), stage
    for stage in ("nonsense", _strange()):
        page = await alice.open("/knowledge-bench", params={"q": ASKED, "stage": str(stage)})
        assert (page.status_code, "There is no such stage." in texts(page)) == (422, True)
    headers = await bearer(world.db, world.db._vault, world.scope)
    async with httpx2.AsyncClient(base_url=web, headers=headers, timeout=20) as http:
        for asked, answered in (
            ({"stage": _body(first)}, True),
            ({"stage": _body(second)}, False),
            ({"without_deal": True}, False),
        ):
            tried = await http.post(f"{V1}/knowledge-questions/try", json={"text": ASKED, **asked})
            assert tried.json()["is_answerable"] is answered, asked
        both = {"text": ASKED, "stage": _body(first), "without_deal": True}
        assert (await http.post(f"{V1}/knowledge-questions/try", json=both)).status_code == 422
        (listed,) = (await http.get(f"{V1}/articles")).json()["items"]
        assert (listed["stages"], listed["is_everywhere"]) == ([_body(first)], False)
        place = f"{V1}/articles/{listed['id']}"
        patched = (await http.patch(place, json={"stages": [_body(second)]})).json()
        assert patched["stages"] == (await http.get(place)).json()["stages"] == [_body(second)]
        made = await http.post(f"{V1}/articles", json={**_words(fields), "stages": [_body(_strange())]})
        assert (made.status_code, made.json()["errors"][0]["pointer"]) == (422, "/stages")
        files, data = {"file": ("hours.txt", b"Nine.")}, {"stages": f"{first},{second}"}
        document = (await http.post(f"{V1}/documents", files=files, data=data)).json()
        assert document["stages"] == [_body(one) for one in sorted(stages)]
        place = f"{V1}/documents/{document['id']}"
        assert (await http.patch(place, json={"stages": [_body(first)]})).json()["stages"] == [_body(first)]
        assert (await http.patch(place, json={"categories": []})).json()["stages"] == [_body(first)]
    place = f"/knowledge-base/documents/{document['id']}/edit"
    assert f'value="{first}" checked' in (await alice.open(place)).text
    assert "At 1 stage only" in texts(await alice.open("/knowledge-base"))
    await alice.follow(await alice.send(place, {"categories": "", "stages": ""}))
    async with world.db.session(world.scope) as session:
        assert (await service.get_document(session, document["id"])).is_everywhere


async def test_a_stage_that_the_crm_has_no_more_stays_ticked_until_it_is_taken_off(world, stages, alice):
    """Else whoever mends a typo would have all customers told what was for one stage."""
    first, _ = stages
    async with world.db.session(world.scope) as session:
        article = await write(session, "Delivery", "The delivery takes two days.", first)
        file = NewDocument("hours.txt", TXT, 10, "3" * 64, "documents/hours", stages=(first,))
        document = (await service.register_document(session, file, now=utcnow())).document
        fact = await facts.create_fact(
            session, NewFact("We are five.", stages=(first,)), askers=list_askers, now=utcnow()
        )
        await session.execute(
            "update app.crm_stage set removed_at = now() where external_id = $1", first.stage_id
        )
    place = f"/knowledge-items/{article.id}/edit"
    for path in (place, f"/knowledge-base/documents/{document.id}/edit", f"/knowledge-facts/{fact.id}/edit"):
        page = await alice.open(path)
        assert f'value="{first}" checked' in page.text, path
        assert f"A stage that is gone ({first.stage_id})" in texts(page), path
    fields = {"title": "Delivery", "content": "The delivery takes three days.", "is_active": "on"}
    await alice.follow(await alice.send(place, {**fields, "stages": str(first)}))
    async with world.db.session(world.scope) as session:
        kept = await service.get_article(session, article.id)
    assert (kept.version, kept.stages, kept.is_everywhere) == (2, (first,), False)
    await alice.follow(await alice.send(place, fields))
    async with world.db.session(world.scope) as session:
        assert (await service.get_article(session, article.id)).is_everywhere


def _body(key):
    return {
        "connection_id": str(key.connection_id),
        "pipeline_id": key.pipeline_id,
        "stage_id": key.stage_id,
    }


def _words(fields):
    return {name: fields[name] for name in ("title", "content")}
