"""A real small site, read into the knowledge base over real HTTP."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

import pytest

from gptagent.features.knowledge import jobs as ingestion
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge import store as pieces
from gptagent.features.knowledge.quota.service import GIGABYTE
from gptagent.features.knowledge.sites import crawling, fetching, service, store
from gptagent.features.knowledge.sites import jobs as reading
from gptagent.features.knowledge.sites.jobs import SiteJobs
from gptagent.features.knowledge.sites.model import NewSite
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.scope import Scope
from integration.egress_tools import answer, loopback, running
from websites import website


@dataclass(frozen=True)
class Desk:
    """A job's context, and the reader's side of it."""

    db: Database
    files: LocalFiles
    scope: Scope
    egress: Egress

    async def add(self, url, kind="site", **settings):
        async with self.db.session(self.scope) as session:
            site = await service.add_site(session, NewSite(kind, url, **settings), now=utcnow())
        return site.id

    async def sync(self, site_id):
        async with self.db.session(self.scope) as session:
            return await service.request_sync(session, site_id, now=utcnow())

    async def get(self, site_id):
        async with self.db.session(self.scope) as session:
            return await service.get_site(session, site_id)

    async def read(self, site_id, *, again=False):
        """Read to the end and return the site."""
        if again:
            await self.sync(site_id)
        jobs = SiteJobs(self.egress, pause=0)
        while (site := await self.get(site_id)).is_busy:
            await jobs.crawl(self, str(site_id))
        return site

    async def pages(self, site_id):
        """Return (state, reason) by path."""
        async with self.db.session(self.scope) as session:
            found, _total = await service.list_pages(session, site_id, offset=0, limit=1000)
        return {"/" + page.url.split("/", 3)[3]: (page.state, page.reason) for page in found}

    async def index(self):
        """Read the text of what was taken, in real children."""
        for (document_id,) in await self.fetch("select id from app.document where status = 'pending'"):
            await ingestion.ingest(self, str(document_id))

    async def search(self, question):
        async with self.db.session(self.scope) as session:
            return await knowledge.search(session, question)

    async def fetch(self, sql, *args):
        async with self.db.session(self.scope) as session:
            return [tuple(row) for row in await session.fetch(sql, *args)]


@pytest.fixture
async def web_site():
    async with website() as found:
        yield found


@pytest.fixture
async def desk(database, scope, tmp_path, web_site):
    egress = Egress(frozenset({web_site.host_port}), plain=True)
    yield Desk(database, LocalFiles(tmp_path / "files"), scope, egress)
    await egress.aclose()


async def test_a_page_that_the_plan_has_no_room_for_is_named_and_what_it_said_before_stays(desk, web_site):
    web_site.page("/", "Tea house", "/tea")
    web_site.page("/tea", "Tea costs 300 roubles")
    site_id = await desk.add(web_site.url())
    await desk.read(site_id)
    async with desk.db.session(desk.scope) as session:
        await session.execute("update app.organization set plan = 'free'")
        await session.execute("update app.document set size_bytes = 2000000000 where url not like '%/tea'")
    web_site.page("/tea", "Tea costs 400 roubles", "/cake")
    web_site.page("/cake", "Cake costs 900 roubles")
    await desk.read(site_id, again=True)
    await desk.index()
    pages = await desk.pages(site_id)
    assert pages["/tea"] == ("failed", "storage_full")
    assert await desk.fetch("select count(*)::int from app.document") == [(2,)]


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_pages_are_deleted_beside_a_document_of_theirs_that_is_recorded(is_deleted, desk, web_site):
    """Who records holds the document and waits for the graph: nobody has that and waits for the document."""
    web_site.page("/", "Tea house", "/tea", "/cake")
    web_site.page("/tea", "Tea costs 300 roubles")
    web_site.page("/cake", "Cake costs 900 roubles")
    site_id = await desk.add(web_site.url())
    await desk.read(site_id)
    await desk.index()

    async def delete():
        async with desk.db.session(desk.scope) as session:
            if is_deleted:
                return await crawling.delete_some(session, site_id)
            return await store.delete_some_documents(session, site_id, 1, 100)

    async with desk.db.session(desk.scope) as session:
        await session.execute("update app.site_page set state = 'skipped' where site_id = $1", site_id)
    async with desk.db.session(desk.scope) as session:
        held = await session.fetchval("select id from app.document order by id desc limit 1 for update")
        deleting = asyncio.create_task(delete())
        while not await session.fetchval("select true from pg_locks where not granted limit 1"):
            assert not deleting.done()
            await asyncio.sleep(0.01)
        await pieces.delete_pieces(session, "document", held)
    await deleting
    assert await desk.fetch("select count(*)::int from app.document") == [(0,)]


async def test_a_site_is_read_found_and_cited_with_its_address(desk, web_site):
    """KB-19: and what one page of it cannot be, stops no other."""
    web_site.text("/robots.txt", "User-agent: *\nDisallow: /secret\nSitemap: /index.xml")
    index = f"<sitemapindex><sitemap><loc>{web_site.url('/map.xml')}</loc></sitemap></sitemapindex>"
    web_site.text("/index.xml", index, "application/xml")
    listed = "".join(f"<url><loc>{web_site.url(path)}</loc></url>" for path in ("/lamp", "/?utm_source=map"))
    web_site.text("/map.xml", f"<urlset>{listed}</urlset>", "application/xml")
    links = ("/delivery#top", "/delivery?utm_source=x", "/secret", "/broken", "/dead", "/picture",
             "/poison.pdf", "/loop", "http://127.0.0.1:1/other", "/noindex", "/twin", "/old")  # fmt: skip
    web_site.page("/", "Tea house", *links)
    web_site.page("/delivery", "Delivery takes three days", "/")
    web_site.page("/lamp", "A lamp costs 900 roubles")
    web_site.page("/broken", "x", status="500 Oops")
    web_site.text("/picture", "GIF", "image/gif")
    web_site.text("/poison.pdf", "%PDF-1.7 broken", "application/pdf")
    web_site.redirect("/loop", "/loop2")
    web_site.redirect("/loop2", "/loop")
    web_site.page("/noindex", "Not for indexes", head='<meta name="robots" content="noindex">')
    web_site.page("/twin", "Delivery takes three days", "/")
    web_site.page("/old", "Old", head='<link rel="canonical" href="/new">')
    web_site.page("/new", "New samovars")
    site_id = await desk.add(web_site.url())
    site = await desk.read(site_id)
    await desk.index()
    pages = await desk.pages(site_id)
    asked = web_site.asked()
    assert pages == {
        "/": ("taken", None),
        "/delivery": ("taken", None),
        "/lamp": ("taken", None),
        "/secret": ("refused", "robots"),
        "/broken": ("failed", "http_error"),
        "/dead": ("gone", "vanished"),
        "/picture": ("skipped", "type"),
        "/poison.pdf": ("failed", pages["/poison.pdf"][1]),
        "/loop": ("skipped", "redirected"),
        "/loop2": ("skipped", "redirected"),
        "/noindex": ("skipped", "noindex"),
        "/twin": ("skipped", "duplicate"),
        "/old": ("skipped", "canonical"),
        "/new": ("taken", None),
    }
    assert site.state == "completed" and len(asked) == len(set(asked)) and "/secret" not in asked
    (found, *_) = await desk.search("How long does delivery take?")
    assert (found.source_title, found.url) == ("Delivery takes three days", web_site.url("/delivery"))
    counts = (await desk.get(site_id)).counts
    assert (counts.found, counts.taken, counts.failed, counts.refused, counts.indexed) == (14, 4, 2, 1, 4)
    assert counts.skipped == 6 and counts.gone == 1 and counts.waiting == counts.reading == 0
    async with desk.db.session(desk.scope) as session:
        assert await knowledge.list_documents(session) == []  # pages are shown with their site


async def test_only_changed_pages_are_indexed_again_and_vanished_ones_leave(desk, web_site):
    """Unchanged is what answers 304, or says the same in other markup."""
    web_site.tagged("/", "Start", '"v1"', "/same", "/changes", "/vanishes", "/stumbles")
    for path in ("/same", "/changes", "/vanishes", "/stumbles"):
        web_site.page(path, f"{path[1:]} of apples")
    site_id = await desk.add(web_site.url())
    await desk.read(site_id)
    await desk.index()
    before = dict(await desk.fetch("select url, blob_key from app.document"))
    chunks = await desk.fetch("select document_id, id from app.chunk order by 1, 2")
    web_site.asked()
    web_site.page("/same", "same of apples", head="<script>token = 2</script>")
    web_site.page("/changes", "changes of pears", "/fresh")
    web_site.page("/fresh", "fresh figs")
    web_site.page("/vanishes", "x", status="410 Gone")
    web_site.page("/stumbles", "x", status="502 Bad Gateway")
    site = await desk.read(site_id, again=True)
    assert await desk.pages(site_id) == {
        "/": ("unchanged", None),
        "/same": ("unchanged", None),
        "/changes": ("taken", None),
        "/fresh": ("taken", None),
        "/vanishes": ("gone", "vanished"),
        "/stumbles": ("failed", "http_error"),
    }
    (pending,) = await desk.fetch("select count(*)::int from app.document where status = 'pending'")
    assert pending == (2,) and (site.counts.unchanged, site.counts.taken) == (2, 2)
    assert [p.url for p in await desk.search("stumbles apples")][:1] == [web_site.url("/stumbles")]
    await desk.index()
    assert not [p for p in await desk.search("vanishes") if p.url == web_site.url("/vanishes")]
    assert (await desk.search("changes pears"))[0].url == web_site.url("/changes")
    kept = {row for row in await desk.fetch("select document_id, id from app.chunk") if row in chunks}
    assert len(kept) == 3  # of the pages that are as they were, none was made anew
    spare = {key for (key,) in await desk.fetch("select key from app.file_garbage")}
    assert spare == {before[web_site.url("/changes")], before[web_site.url("/vanishes")]}


async def test_depth_and_number_of_pages_are_kept_to(desk, web_site):
    for number in range(30):
        web_site.page(f"/{number}" if number else "/", f"Number {number}", f"/{number + 1}", f"/side{number}")
        web_site.page(f"/side{number}", f"Side {number}")
    shallow = await desk.read(await desk.add(web_site.url(), depth=2))
    assert set(await desk.pages(shallow.id)) == {"/", "/1", "/side0", "/2", "/side1"}
    web_site.asked()
    few = await desk.read(await desk.add(web_site.url("/1"), depth=9, page_limit=4))
    assert few.counts.taken == 4 and few.counts.skipped >= 1
    assert ("skipped", "page_limit") in (await desk.pages(few.id)).values()
    assert len(web_site.asked()) == 6  # four pages, robots.txt, sitemap.xml
    async with desk.db.session(desk.scope) as session:
        await service.update_site(session, few.id, {"page_limit": 2}, now=utcnow())
    fewer = await desk.read(few.id, again=True)
    sql = """select count(*)::int from app.document d join app.site_page p on p.id = d.page_id
              where p.site_id = $1"""
    assert fewer.counts.unchanged == 2 and await desk.fetch(sql, few.id) == [(2,)]


async def test_a_single_page_leads_nowhere(desk, web_site):
    web_site.page("/only", "Only this", "/other")
    web_site.page("/other", "Other")
    web_site.redirect("/short", "/only")
    site = await desk.read(await desk.add(web_site.url("/short"), "page"))
    assert await desk.pages(site.id) == {"/short": ("skipped", "redirected"), "/only": ("taken", None)}
    assert web_site.asked() == ["/robots.txt", "/short", "/only"]


async def test_a_site_that_makes_up_links_comes_to_an_end(desk, web_site):
    class Endless(dict):
        def __missing__(self, path):
            markup = "".join(f'<a href="{path.rstrip("/")}/{n}">x</a>' for n in range(20))
            return answer(
                markup.encode(), "403 Forbidden" if path.endswith("3") else "200 OK", Content_Type="text/html"
            )

    web_site.site.answers = Endless()
    web_site.text("/robots.txt", "")
    web_site.text("/sitemap.xml", "", status="404 Not Found")
    site = await desk.read(await desk.add(web_site.url(), depth=10, page_limit=3))
    assert site.counts.found <= site.found_max and site.counts.taken + site.counts.failed <= 3


async def test_no_page_leads_to_a_private_address(desk, web_site):
    """KB-19: by name, by redirect, by a name that comes to mean another address, by a link or a sitemap."""
    async with running() as inner:
        inside = f"http://127.0.0.1:{inner.port}/"
        for place in (
            inside,
            "http://169.254.169.254/latest",
            "http://[::1]/",
            "http://localhost/",
            "file:///etc",
        ):
            web_site.redirect(f"/to{len(web_site.site.answers)}", place)
        redirects = list(web_site.site.answers)
        web_site.page("/", "Start", *redirects, inside)
        web_site.text("/sitemap.xml", f"<urlset><url><loc>{inside}</loc></url></urlset>", "text/xml")
        site = await desk.read(await desk.add(web_site.url()))
        assert {(await desk.pages(site.id))[path] for path in redirects} == {("skipped", "other_site")}
        rebound = replace(desk, egress=Egress(resolver=loopback, plain=True))
        for url in (f"https://rebound.example:{inner.port}/", "http://rebound.example/"):
            failed = await rebound.read(await rebound.add(url))
            assert (failed.state, failed.error_code) == ("failed", "address_refused")
        assert inner.connections == 0


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "0", "[::1]",
     "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "127。0。0。1", "１２７.0.0.1", "169.254.169.254",
     "innocent.example"],
)  # fmt: skip
async def test_a_private_address_is_refused_when_it_is_added(host):
    """KB-19"""
    egress = Egress(resolver=loopback, plain=True)
    for scheme in ("http", "https"):
        with pytest.raises(Invalid) as refused:
            await fetching.judged(egress, f"{scheme}://{host}/")
        assert refused.value.fields[0].pointer == "url"


async def test_plain_http_reaches_public_addresses_on_its_own_port_only():
    async def public(host, port):
        return ["93.184.215.14"]

    plain, ordinary = Egress(resolver=public, plain=True), Egress(resolver=public)
    assert await fetching.judged(plain, "http://example.com/x") == "http://example.com/x"
    for egress, url in ((plain, "http://example.com:8080/"), (ordinary, "http://example.com/")):
        with pytest.raises(Invalid):
            await fetching.judged(egress, url)


async def test_a_site_that_is_down_or_forbids_itself_keeps_what_was_taken(desk, web_site):
    web_site.page("/", "Start of all")
    site_id = await desk.add(web_site.url())
    await desk.read(site_id)
    web_site.text("/robots.txt", "", status="503 Busy")
    down = await desk.read(site_id, again=True)
    assert (down.state, down.error_code) == ("failed", "robots_unreachable")
    assert await desk.fetch("select count(*)::int from app.document") == [(1,)]
    web_site.text("/robots.txt", "User-agent: GPTAgentBot\nDisallow: /")
    refused = await desk.read(site_id, again=True)
    assert (refused.state, refused.error_code) == ("failed", "robots")
    assert await desk.fetch("select count(*)::int from app.document") == [(0,)]


async def test_a_busy_site_is_asked_once_more_later(desk, web_site, monkeypatch):
    web_site.page("/", "x", status="429 Slow", Retry_After="7")
    site_id = await desk.add(web_site.url())
    jobs = SiteJobs(desk.egress, pause=0)
    await jobs.crawl(desk, str(site_id))
    assert (await desk.pages(site_id))["/"] == ("waiting", "busy")
    async with desk.db.installation() as session:
        delay = await session.fetchval(
            """select max(execute_after - created) from jobs.pgqueuer
                where entrypoint = 'knowledge.crawl' and headers->>'org' = $1""",
            str(desk.scope.org_id),
        )
    assert delay >= timedelta(seconds=6)
    site = await desk.read(site_id)
    assert (site.state, (await desk.pages(site_id))["/"]) == ("failed", ("failed", "busy"))


async def test_a_reading_goes_on_where_its_worker_was_killed(desk, web_site, monkeypatch):
    """Each page is settled by itself; a page that took its worker down twice is left alone."""
    web_site.page("/", "Start", "/good", "/deadly", "/later")
    for path in ("/good", "/deadly", "/later"):
        web_site.page(path, f"Page {path}")
    site_id = await desk.add(web_site.url())
    fetch = fetching.Fetcher.fetch

    async def dies(self, site, robots, page):
        if page.url.endswith("/deadly"):
            raise MemoryError
        return await fetch(self, site, robots, page)

    monkeypatch.setattr(fetching.Fetcher, "fetch", dies)
    jobs = SiteJobs(desk.egress, pause=0)
    for _ in range(reading.PAGE_ATTEMPTS):
        with pytest.raises(MemoryError):
            await jobs.crawl(desk, str(site_id))
    site = await desk.read(site_id)
    asked = web_site.asked()
    assert (await desk.pages(site_id))["/deadly"] == ("failed", "internal")
    assert (
        site.counts.taken == 3 and asked.count("/good") == asked.count("/") == asked.count("/robots.txt") == 1
    )


async def test_a_worker_that_was_overtaken_records_nothing(desk, web_site):
    web_site.page("/", "Start")
    site_id = await desk.add(web_site.url())
    async with desk.db.session(desk.scope) as session:
        old, _ = await store.claim_site(session, site_id)
        await store.claim_site(session, site_id)
    with pytest.raises(Conflict, match="site_reading_outdated"):
        async with desk.db.session(desk.scope) as session:
            await crawling.begin_reading(session, old, "", [])
    assert await desk.pages(site_id) == {}


async def test_a_second_sync_joins_the_first(desk, web_site):
    web_site.page("/", "Start")
    site_id = await desk.add(web_site.url())
    joined = await desk.sync(site_id)
    assert joined.run == 1
    await desk.read(site_id)
    begun = [await desk.sync(site_id) for _ in range(3)]
    assert [site.run for site in begun] == [2, 2, 2]
    queued = """select count(*)::int from jobs.pgqueuer
                 where entrypoint = 'knowledge.crawl' and headers->>'org' = $1"""
    async with desk.db.installation() as session:
        assert await session.fetchval(queued, str(desk.scope.org_id)) == 2


async def test_what_is_due_is_read_once_over_all_workers(desk, web_site):
    web_site.page("/", "Start")
    due, asked_only = await desk.add(web_site.url(), every="daily"), await desk.add(web_site.url("/b"))
    for site_id in (due, asked_only):
        await desk.read(site_id)
    assert (await desk.get(due)).next_at > utcnow() + timedelta(hours=23)
    await service.queue_due_sites(desk.db, now=utcnow())
    assert (await desk.get(due)).run == 1
    await desk.fetch(
        "update app.site set next_at = now() - interval '1 minute' where id = $1 returning 1", due
    )
    await service.queue_due_sites(desk.db, now=utcnow(), most=1000)
    async with desk.db.session(desk.scope) as session:  # another worker that saw it due at the same moment
        assert not await service._begin_if_due(session, due, utcnow())
    assert [(await desk.get(one)).run for one in (due, asked_only)] == [2, 1]
    assert (await desk.get(due)).next_at > utcnow() + timedelta(hours=23)


async def test_a_deleted_site_takes_its_documents_and_their_bytes_along(desk, web_site):
    web_site.page("/", "Start", *(f"/{n}" for n in range(25)))
    for number in range(25):
        web_site.page(f"/{number}", f"Page {number}")
    site_id = await desk.add(web_site.url())
    await desk.read(site_id)
    keys = {key for (key,) in await desk.fetch("select blob_key from app.document")}
    async with desk.db.session(desk.scope) as session:
        await service.delete_site(session, site_id)
        with pytest.raises(NotFound):
            await service.get_site(session, site_id)
    again = await desk.add(web_site.url())  # the address is free at once
    await SiteJobs(desk.egress, pause=0).crawl(desk, str(site_id))
    assert await desk.fetch("select id from app.site") == [(again,)]
    assert await desk.fetch("select count(*)::int from app.document") == [(0,)]
    assert len(keys) == 26 and keys == {
        key for (key,) in await desk.fetch("select key from app.file_garbage")
    }


async def test_settings_have_bounds_and_an_address_is_taken_once(desk, web_site):
    site_id = await desk.add(web_site.url())
    with pytest.raises(Invalid):
        await desk.add(web_site.url())
    for wrong in ({"depth": 11}, {"page_limit": 0}, {"page_limit": 2001}, {"every": "hourly"}, {"depth": -1}):
        with pytest.raises(Invalid) as refused:
            async with desk.db.session(desk.scope) as session:
                await service.update_site(session, site_id, wrong, now=utcnow())
        assert [fault.pointer for fault in refused.value.fields] == list(wrong)
    with pytest.raises(Conflict, match="site_changed"):
        async with desk.db.session(desk.scope) as session:
            await service.update_site(session, site_id, {"depth": 1, "version": 9}, now=utcnow())


async def test_another_workspace_sees_nothing_of_a_site(desk, web_site, other_scope):
    web_site.page("/", "Start secrets")
    site_id = await desk.add(web_site.url())
    theirs = replace(desk, scope=other_scope)
    with pytest.raises(NotFound):
        await theirs.sync(site_id)
    await SiteJobs(desk.egress, pause=0).crawl(theirs, str(site_id))
    assert web_site.asked() == [] and (await desk.get(site_id)).state == "queued"
    own = await theirs.add(web_site.url())
    await theirs.read(own)
    await desk.read(site_id)
    assert await theirs.fetch("select count(*)::int from app.document") == [(1,)]
    assert isinstance(own, UUID) and own != site_id


async def test_a_page_that_changes_needs_only_what_it_is_larger_by(desk, web_site):
    """KB-8, KB-19"""
    web_site.page("/", "Tea costs 300 roubles")
    site_id = await desk.add(web_site.url(), "page")
    await desk.read(site_id)
    async with desk.db.session(desk.scope) as session:
        await session.execute("update app.organization set plan = 'free'")
        await session.execute(
            """insert into app.document (id, title, file_name, mime, size_bytes, sha256, blob_key,
                                         created_at, updated_at)
               select gen_random_uuid(), 'Big', 'big.txt', 'text/plain', $1 - sum(size_bytes), 'big', 'big',
                      now(), now() from app.document""",
            GIGABYTE,
        )
    web_site.page("/", "Tea costs 400 roubles")
    site = await desk.read(site_id, again=True)
    assert await desk.pages(site_id) == {"/": ("taken", None)} and site.state == "completed"
