"""In production nothing is answered over plain http: as the trusted proxy says, or the connection itself."""

import httpx2
import pytest
import structlog

from gptagent.bootstrap import build_platform
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.settings import Settings
from integration.conftest import serving_here
from members import bearer, cookie_of, number_of

SITE = "https://agents.test"
SECURE = {"x-forwarded-proto": "https"}
PRODUCTION = {"app_env": "production", "public_url": SITE, "single_web_process": True}
PLAIN = {"x-forwarded-proto": "http"}


@pytest.fixture
def vault(home, roles):
    return load_vault(Settings(gptagent_home=home))


@pytest.fixture(scope="module")
async def production(home, roles):
    load_vault(Settings(gptagent_home=home))  # it makes the key, if nothing has yet
    settings = PRODUCTION | {
        "secret_keys": (home / "keys/secret.keys").read_text().strip(),
        "metrics_token": "the operator's own word",
    }
    async with serving_here(home, **settings) as url, httpx2.AsyncClient(base_url=url, timeout=20) as http:
        yield http


@pytest.mark.parametrize("said", [{}, PLAIN, {"x-forwarded-proto": "ws"}])
@pytest.mark.parametrize(
    "path", ["/", "/login?next=%2Fmanage", "/assets/x.css", "//evil.test/a", "/manage/1-a%20b/dashboard?x=1"]
)
async def test_a_page_asked_for_in_the_clear_leads_to_the_configured_https_address(production, said, path):
    for method in ("GET", "HEAD"):
        address = str(production.base_url).rstrip("/") + path
        answer = await production.request(method, address, headers={**said, "host": "evil.test"})
        assert (answer.status_code, answer.headers["location"]) == (308, SITE + path)
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/login"),
        ("POST", "/api/v1/auth/login"),
        ("GET", "/api/v1/agents"),
        ("GET", "/api/docs"),
        ("OPTIONS", "/api/v1/agents"),
        ("POST", "/hooks/kommo/a-secret-word/"),
        ("GET", "/hooks/kommo/a-secret-word/"),
        ("DELETE", "/anything"),
    ],
)
async def test_everything_else_in_the_clear_is_refused(production, method, path):
    answer = await production.request(method, path, headers=PLAIN)
    assert (answer.status_code, answer.json()["code"]) == (403, "https_required")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_credential_sent_in_the_clear_opens_nothing(production, database, scope, vault):
    """Neither a token nor a cookie: not even whether it is right is told."""
    token = await bearer(database, vault, scope)
    cookie = {"cookie": f"__Host-session={await cookie_of(database, scope)}"}
    page = f"/manage/{await number_of(database, scope)}-alice-s/dashboard"
    assert (await production.get("/api/v1/agents", headers=token | SECURE)).status_code == 200
    assert (await production.get(page, headers=cookie | SECURE)).status_code == 200
    for right in (token, {"authorization": "Bearer wrong"}):
        assert (await production.get("/api/v1/agents", headers=right)).json()["code"] == "https_required"
    assert (await production.get(page, headers=cookie)).status_code == 308
    assert (await production.post(page, headers=cookie)).json()["code"] == "https_required"


async def test_probes_are_answered_in_the_clear_and_metrics_to_a_private_network_only(production):
    for path in ("/health/live", "/health/ready"):
        assert (await production.get(path)).status_code == 200
    asks_for_its_token = 401
    assert (await production.get("/metrics")).status_code == asks_for_its_token
    for near in ("10.1.2.3", "127.0.0.1", "fd00::7"):
        answer = await production.get("/metrics", headers=PLAIN | {"x-forwarded-for": near})
        assert answer.status_code == asks_for_its_token, near
    for far in ("8.8.8.8", "2600::1", "nonsense"):
        answer = await production.get("/metrics", headers=PLAIN | {"x-forwarded-for": far})
        assert answer.json()["code"] == "https_required", far


async def test_a_start_that_talks_to_another_machine_in_the_clear_warns_of_it(home, roles):
    settings = PRODUCTION | {
        "secret_keys": (home / "keys/secret.keys").read_text().strip(),
        "redis_url": "redis://:word@redis.invalid:6379/0",
        "allow_plaintext_backends": True,
    }
    with structlog.testing.capture_logs() as lines:
        platform = await build_platform(Settings(gptagent_home=home, **settings))
    await platform.close()
    (warned,) = [line for line in lines if line["event"] == "plaintext_backends"]
    assert (warned["log_level"], warned["settings"]) == ("warning", ["REDIS_URL"])


async def test_outside_of_production_one_machine_needs_no_tls(web):
    async with httpx2.AsyncClient(base_url=web, timeout=30) as http:
        assert (await http.get("/login")).status_code == 200
