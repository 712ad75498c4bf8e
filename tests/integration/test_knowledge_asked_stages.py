"""What is asked at a stage of a deal: gaps, proposed articles, contradictions, first questions."""

from dataclasses import replace

import httpx2

from gptagent.features.agents.asking import list_askers
from gptagent.features.dialog.proposing.jobs import ProposingJobs
from gptagent.features.dialog.rehearsing.model import Place
from gptagent.features.dialog.trying import service as trying
from gptagent.features.dialog.trying.model import NewChat
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.checks import jobs as checks
from gptagent.features.knowledge.checks import service as checking
from gptagent.features.knowledge.drafts import service as drafts
from gptagent.features.knowledge.drafts.model import Decision
from gptagent.features.knowledge.facts import service as facts
from gptagent.features.knowledge.facts.model import NewFact
from gptagent.features.knowledge.gaps import jobs as looking
from gptagent.features.knowledge.gaps import service as gaps
from gptagent.features.knowledge.model import ArticleChange, NewArticle
from gptagent.features.knowledge.questions import service as questions
from gptagent.features.knowledge.staging.service import stage_names
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import UpstreamUnavailable
from gptagent.kernel.jobs import JobContext
from members import bearer
from readers import texts
from scenes import Scene, patched

ENGRAVING = "Do you engrave rings?"
AGAIN = "Can you engrave my rings?"
YES = "We engrave rings within a week."


async def write(world, title, content, *stages):
    async with world.db.session(world.scope) as session:
        new = NewArticle(title, content, stages=stages)
        return await knowledge.create_article(session, new, now=utcnow())


async def asked(world, key, text):
    """Have it asked in a chat whose deal is at the stage; without one in a chat without a deal."""
    chat = {"name": "Ann", "origin": "waba"} | ({"status_id": key.stage_id} if key else {})
    scene = Scene(world, await world.account.call("POST", "/chats", chat))
    if key is None:
        scene.chat["lead_id"] = None
    await scene.says(text)
    await scene.calm()
    return scene


async def the_gap(world):
    async with world.db.session(world.scope) as session:
        found = [
            one for view in ("open", "done") for one in (await gaps.find_gaps(session, view, limit=9))[0]
        ]
    (gap,) = found
    return gap


async def checked(world, gap, article=None):
    async with world.db.session(world.scope) as session:
        if article is None:
            return (await gaps.check_gap(session, gap.id, now=utcnow())).status
        return (await gaps.link_article(session, gap.id, article.id, now=utcnow())).status


async def test_a_gap_is_one_over_stages_and_answered_once_each_of_them_has_an_answer(world, stages):
    """KB-28, KB-17: by an article that is given there; two that are each for one stage do it together"""
    first, second = stages
    await write(world, "Delivery", "The delivery takes two days.", first)
    await asked(world, first, ENGRAVING)
    gap = await the_gap(world)
    assert (gap.questions, gap.stages) == (1, (first,))
    elsewhere = await write(world, "Engraving there", YES, second)
    assert await checked(world, gap) == "open", "no customer at the stage is given it"
    assert await checked(world, gap, elsewhere) == "open"
    await asked(world, second, AGAIN)
    assert (await the_gap(world)).questions == 1, "there it was found"
    async with world.db.session(world.scope) as session:
        await knowledge.update_article(session, ArticleChange(elsewhere.id, is_active=False), now=utcnow())
    await asked(world, second, AGAIN)
    gap = await the_gap(world)
    assert (gap.questions, gap.stages) == (2, tuple(sorted(stages)))
    async with world.db.session(world.scope) as session:
        assert {one.stage for one in await gaps.list_questions(session, gap.id)} == set(stages)
    here = await write(world, "Engraving", YES, first)
    assert await checked(world, gap, here) == "open", "at the other stage nobody is told"
    async with world.db.session(world.scope) as session:
        await knowledge.update_article(session, ArticleChange(elsewhere.id, is_active=True), now=utcnow())
    assert await checked(world, gap, here) == "answered"
    assert await checked(world, gap, elsewhere) == "answered"
    nothing = await write(world, "Repair", "We repair wrist watches.")
    assert await checked(world, gap, nothing) == "open", "what is linked has a part in it"
    await asked(world, None, ENGRAVING)
    assert await checked(world, gap) == "open", "in a chat without a deal neither is found"
    await write(world, "Engraving for all", YES)
    assert await checked(world, gap) == "answered"


async def test_whoever_says_where_an_article_is_for_has_its_gaps_looked_up_again(world, stages):
    """KB-28: stages and categories, as the text; the search is not waited for"""
    first, second = stages
    await asked(world, first, ENGRAVING)
    gap = await the_gap(world)
    article = await write(world, "Engraving", YES, second)
    assert await checked(world, gap, article) == "open"
    async with world.db.session(world.scope) as session:
        place = await categories.create_category(session, NewCategory("Sales"), now=utcnow())
    for change, status in (
        ({"stages": (first,)}, "answered"),
        ({"stages": (second,)}, "open"),
        ({"stages": ()}, "answered"),
        ({"categories": (place.id,)}, "answered"),
    ):
        async with world.db.session(world.scope) as session:
            await knowledge.update_article(session, ArticleChange(article.id, **change), now=utcnow())
        async with world.db.installation() as session:
            queued = await session.fetchval(
                """with taken as (delete from jobs.pgqueuer
                                  where entrypoint = $1 and headers->>'org' = $2 returning 1)
                   select count(*) from taken""",
                gaps.CHECK_JOB,
                str(world.scope.org_id),
            )
        assert queued == 1, change
        await looking.check_gaps(JobContext(world.db, None, world.scope, 1, 1), str(article.id))
        assert (await the_gap(world)).status == status, change


async def test_a_stage_that_is_gone_keeps_no_gap_open_and_where_stages_do_not_count_none_is_asked(
    world, stages
):
    """KB-28"""
    first, second = stages
    await asked(world, first, ENGRAVING)
    await asked(world, second, AGAIN)
    gap = await the_gap(world)
    article = await write(world, "Engraving", YES, first)
    assert await checked(world, gap) == "open"
    remove = "update app.crm_stage set removed_at = now() where external_id = $1"
    async with world.db.session(world.scope) as session:
        await session.execute(remove, second.stage_id)
    assert await checked(world, gap) == "answered"
    async with world.db.session(world.scope) as session:
        await session.execute(remove, first.stage_id)
    assert await checked(world, gap) == "open", "at neither of the two: what is for one is not enough"
    async with world.db.session(world.scope) as session:
        await knowledge.update_article(session, ArticleChange(article.id, stages=()), now=utcnow())
    assert await checked(world, gap) == "answered"


async def ticked(reader, path, fields=None):
    page = await (reader.send(path, fields) if fields else reader.open(path))
    boxes = [part.partition(">")[0] for part in page.text.split("<input")[1:]]
    return [
        one.partition('value="')[2].partition('"')[0]
        for one in boxes
        if 'name="stages"' in one and " checked" in one
    ]


async def test_who_asks_while_the_crm_does_not_tell_the_stage_has_not_asked_without_a_deal(world, stages):
    """KB-28: else an article for those who ask at a stage would be proposed for all"""
    first, second = stages
    await write(world, "Delivery", "The delivery takes two days.", second)
    chat = {"name": "Ann", "origin": "waba", "status_id": first.stage_id}
    scene = Scene(world, await world.account.call("POST", "/chats", chat))

    async def fetch_lead(_link, _lead_id):
        raise UpstreamUnavailable("crm_unavailable", "It does not answer.")

    patched(scene, fetch_lead=fetch_lead)
    await scene.says(ENGRAVING)
    await scene.calm()
    gap = await the_gap(world)
    async with world.db.session(world.scope) as session:
        (question,) = await gaps.list_questions(session, gap.id)
    assert (question.stage, question.is_without_deal) == (None, False)
    await asked(world, first, AGAIN)
    async with world.db.session(world.scope) as session:
        assert await gaps.stages_for(session, gap.id) == (first,)


async def test_an_article_written_for_a_gap_is_for_the_stages_where_it_was_asked(world, stages, alice, web):
    """KB-28, KB-31: where stages count, and everybody who asked would find it; it is the person's to say"""
    first, second = stages
    await asked(world, first, ENGRAVING)
    gap = await the_gap(world)
    form = f"/knowledge-items/create?gap={gap.id}"
    assert await ticked(alice, form) == [], "nothing of this base is for some stages only"
    await write(world, "Delivery", "The delivery takes two days.", second)
    assert await ticked(alice, form) == [str(first)]
    written = {"title": "Engraving", "content": YES, "gap": str(gap.id), "is_active": "on"}
    untied = {**written, "preview": ""}
    assert await ticked(alice, "/knowledge-items/create", untied) == [], "unticked, it stays so"
    page = await alice.open(f"/knowledge-gaps/{gap.id}")
    async with world.db.session(world.scope) as session:
        names = await stage_names(session)
    assert names[first] in texts(page)
    headers = await bearer(world.db, world.db._vault, world.scope)
    async with httpx2.AsyncClient(base_url=f"{web}/api/v1", headers=headers, timeout=30) as api:
        told = (await api.get(f"/knowledge-gaps/{gap.id}")).json()
        (question,) = (await api.get(f"/knowledge-gaps/{gap.id}/questions")).json()["items"]
    assert told["stages"] == [body(first)]
    assert (question["stage"], question["is_without_deal"]) == (body(first), False)
    await asked(world, None, AGAIN)
    assert await ticked(alice, form) == [], "who asked without a deal would not find it"
    assert "In a chat without a deal" in texts(await alice.open(f"/knowledge-gaps/{gap.id}"))
    done = await alice.follow(await alice.send("/knowledge-items/create", {**written, "stages": str(first)}))
    assert "Not answered yet" in texts(done)


async def finished(world, key, question=ENGRAVING, answer="Yes, we engrave rings within a week."):
    scene = await asked(world, key, question)
    await told(world, scene, answer)
    return scene


async def told(world, scene, answer="Yes, we engrave rings within a week."):
    """Have a person answer, and the talk read for what can be proposed."""
    await scene.says(answer, author="human")
    async with world.db.session(world.scope) as session:
        await world.inbox.resume(session, scene.conversation_id)
    ctx = JobContext(world.db, None, world.scope, 1, 1)
    await ProposingJobs(None).propose(ctx, conversation_id=str(scene.conversation_id))


async def proposed(world):
    async with world.db.session(world.scope) as session:
        return await drafts.find_drafts(session, "proposed", limit=9)


async def test_what_is_proposed_from_a_talk_is_for_the_stage_it_was_said_at(world, stages, alice, web):
    """KB-28: also though another stage has an article about it; whoever accepts it may say otherwise"""
    first, second = stages
    await write(world, "Engraving there", YES, second)
    await finished(world, first)
    (draft,) = await proposed(world)
    assert draft.stages == (first,)
    path = f"/knowledge-drafts/{draft.id}"
    assert await ticked(alice, path) == [str(first)]
    fields = {"title": "Engraving", "content": YES, "is_active": "on"}
    bad = await alice.send(f"{path}/accept", {**fields, "stages": "nonsense"})
    assert (bad.status_code, "There is no such stage." in bad.text) == (422, True)
    assert await ticked(alice, f"{path}/accept", {**fields, "preview": ""}) == []
    await alice.follow(await alice.send(f"{path}/accept", {**fields, "stages": str(second)}))
    async with world.db.session(world.scope) as session:
        accepted = await drafts.get_draft(session, draft.id)
        assert (await knowledge.get_article(session, accepted.article_id)).stages == (second,)
    await finished(world, first, "Do you repair watches?", "Yes, we repair all watches in a week.")
    await finished(world, first, "Do you sell silver chains?", "Yes, we sell silver chains for all.")
    headers = await bearer(world.db, world.db._vault, world.scope)
    async with httpx2.AsyncClient(base_url=f"{web}/api/v1", headers=headers, timeout=30) as api:
        for given, kept in (({}, [body(first)]), ({"stages": []}, [])):
            (*_rest, one) = (await api.get("/knowledge-drafts")).json()["items"]
            assert one["stages"] == [body(first)]
            said = await api.post(
                f"/knowledge-drafts/{one['id']}/acceptance", json={"is_active": True, **given}
            )
            article = (await api.get(f"/articles/{said.json()['article_id']}")).json()
            assert (article["stages"], article["is_everywhere"]) == (kept, not kept)


async def test_what_is_proposed_where_stages_do_not_count_or_without_a_deal_is_for_all(world, stages):
    """KB-28"""
    first, _second = stages
    await finished(world, first)
    await write(world, "Delivery", "The delivery takes two days.", first)
    await finished(world, None, "Do you repair watches?", "Yes, we repair all watches in a week.")
    assert [one.stages for one in await proposed(world)] == [(), ()]
    async with world.db.session(world.scope) as session:
        draft = (await proposed(world))[0]
        done = await drafts.accept(session, draft.id, Decision(is_active=True), now=utcnow())
        assert (await knowledge.get_article(session, done.article_id)).is_everywhere


async def test_what_is_never_given_together_contradicts_nothing(world, stages):
    """KB-29, KB-17: other prices at another stage are meant; as soon as both may be given it is told"""
    first, second = stages

    async def pairs():
        async with world.db.session(world.scope) as session:
            await checking.request_check(session, now=utcnow())
        await checks.scan(JobContext(world.db, None, world.scope, 1, 1))
        async with world.db.session(world.scope) as session:
            found, _total = await checking.find_findings(session, "contradictions", limit=9)
        return {frozenset((one.side.source.id, one.other.source.id)) for one in found}

    one = await write(world, "Engraving", "Engraving a ring costs 700 roubles.", first)
    two = await write(world, "Engraving now", "Engraving a ring costs 900 roubles.", second)
    assert await pairs() == set()
    async with world.db.session(world.scope) as session:
        last = await session.fetchval("select changed_at from app.base_change where part = 'passages'")
        await knowledge.update_article(session, ArticleChange(two.id, stages=(first, second)), now=utcnow())
        assert await session.fetchval("select changed_at from app.base_change where part = 'passages'") > last
    assert await pairs() == {frozenset((one.id, two.id))}
    async with world.db.session(world.scope) as session:
        change = ArticleChange(two.id, content="Ask a colleague.", stages=())
        await knowledge.update_article(session, change, now=utcnow())
        told = [
            await facts.create_fact(session, new, askers=list_askers, now=utcnow())
            for new in (
                NewFact("Engraving a ring costs 800 roubles.", stages=(second,)),
                NewFact("Engraving a ring costs 850 roubles.", stages=(first, second)),
            )
        ]
    assert await pairs() == {frozenset((one.id, told[1].id)), frozenset((told[0].id, told[1].id))}
    async with world.db.session(world.scope) as session:
        last = await session.fetchval("select changed_at from app.base_change where part = 'facts'")
        change = {"stages": ()}
        await facts.update_fact(session, told[0].id, change, askers=list_askers, now=utcnow())
        assert await session.fetchval("select changed_at from app.base_change where part = 'facts'") > last
        await session.execute("delete from app.source_stage")
    assert await pairs() == {frozenset((told[0].id, told[1].id))}, (
        "what is given nowhere is held against none"
    )


async def test_a_base_is_checked_again_when_a_fact_is_for_other_agents(world):
    """KB-29: what was never given together may be now"""
    async with world.db.session(world.scope) as session:
        agents = [one.id for one in await list_askers(session)]
        assert agents
        fact = await facts.create_fact(
            session, NewFact("Engraving a ring costs 800 roubles."), askers=list_askers, now=utcnow()
        )
    for chosen in (agents, []):
        async with world.db.session(world.scope) as session:
            read = "select changed_at from app.base_change where part = 'facts'"
            last = await session.fetchval(read)
            await facts.update_fact(
                session, fact.id, {"agents": tuple(chosen)}, askers=list_askers, now=utcnow()
            )
            assert await session.fetchval(read) > last, chosen


async def test_what_was_proposed_for_stages_that_are_gone_is_not_put_where_nobody_finds_it(world, stages):
    """KB-28: an article is for those of them that are still there, for all if there are none"""
    first, second = stages
    await write(world, "Delivery", "The delivery takes two days.", first)
    await finished(world, first)
    await finished(world, first, "Do you repair watches?", "Yes, we repair all watches in a week.")
    found = await proposed(world)
    assert [one.stages for one in found] == [(first,), (first,)]
    async with world.db.session(world.scope) as session:
        both = [str(first), str(second)]
        await session.execute("update app.knowledge_draft set stages = $2 where id = $1", found[0].id, both)
        await session.execute(
            "update app.crm_stage set removed_at = now() where external_id = $1", first.stage_id
        )
        kept = []
        for one in found:
            done = await drafts.accept(session, one.id, Decision(is_active=True), now=utcnow())
            article = await knowledge.get_article(session, done.article_id)
            kept.append((article.stages, article.is_everywhere))
        assert kept == [((second,), False), ((), True)]


async def test_a_stage_that_has_its_answer_gets_no_second_one_proposed(world, stages, alice):
    """KB-28: though the question is open, for it has none at another stage, and that is told"""
    first, second = stages
    await write(world, "Delivery", "The delivery takes two days.", first)
    scene = await asked(world, first, ENGRAVING)
    await asked(world, second, AGAIN)
    gap = await the_gap(world)
    assert gap.questions == 2
    check = f"/knowledge-gaps/{gap.id}/check"
    nothing = "The search finds nothing that answers it."
    assert nothing in texts(await alice.follow(await alice.send(check)))
    here = await write(world, "Engraving", YES, first)
    assert await checked(world, gap, here) == "open"
    async with world.db.session(world.scope) as session:
        names = await stage_names(session)
    page = texts(await alice.follow(await alice.send(check)))
    assert f"There is none here: {names[second]}" in page and nothing not in page, "which stages lack one"
    await told(world, scene)
    assert await proposed(world) == []
    await finished(world, second)
    (draft,) = await proposed(world)
    assert (draft.stages, draft.gap_id) == ((second,), gap.id)


async def test_what_may_be_said_first_is_of_the_stage_where_it_is_said(world, stages):
    """MSG-22, KB-17"""
    first, second = stages
    scene = await asked(world, first, "Good morning")
    here = await write(world, "Engraving of rings", YES, first)
    there = await write(world, "Repair of watches", "We repair watches within a week.", second)
    await write(world, "Hours of work", "We are open on weekdays from nine.")
    async with world.db.session(world.scope) as session:
        for text, sources in (
            ("Do you engrave?", [here.id]),
            ("And repair?", [there.id]),
            ("Who are you?", []),
        ):
            await questions.save_question(session, text, sources, now=utcnow())
        agent_id = await session.fetchval("select id from app.agent")
        person = world.scope.actor.id
        chat = await trying.create_chat(session, person, NewChat(agent_id))
        everywhere = {"Who are you?", "Hours of work"}
        seen = {}
        for name, place in (
            ("first", at(first)),
            ("second", at(second)),
            ("nowhere", Place()),
            ("deal", Place(connection_id=first.connection_id, lead_id=scene.chat["lead_id"])),
        ):
            seen[name] = set(await trying.suggest_words(session, replace(chat, place=place)))
        assert seen["first"] == seen["deal"] == everywhere | {"Do you engrave?", "Engraving of rings"}
        assert seen["second"] == everywhere | {"And repair?", "Repair of watches"}
        assert seen["nowhere"] == everywhere


def at(key):
    return Place(connection_id=key.connection_id, pipeline_id=key.pipeline_id, stage_id=key.stage_id)


def body(key):
    return {
        "connection_id": str(key.connection_id),
        "pipeline_id": key.pipeline_id,
        "stage_id": key.stage_id,
    }
