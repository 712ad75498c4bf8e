"""Another workspace's categories, named in a filter or as a place: as good as none."""

from uuid import uuid4

import pytest

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.vectors import store as vectors
from gptagent.features.knowledge.vectors.model import Meaning


async def test_a_search_within_anothers_category_finds_nothing(platform, alice, charlie):
    """KB-27: neither what is in it nor anything else."""
    within = knowledge.within([alice.category_id])
    for estate in (alice, charlie):
        async with platform.db.session(estate.scope) as session:
            found = await knowledge.search(session, f"the word {estate.canary}", within=within)
            assert bool(found) == (estate is alice)
            index_id = await session.fetchval("select id from app.vector_index")
            near = await vectors.nearest(session, Meaning(index_id, [1.0], 1.0, -1.0), 5, within)
            assert bool(near) == (estate is alice)
            if found:
                others = await knowledge.add_related(session, f"the word {estate.canary}", found)
                kept = await knowledge.add_related(
                    session, f"the word {estate.canary}", found, within=knowledge.within([uuid4()])
                )
                assert len(kept) == len(found) <= len(others)


@pytest.mark.parametrize("field", ["categories", "agent_id"])
async def test_the_bench_refuses_anothers_filter_as_one_of_nothing(field, as_charlie, alice):
    """AGT-16"""
    answers = []
    for one in (alice.category_id if field == "categories" else alice.agent_id, uuid4()):
        value = [str(one)] if field == "categories" else str(one)
        body = {"text": "Any", field: value}
        answer = await as_charlie.call("POST", "/api/v1/knowledge-questions/try", json=body)
        told = answer.json()
        answers.append((answer.status_code, told["code"], told.get("errors")))
    assert answers[0] == answers[1] and answers[0][0] == 422


async def test_nothing_is_put_into_anothers_category(as_charlie, platform, alice, charlie):
    chosen = {"categories": [str(alice.category_id)]}
    for path in (f"documents/{charlie.document_id}", f"sites/{charlie.site_id}"):
        assert (await as_charlie.call("PATCH", f"/api/v1/{path}", json=chosen)).status_code == 422
    data = {"categories": str(alice.category_id)}
    sent = {"files": {"file": ("theirs.txt", b"Not yours.")}, "data": data}
    assert (await as_charlie.call("POST", "/api/v1/documents", **sent)).status_code == 422
    async with platform.db.session(charlie.scope) as session:
        assert await session.fetchval("select count(*) from app.document_category") == 1
        assert not await session.fetchval(
            "select exists (select from app.document where file_name = 'theirs.txt')"
        )
    async with platform.db.session(alice.scope) as session:
        assert await session.fetchval("select count(*) from app.document_category") == 1
