"""A base held against itself: by hand, by itself after a change, and what a person dismissed."""

from datetime import timedelta

import pytest

from gptagent.features.agents.asking import list_askers
from gptagent.features.audit import service as audit
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.checks import jobs, service
from gptagent.features.knowledge.checks.extraction import told_in
from gptagent.features.knowledge.facts import service as facts
from gptagent.features.knowledge.facts.model import NewFact
from gptagent.features.knowledge.model import ArticleChange, NewArticle, NewDocument, Piece
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import NotFound
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.paging import Page
from members import add_member
from readers import reader_of, texts

MOSCOW = "Доставка по Москве стоит 300 рублей. Склад открыт по будням."
ELSEWHERE = "Стоимость доставки по Москве: 500 рублей. Доставка в Казань стоит 900 рублей."


@pytest.fixture
def check(database, scope):
    """Ask for a check and run its job, as often as a worker might."""

    async def run(times=1):
        async with database.session(scope) as session:
            await service.request_check(session, now=utcnow())
        for _ in range(times):
            await jobs.scan(JobContext(database, None, scope, 1, 1))

    return run


async def write(database, scope, title, content):
    async with database.session(scope) as session:
        return await knowledge.create_article(session, NewArticle(title, content), now=utcnow())


async def change(database, scope, article, content):
    async with database.session(scope) as session:
        await knowledge.update_article(session, ArticleChange(article.id, content=content), now=utcnow())


async def found(database, scope, shown="contradictions"):
    async with database.session(scope) as session:
        return (await service.find_findings(session, shown, limit=100))[0]


async def test_two_sources_that_say_different_things_of_the_same_stand_side_by_side(
    database, scope, check, alice, web
):
    """KB-29: a run that is repeated changes nothing; what is dismissed stays so until a side changes"""
    one = await write(database, scope, "Доставка", MOSCOW)
    two = await write(database, scope, "Условия", ELSEWHERE)
    assert "Not checked yet" in texts(await alice.open("/knowledge-checks"))
    await check(times=2)
    (finding,) = await found(database, scope)
    assert {finding.side.source.id, finding.other.source.id} == {one.id, two.id}
    assert {finding.side.sentence, finding.other.sentence} == {
        "Доставка по Москве стоит 300 рублей.",
        "Стоимость доставки по Москве: 500 рублей.",
    }
    page = await alice.open("/knowledge-checks")
    for title, sentence in (("Доставка", finding.side.sentence), ("Условия", finding.other.sentence)):
        assert title in texts(page) and sentence in texts(page)
    assert f"/knowledge-items/{one.id}/edit" in page.text and "2 statements" not in page.text
    path = f"/knowledge-checks/findings/{finding.id}"
    async with reader_of(web, database, await add_member(database, scope, "viewer")) as dora:
        for action in (f"{path}/dismiss", f"{path}/restore", "/knowledge-checks"):
            assert (await dora.send(action)).status_code == 403
    await alice.send(f"{path}/dismiss")
    await check()
    assert not await found(database, scope)
    assert [each.id for each in await found(database, scope, "dismissed")] == [finding.id]
    await alice.send(f"{path}/restore")
    assert [each.id for each in await found(database, scope)] == [finding.id]
    await alice.send(f"{path}/dismiss")
    await change(database, scope, one, MOSCOW.replace("300", "350"))
    await check()
    (anew,) = await found(database, scope)
    assert anew.id != finding.id and not await found(database, scope, "dismissed")
    await change(database, scope, one, MOSCOW.replace("300", "500"))
    await check()
    assert not await found(database, scope)
    async with database.session(scope) as session:
        actions = [each.action for each in await audit.list_entries(session)]
        with pytest.raises(NotFound):
            await service.dismiss(session, finding.id)
    assert (actions.count("finding.dismissed"), actions.count("finding.restored")) == (2, 1)


async def test_facts_of_the_company_stale_promises_and_old_prices_are_found(database, scope, check, alice):
    """KB-29"""
    old = await write(database, scope, "Цены", "Гравировка кольца стоит 700 рублей.")
    await write(database, scope, "Акция", "Скидка 10% действует до 1 марта 2025 года.")
    async with database.session(scope) as session:
        told = NewFact("Гравировка кольца: 900 рублей.")
        fact = await facts.create_fact(session, told, askers=list_askers, now=utcnow())
        await session.execute(
            "update app.article set updated_at = now() - interval '2 years' where id = $1", old.id
        )
    await check()
    (finding,) = await found(database, scope)
    assert {finding.side.source.kind, finding.other.source.kind} == {"article", "company_facts"}
    stale = {each.kind: each.side.sentence for each in await found(database, scope, "stale")}
    assert stale == {
        "past_date": "Скидка 10% действует до 1 марта 2025 года.",
        "old_price": "Гравировка кольца стоит 700 рублей.",
    }
    page = texts(await alice.open("/knowledge-checks?shown=stale"))
    assert "The date is over" in page and "A price untouched for a year" in page
    async with database.session(scope) as session:
        await facts.delete_fact(session, fact.id)
        await knowledge.delete_article(session, old.id)
        assert await session.fetchval("select count(*) from app.finding") == 1, "they go with their source"
    await check()
    assert [each.kind for each in await found(database, scope, "stale")] == ["past_date"]


async def test_a_base_is_checked_by_itself_once_it_is_quiet(database, scope):
    """KB-29: changes in a row are one check, and what is read once is not read again"""

    async def due(quiet=timedelta(0)):
        return await service.queue_due_checks(database, now=utcnow(), quiet=quiet)

    async def waiting():
        async with database.session(scope) as session:
            return await session.fetchval(
                "select count(*) from jobs.pgqueuer where entrypoint = $1 and headers->>'org' = $2",
                service.SCAN,
                str(scope.org_id),
            )

    while await due():  # of other tests' workspaces
        pass
    article = await write(database, scope, "Доставка", MOSCOW)
    await due(timedelta(hours=1))
    assert await waiting() == 0, "it has changed just now"
    await write(database, scope, "Условия", ELSEWHERE)
    await due()
    await due()
    assert await waiting() == 1
    await jobs.scan(JobContext(database, None, scope, 1, 1))
    async with database.session(scope) as session:
        first = await service.get_check(session)
        assert await session.fetchval("select count(*) from app.checked_chunk") == 2
    assert (first.state, first.passages, first.passages_read, first.statements) == ("done", 2, 2, 3)
    await due()
    assert await waiting() == 1, "nothing has changed since"
    await change(database, scope, article, MOSCOW.replace("300", "350"))
    await due()
    assert await waiting() == 2
    await jobs.scan(JobContext(database, None, scope, 1, 1))
    async with database.session(scope) as session:
        again = await service.get_check(session)
        assert (again.passages, again.statements) == (1, 3)
        assert not await service.begin_check(session, now=utcnow()), "none is wanted"
        await service.request_check(session, now=utcnow())
    await jobs.give_up(JobContext(database, None, scope, 1, 1))
    async with database.session(scope) as session:
        assert (await service.get_check(session)).state == "failed"


async def test_programs_read_findings_in_pages(database, scope, check):
    """API-9"""
    for n in range(3):
        await write(database, scope, f"Статья {n}", f"Гравировка кольца стоит {n + 1}00 рублей.")
    await check()
    order = service.ORDERS["-found_at"]
    async with database.session(scope) as session:
        first, after = await service.page_findings(session, Page(order, 2), "contradictions")
        rest, end = await service.page_findings(session, Page.read(order, 2, after), "contradictions")
    assert (len(first), len(rest), end) == (2, 1, None)
    assert len({each.id for each in (*first, *rest)}) == 3


async def test_passages_that_two_checks_have_read_at_once_say_what_they_say_once(database, scope):
    """KB-29: the one that comes second finds them read."""
    await write(database, scope, "Доставка", MOSCOW)
    async with database.session(scope) as session:
        passages = await service.unread_passages(session, after=0, limit=10)
    told = [(one.chunk_id, each) for one in passages for each in told_in(one.content, one.above)]
    for _ in range(2):
        async with database.session(scope) as session:
            await service.keep_statements(session, told, [one.chunk_id for one in passages], now=utcnow())
    async with database.session(scope) as session:
        statements, _left_out = await service.read_statements(session)
    assert len(statements) == len(told) > 0


async def test_a_finding_in_a_page_of_a_site_leads_to_the_page(database, scope, check, alice):
    """KB-19, KB-29"""
    await write(database, scope, "Доставка", MOSCOW)
    url = "https://shop.example/conditions"
    async with database.session(scope) as session:
        new = NewDocument("conditions.html", "text/html", 10, "sha", "key")
        document = (await knowledge.register_document(session, new, now=utcnow())).document
        claim = await knowledge.claim_document(session, document.id, now=utcnow())
        pieces = [Piece("", None, ELSEWHERE, ELSEWHERE)]
        async for _ in knowledge.record_pieces(session, claim, pieces, unread=[], now=utcnow()):
            pass
        await session.execute("update app.document set url = $1 where id = $2", url, document.id)
    await check()
    page = await alice.open("/knowledge-checks")
    assert f'href="{url}"' in page.text and f"#document-{document.id}" not in page.text
    (finding,) = await found(database, scope)
    assert {finding.side.url, finding.other.url} == {None, url}
