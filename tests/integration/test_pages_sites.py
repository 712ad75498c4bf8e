"""The pages of sites and their API, without a script: a form, a reading, what became of each page."""

import httpx2
import pytest

from gptagent.features.knowledge.sites.jobs import SiteJobs
from gptagent.kernel.egress import Egress
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.jobs import JobContext
from integration.conftest import serving_here
from members import bearer
from readers import reader_of, texts
from websites import website

V1 = "/api/v1/sites"


@pytest.fixture(scope="module")
async def web_site():
    async with website() as found:
        yield found


@pytest.fixture(scope="module")
async def allowing(home, roles, web_site):
    """The application, on a machine whose operator lets it read the small site."""
    async with serving_here(home, egress_allow=f"127.0.0.1:{web_site.site.port}") as url:
        yield url


@pytest.fixture
async def alice(allowing, database, scope):
    async with reader_of(allowing, database, scope) as reader:
        yield reader


@pytest.fixture
def read(database, scope, tmp_path, web_site):
    """Read a site to the end."""

    async def run(site_id):
        egress = Egress(frozenset({web_site.host_port}))
        context = JobContext(database, LocalFiles(tmp_path / "files"), scope, 1, 1)
        await SiteJobs(egress, pause=0).crawl(context, site_id)
        await egress.aclose()

    return run


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "Enter the address of a page"),
        ("ftp://shop.example", "Enter the address of a page"),
        ("https://user:secret@shop.example", "Enter the address of a page"),
        ("http://localhost:1/", "private or reserved"),
        ("169.254.169.254/latest", "private or reserved"),
        ("https://nobody.invalid", "There is no site of this name"),
    ],
)
async def test_a_bad_address_is_told_beside_its_field_and_stays(alice, typed, told):
    """KB-19"""
    page = await alice.send("/knowledge-sites/create", {"url": typed, "kind": "page", "every": "weekly"})
    assert page.status_code == 422 and told in texts(page)
    assert f'value="{typed}"' in page.text and 'value="page" checked' in page.text.replace("  ", " ")


async def test_a_site_is_added_read_looked_at_changed_and_deleted(alice, web_site, read):
    web_site.page("/", "Tea house", "/prices", "/secret", "/none")
    web_site.page("/prices", "Prices")
    web_site.text("/robots.txt", "User-agent: *\nDisallow: /secret")
    assert "No sites yet" in texts(await alice.open("/knowledge-sites"))
    fields = {"url": web_site.url(), "kind": "site", "depth": "2", "page_limit": "10", "every": "daily"}
    page = await alice.follow(await alice.send("/knowledge-sites/create", fields))
    assert "The site is added" in texts(page) and "In the queue" in texts(page)
    place = page.request.url.path.removeprefix(alice.base)
    twice = await alice.send("/knowledge-sites/create", fields)
    assert twice.status_code == 422 and "This address is here already." in texts(twice)
    await read(place.rpartition("/")[2])
    shown = texts(await alice.open(place))
    for words in (
        "Ready",
        "Found 4",
        "Refused by robots.txt 1",
        "asks programs not to read",
        "no longer there",
    ):
        assert words in shown
    refused = await alice.open(place + "?state=refused&part=list")
    assert web_site.url("/secret") in refused.text and web_site.url("/prices") not in refused.text
    wrong = await alice.send(
        place + "/edit", {"depth": "99", "page_limit": "x", "every": "daily", "version": "1"}
    )
    assert wrong.status_code == 422 and texts(wrong).count("Choose a number from") == 2
    assert 'value="99"' in wrong.text
    kept = {"depth": "0", "page_limit": "5", "every": "none", "version": "1"}
    assert "Saved" in texts(await alice.follow(await alice.send(place + "/edit", kept)))
    outdated = await alice.send(place + "/edit", kept | {"depth": "3"})
    assert outdated.status_code == 409 and "Somebody else changed this site" in texts(outdated)
    assert "Reading has begun" in texts(await alice.follow(await alice.send(place + "/sync")))
    assert 'aria-label="Read “' not in (await alice.open("/knowledge-sites")).text  # it is being read
    gone = await alice.follow(await alice.send(place + "/delete"))
    assert "The site is deleted" in texts(gone) and "No sites yet" in texts(gone)
    assert (await alice.open(place)).status_code == 404


async def test_who_may_only_look_has_no_form_of_sites(dora):
    """Dora reads what Alice's workspace has."""
    assert "/knowledge-sites/create" not in (await dora.open("/knowledge-sites")).text
    assert (await dora.open("/knowledge-sites/create")).status_code == 403


async def test_the_api_does_the_same(allowing, database, scope, web_site, read):
    web_site.page("/api", "From the API", "/api2")
    web_site.page("/api2", "Its second page")
    headers = await bearer(database, database._vault, scope)
    async with httpx2.AsyncClient(base_url=allowing, headers=headers, timeout=20) as http:
        for url in ("https://10.0.0.1/", "nothing at all"):
            refused = await http.post(V1, json={"url": url})
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/url")
        made = await http.post(V1, json={"url": web_site.url("/api"), "depth": 1, "every": "weekly"})
        place = f"{V1}/{made.json()['id']}"
        assert made.status_code == 201 and made.json()["state"] == "queued"
        await read(made.json()["id"])
        done = (await http.get(place)).json()
        assert (done["state"], done["counts"]["taken"], done["failure"]) == ("completed", 2, None)
        first = (await http.get(f"{place}/pages?limit=1&sort=url")).json()
        second = (await http.get(f"{place}/pages?sort=url&cursor={first['next_cursor']}")).json()
        found = [page["url"] for page in first["items"] + second["items"]]
        assert found == [web_site.url("/api"), web_site.url("/api2")]
        document = (await http.get(f"/api/v1/documents/{first['items'][0]['document_id']}")).json()
        assert (document["url"], document["title"]) == (found[0], "From the API")
        assert (await http.get(f"{place}/pages?state=failed")).json()["items"] == []
        changed = await http.patch(place, json={"page_limit": 7}, headers={"If-Match": '"outdated"'})
        assert changed.status_code == 412
        assert (await http.patch(place, json={"page_limit": 7})).json()["page_limit"] == 7
        assert (await http.patch(place, json={"page_limit": 0})).status_code == 422
        again = await http.post(f"{place}/sync")
        assert (again.status_code, again.json()["state"]) == (202, "queued")
        assert [site["id"] for site in (await http.get(V1)).json()["items"]] == [made.json()["id"]]
        assert (await http.delete(place)).status_code == 204
        assert (await http.get(f"{place}/pages")).status_code == 404
