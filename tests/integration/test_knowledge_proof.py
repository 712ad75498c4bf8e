"""What a base finds before its search was made anew, and after: by words, by meaning, by both."""

import pytest

from gptagent.entrypoints.operations import proof_lines
from gptagent.features.inference.masking.service import set_masking
from gptagent.features.knowledge import service
from gptagent.features.knowledge.renewing.store import pieces_elsewhere
from gptagent.features.knowledge.vectors import jobs
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.kernel.clock import utcnow
from gptagent.sandbox.spawn import running
from integration.vector_desk import BASE, ENGLISH, desk_at

# What every table of the search holds, but for the time of the last look.
KEPT = """select (select jsonb_agg(v order by v) from app.chunk_vector v),
                 (select jsonb_agg(p order by p) from app.posting p),
                 (select jsonb_agg(g order by g) from app.gram g),
                 (select jsonb_agg(i.id) from app.vector_index i)"""
# Each passage with the vector of the one behind it.
MIXED_UP = """with mixed as (
    select v.chunk_id, lead(v.embedding) over all_of as next, first_value(v.embedding) over all_of as first
      from app.chunk_vector v window all_of as (order by v.chunk_id)
) update app.chunk_vector v set embedding = coalesce(m.next, m.first),
                                bits = binary_quantize(coalesce(m.next, m.first))
    from mixed m where m.chunk_id = v.chunk_id"""


@pytest.fixture(scope="module")
def provider():
    with running("llm") as url:
        yield url


@pytest.fixture
async def desk(database, scope, provider):
    """A base whose saved questions are asked in another language, and only meaning finds."""
    async with desk_at(provider, database, scope) as desk:
        await desk.save_questions(await desk.write(BASE))
        await desk.embed()
        yield desk


async def run(desk, sql):
    async with desk.database.session(desk.scope) as session:
        return await session.fetchrow(sql)


async def prove(desk, embedder=None):
    return await service.prove(desk.database, desk.scope, embedder or desk.embedder)


def verdicts(proof):
    return {leg.way: leg.verdict for leg in proof.legs}


async def test_the_proof_asks_words_meaning_and_both_and_keeps_nothing(desk):
    """KB-16: what is embedded anew for it is embedded as the base is, and thrown away."""
    before, calls = tuple(await run(desk, KEPT)), len(desk.calls())
    proof = await prove(desk)
    assert verdicts(proof) == {"words": "kept", "meaning": "kept", "fused": "kept"}
    words, meaning, fused = proof.legs
    assert (words.after.recall, words.after.asked) == (0, len(BASE))
    assert meaning.before == meaning.after and meaning.after.recall >= 0.9
    assert fused.before == fused.after and fused.after.recall >= 0.9
    assert proof.is_kept and proof.unproved is None
    assert tuple(await run(desk, KEPT)) == before
    asked, embedded = [call["prompt"] for call in desk.calls()[calls:]]
    assert set(asked) == set(ENGLISH.values())
    assert set(embedded) == {f"{title}\n{text}" for title, text in BASE.items()}


async def test_wrong_vectors_in_the_table_are_told_by_the_proof_and_mended_by_a_rebuild(desk):
    await run(desk, MIXED_UP)
    proof = await prove(desk)
    assert verdicts(proof) == {"words": "kept", "meaning": "more", "fused": "more"}
    told = "\n".join(proof_lines(7, proof))
    assert "meaning" in told and "MORE: what was stored finds less than its texts" in told
    old = (await desk.standing()).serving.id
    count, proof = await service.rebuild_and_prove(desk.database, desk.scope, desk.embedder)
    assert (count, proof.is_kept) == (len(BASE), True)
    assert verdicts(proof)["meaning"] == verdicts(proof)["fused"] == "more"
    standing = await desk.standing()
    assert standing.serving.id != old and standing.following is None
    assert set(verdicts(await prove(desk)).values()) == {"kept"}


async def test_a_model_that_would_find_less_is_told_and_after_a_rebuild_as_well(desk):
    """Behind its name another model answers by now, one that knows no Russian."""
    desk.control.post("/knobs", json={"languages": "english"}).raise_for_status()
    proof = await prove(desk)
    assert verdicts(proof) == {"words": "kept", "meaning": "less", "fused": "less"}
    assert not proof.is_kept and "WORSE" in "\n".join(proof_lines(7, proof))
    _count, proof = await service.rebuild_and_prove(desk.database, desk.scope, desk.embedder)
    assert verdicts(proof)["meaning"] == "less" and not proof.is_kept


async def test_without_the_provider_words_are_proved_and_vectors_are_named_as_not_proved(desk):
    old = (await desk.standing()).serving.id
    desk.fail(status=503)
    proof = await prove(desk)
    assert (list(verdicts(proof)), proof.is_kept) == (["words"], True)
    assert proof_lines(7, proof)[-1] == (
        "7  vectors NOT PROVED: The provider of embeddings does not answer. It is tried again soon."
    )
    _count, proof = await service.rebuild_and_prove(desk.database, desk.scope, desk.embedder)
    assert list(verdicts(proof)) == ["words"] and proof.unproved
    standing = await desk.standing()
    assert standing.serving.id == old, "what is there serves until there is something new"
    assert await desk.queued() == 1
    desk.control.delete("/faults")
    assert (await desk.embed()).serving.id != old
    assert (await service.prove(desk.database, desk.scope)).unproved == "No embedding model is set."


async def test_passages_are_embedded_anew_when_what_is_hidden_changes_and_only_those_it_changes(desk):
    """The index of the texts as they were serves until the other one is whole."""
    phone, mail = "+7 912 345-67-89", "shop@customer.example"
    await desk.write({"Телефон": f"Звоните {phone}.", "Письма": f"Пишите на {mail}."})
    async with desk.database.session(desk.scope) as session:
        await set_masking(session, ["email"], now=utcnow())
    old = (await desk.embed()).serving
    assert old.hidden == ("email",)
    calls = len(desk.calls())
    async with desk.database.session(desk.scope) as session:
        await set_masking(session, ["phone", "email"], now=utcnow())
        await session.execute("update app.vector_index set updated_at = now()")
    await queue_due(desk)
    assert await desk.queued() >= 1
    desk.fail(status=400)
    standing = await desk.embed()
    assert standing.serving.id == old.id and standing.is_renewed
    assert standing.progress.embedded == len(BASE) + 1, "what is the same to the provider was taken over"
    async with desk.database.session(desk.scope) as session:
        left = await pieces_elsewhere(session, standing.following.id, old.id, 40)
    assert left == [], "the next job looks at none of them again"
    desk.control.delete("/faults")
    calls = len(desk.calls())
    standing = await desk.embed()
    assert desk.calls()[calls]["prompt"] == ["Телефон\nЗвоните [PHONE]."]
    assert standing.serving.id != old.id and standing.serving.hidden == ("email", "phone")
    assert (await desk.ask("courier delivery"))[0] == "Доставка"
    async with desk.database.session(desk.scope) as session:
        await set_masking(session, [], now=utcnow())
    calls = len(desk.calls())
    await desk.embed()
    assert desk.calls()[calls]["prompt"] == [f"Телефон\nЗвоните {phone}.", f"Письма\nПишите на {mail}."]


async def test_an_index_of_the_release_before_is_made_anew_where_something_was_to_hide(desk):
    """It is not known whether its provider was told the number: that passage is embedded anew, no other."""
    await desk.write({"Телефон": "Звоните +7 912 345-67-89."})
    await desk.embed()
    await run(desk, "update app.vector_index set hidden = null")
    await queue_due(desk)
    calls = len(desk.calls())
    standing = await desk.embed()
    assert desk.calls()[calls]["prompt"] == ["Телефон\nЗвоните [PHONE]."]
    assert (standing.progress.embedded, standing.following) == (len(BASE) + 1, None)


async def test_an_embedding_that_is_under_way_sends_nothing_that_is_hidden_by_now(desk):
    """What is hidden changes between two requests of one job: its index is left, another one is begun."""
    await desk.write({"Телефон": "Звоните +7 912 345-67-89."})
    async with desk.database.session(desk.scope) as session:
        await set_masking(session, [], now=utcnow())
        index = await vectors.claim_index(session, desk.embedder.model, 99)
        batch = await vectors.pieces_to_embed(session, index.id, 100)
    async with desk.database.session(desk.scope) as session:
        await set_masking(session, ["phone"], now=utcnow())
    calls = len(desk.calls())
    with pytest.raises(jobs._HiddenOtherwiseError):
        await jobs._embed_batch(desk, desk.embedder, index, batch)
    assert len(desk.calls()) == calls
    assert (await desk.embed()).serving.hidden == ("phone",)
    sent = [text for call in desk.calls()[calls:] for text in call["prompt"]]
    assert "Телефон\nЗвоните [PHONE]." in sent and not any("912" in text for text in sent)


async def queue_due(desk):
    await vectors.queue_due(desk.database, desk.embedder.model, most=100_000)
