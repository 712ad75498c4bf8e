"""What protects a browser beyond the headers of each answer: cookies, redirects, log-out, who may deliver."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest

from gptagent.features.organizations.web import local_path
from gptagent.ui.assets import build_assets
from integration.conftest import serving_here
from members import PASSWORD, set_password
from readers import elsewhere, stranger_at

SITE = "https://agents.test"
# What has led elsewhere in other programs: browsers read some of these as the address of another host.
TRAPS = (
    *("//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "/\\/evil.test", "https://evil.test"),
    *("https:evil.test", "http:/evil.test", "javascript:alert(1)", "data:text/html,x", "evil.test"),
    *("//evil.test@agents.test", "https://agents.test@evil.test", "/\t/evil.test", "/\n/evil.test"),
    *("/\r/evil.test", "\x00//evil.test", " //evil.test", "\u2003//evil.test", "//evil\u3002test"),
    *("%2f%2fevil.test", ".//evil.test", "?next=//evil.test", "#//evil.test", ""),
)
# These look alike, and stay here.
OURS = (
    *("/%2f%2fevil.test", "/%5cevil.test", "/\uff0fevil.test", "/\u2028/evil.test", "/..//evil.test"),
    *("/@evil.test", "/manage?x=//evil"),
)


@pytest.fixture
async def new_person(database, scope):
    """Return the address of a person with a password."""
    await set_password(database, scope)
    async with database.session(scope) as session:
        return await session.fetchval("select email from app.person where id = $1", scope.actor.id)


@pytest.fixture(scope="module")
async def https(home, roles):
    """A process that is reached over https: end of TLS in front of it."""
    async with serving_here(home, registration="open", public_url=SITE) as url:
        yield url


@pytest.mark.parametrize("target", [*TRAPS, *OURS])
def test_a_log_in_leads_to_this_host_whatever_is_asked_for(target):
    """Judged as a browser does, after the rules of URLs; backslashes are slashes to it."""
    led = urljoin(f"{SITE}/login", local_path(target).replace("\\", "/"))
    assert urlsplit(led).netloc == "agents.test" and urlsplit(led).scheme == "https"


@pytest.mark.parametrize("target", TRAPS)
async def test_the_answer_to_a_log_in_leads_nowhere_else(target, web, new_person):
    async with stranger_at(web) as reader:
        answer = await reader.send(
            "/login", {"email": new_person, "password": PASSWORD, "next": target}, headers=elsewhere()
        )
    assert answer.headers["location"] == "/manage"


async def test_no_redirect_goes_to_the_host_a_request_names(web):
    async with httpx2.AsyncClient(base_url=web, timeout=30) as client:
        for path in ("/login/", "/api/v1/agents/", "//evil.test/", "/manage", "/favicon.ico", "/"):
            answer = await client.get(path, headers={"host": "evil.test"})
            assert urlsplit(answer.headers.get("location", "")).netloc == "", path


async def test_over_https_every_cookie_is_bound_to_the_host(https, new_person):
    """AUTH-19"""
    async with stranger_at(https) as reader:
        form = await reader.http.get("/login")
        (csrf,) = [cookie for cookie in form.headers.get_list("set-cookie") if "csrf" in cookie]
        token = csrf.partition("=")[2].partition(";")[0]
        reader.http.cookies.set("__Host-csrf", token)
        fields = {"email": new_person, "password": PASSWORD, "csrf_token": token}
        entered = await reader.http.post("/login", data=fields, headers=elsewhere())
        themed = await reader.http.post("/preferences/theme", data={"theme": "dark", "csrf_token": token})
        spoken = await reader.http.post("/preferences/language", data={"language": "en", "csrf_token": token})
    cookies = [*form.headers.get_list("set-cookie"), *entered.headers.get_list("set-cookie")]
    assert {cookie.partition("=")[0] for cookie in cookies} >= {"__Host-csrf", "__Host-session"}
    chosen = [*themed.headers.get_list("set-cookie"), *spoken.headers.get_list("set-cookie")]
    assert {"__Host-theme=dark", "__Host-language=en"} <= {cookie.partition(";")[0] for cookie in chosen}
    for cookie in [*cookies, *chosen]:
        assert cookie.startswith("__Host-"), cookie
        assert {"Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; ")), cookie
        assert "HttpOnly" in cookie or cookie.startswith("__Host-theme=")  # which the page's script changes
        assert "Domain=" not in cookie
    assert form.headers["strict-transport-security"].startswith("max-age=31536000")


async def test_what_the_browser_keeps_under_a_bound_name_is_read(https):
    async with stranger_at(https) as reader:
        reader.http.cookies.set("__Host-language", "ru")
        reader.http.cookies.set("__Host-theme", "dark")
        page = await reader.http.get("/login")
    assert '<html lang="ru"' in page.text and 'class="dark"' in page.text


async def test_a_log_out_tells_the_browser_to_forget_what_it_has_seen(alice):
    answer = await alice.http.post("/logout", data={"csrf_token": await alice.token()})
    assert answer.headers["clear-site-data"] == '"cache", "storage"'


async def test_pages_are_not_kept_and_files_of_ours_are(alice):
    page = await alice.http.get(f"{alice.base}/dashboard")
    assert page.headers["cache-control"] == "no-store"
    file = await alice.http.get(build_assets().url("app.css"))
    assert "immutable" in file.headers["cache-control"]


async def test_whom_to_tell_about_a_hole_is_said_while_somebody_is_set(web, home):
    """RFC 9116: one contact, and an end that is not far."""
    async with httpx2.AsyncClient(timeout=30) as client:
        assert (await client.get(f"{web}/.well-known/security.txt")).status_code == 404
        contact = "mailto:security@agents.test"
        async with serving_here(home, security_contact=contact, public_url=SITE) as url:
            answer = await client.get(f"{url}/.well-known/security.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert fields["Contact"] == contact and fields["Canonical"] == f"{SITE}/.well-known/security.txt"
    ends = datetime.fromisoformat(fields["Expires"])
    assert datetime.now(UTC) < ends < datetime.now(UTC) + timedelta(days=31)


@pytest.mark.parametrize(
    ("networks", "status"),
    [("", 200), ("127.0.0.0/8", 200), ("203.0.113.0/24, ::1/128", 404), ("2001:db8::/32", 404)],
)
async def test_webhooks_may_be_bound_to_networks(networks, status, home, world):
    """SEC-14"""
    async with world.db.session(world.scope) as session:
        sealed = await session.fetchval("select hook_sealed from app.crm_connection")
    secret = world.vault.open(sealed, org_id=world.scope.org_id, purpose="crm-hook")
    async with serving_here(home, hooks_allow_from=networks) as url, httpx2.AsyncClient(timeout=30) as client:
        assert (await client.get(f"{url}/hooks/kommo/{secret}/")).status_code == status


async def test_production_has_no_page_for_tests(home):
    """SEC-15"""
    key = (home / "keys/secret.keys").read_text().strip()
    settings = {"app_env": "production", "public_url": SITE, "secret_keys": key, "single_web_process": True}
    by_https = {"x-forwarded-proto": "https"}
    async with (
        serving_here(home, **settings) as url,
        httpx2.AsyncClient(base_url=url, headers=by_https, timeout=30) as client,
    ):
        for path in ("/_sandbox/accounts", "/styleguide", "/docs", "/openapi.json", "/debug", "/test"):
            assert (await client.get(path)).status_code in {303, 404}, path
        assert (await client.get("/register")).status_code == 403
