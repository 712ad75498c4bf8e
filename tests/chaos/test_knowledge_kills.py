"""A worker is killed while a file of a reply leaves, a site is read and a model reads the graph."""

import asyncio
from collections import Counter

import httpx2
import psycopg
import pytest

from chaos.owned import owned_stage
from gptagent.entrypoints.demo.stage import Upload, until
from gptagent.kernel.postgres import Postgres
from gptagent.kernel.postgres.roles import DATABASE
from gptagent.sandbox.spawn import running
from websites import website
from worlds import PATIENT_HOOKS

CALM_SECONDS = 120.0
GRAPH = "passages of a company's documents"  # in what a model is told to read them
STAFF = "Anna Petrova leads the support of Acme Ltd. Acme Ltd provides Delivery Plus for 490 roubles."
FOUND = {
    "entities": [
        {"passage": 1, "type": "person", "name": "Anna Petrova", "confidence": 0.9},
        {"passage": 1, "type": "organization", "name": "Acme Ltd", "confidence": 0.9},
        {
            "passage": 1,
            "type": "service",
            "name": "Delivery Plus",
            "confidence": 0.9,
            "facts": [{"attribute": "price", "value": "490 roubles"}],
        },
    ],
    "relations": [
        {
            "passage": 1,
            "source": "Acme Ltd",
            "relation": "provides",
            "target": "Delivery Plus",
            "confidence": 0.9,
        }
    ],
}
SCRIPT = [
    {"match": "Anna Petrova", "system": GRAPH, "json": FOUND},
    {"system": GRAPH, "json": {"entities": [], "relations": []}},
    {"system": "You keep notes", "json": {"memories": []}},
    {"reply": "A kitchen costs 90,000 rubles [1]."},
]
PATHS = ["/", *(f"/page{number}" for number in range(5))]
HELD = "/page2"


@pytest.fixture
def llm():
    with running("llm") as url, httpx2.Client(base_url=f"{url}/_sandbox") as control:
        control.post("/script?replace=1", json=SCRIPT).raise_for_status()
        yield url, control


@pytest.fixture
async def site():
    async with website() as site:
        for path in PATHS:
            site.page(path, f"This is {path}", *PATHS[1:])
        yield site


@pytest.fixture
async def stage(llm, site):
    async with owned_stage(llm[0], f"127.0.0.1:{site.site.port}") as stage:
        yield stage


async def crm(stage, method, path, body=None):
    return await stage.sandbox.call(method, f"/_sandbox/accounts/files{path}", body)


async def files_of(stage, chat):
    """What the customer has from us: texts, and names of files."""
    answer = await crm(stage, "GET", f"/chats/{chat}/messages")
    ours = [message for message in answer["messages"] if message["author"] == "bot"]
    return [(message["attachment"] or {}).get("file_name") or message["text"] for message in ours]


async def open_shop(stage):
    """An agent that answers from an article with a file; return the customer's chat."""
    platform = stage.platform
    account = await stage.sandbox.call("POST", "/_sandbox/accounts", {"subdomain": "files"})
    await crm(stage, "POST", "/knobs", {"requests_per_second": 0, **PATIENT_HOOKS})
    agent = await platform.call("POST", "/api/v1/agents", {"name": "Agent"})
    settings = {"is_active": True, "response_delay_seconds": 1}
    await platform.call("PATCH", f"/api/v1/agents/{agent['id']}", settings)
    address = {"address": "files.kommo.test", "token": account["token"]}
    await platform.call("POST", "/api/v1/connections", address)
    new = {"title": "Kitchens", "content": "A kitchen costs 90,000 rubles."}
    article = await platform.call("POST", "/api/v1/articles", new)
    file = Upload("prices.pdf", b"%PDF-1.7 prices")
    await platform.call("POST", f"/api/v1/articles/{article['id']}/files", file)
    return (await crm(stage, "POST", "/chats", {"name": "Ann", "origin": "waba"}))["chat_id"]


async def until_the_file_leaves(stage, chat):
    """Let a customer ask, and return while the request with the file is carried out but not answered."""

    async def all_struck():
        return (await crm(stage, "GET", "/faults"))["faults"] == []

    send = {"method": "POST", "path": "send_message", "count": 1}
    reply, file = {**send, "action": "delay", "delay_ms": 0}, {**send, "action": "accept_then_timeout"}
    await crm(stage, "POST", "/faults", [reply, file])
    await crm(stage, "POST", f"/chats/{chat}/customer", {"text": "What does a kitchen cost?"})
    await until("the reply has left, and its file after it", all_struck, seconds=CALM_SECONDS, pause=0.1)


async def until_site_and_graph_are_read(stage, site, control):
    """Begin both; return (the site's id, what lets its page go on) while each waits for an answer."""
    struck, goes_on = asyncio.Event(), asyncio.Event()
    whole = site.site.answers[HELD]

    async def hold(writer):
        if not struck.is_set():
            struck.set()
            await goes_on.wait()
        writer.write(whole)
        await writer.drain()

    site.site[HELD] = hold
    silent = {"action": "timeout", "match": "Anna Petrova"}
    control.post("/faults", json=silent).raise_for_status()
    await stage.platform.call("POST", "/api/v1/articles", {"title": "Staff", "content": STAFF})

    async def is_asked():
        return "Anna Petrova" in control.get("/calls").text

    await until("the model is asked about the passage", is_asked, seconds=CALM_SECONDS, pause=0.1)
    made = await stage.platform.call("POST", "/api/v1/sites", {"url": site.url()})
    async with asyncio.timeout(CALM_SECONDS):
        await struck.wait()
    return made["id"], goes_on


def let_claims_end(stage):
    """Two minutes pass for passages that nobody reads any more."""
    endpoint = Postgres(stage.home).attach()
    dsn = endpoint.dsn(endpoint.superuser, endpoint.superuser_password, DATABASE)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "update app.graph_reading set claimed_until = claimed_until - interval '2 minutes'"
        )
        connection.execute(
            """update jobs.pgqueuer set execute_after = now()
                where entrypoint = 'knowledge.extract_graph' and status = 'queued'"""
        )


@pytest.mark.timeout(900)
async def test_what_a_killed_worker_had_in_hand_is_done_once(stage, site, llm):
    """WRK-8: the file reaches the customer once, no page is read twice, the graph has each fact once."""
    _url, control = llm
    platform = stage.platform
    chat = await open_shop(stage)
    await until_the_file_leaves(stage, chat)
    await stage.kill_worker()
    site_id, goes_on = await until_site_and_graph_are_read(stage, site, control)
    await stage.kill_worker()
    goes_on.set()
    control.delete("/faults").raise_for_status()

    async def is_site_read():
        found = await platform.call("GET", f"/api/v1/sites/{site_id}")
        counts = found["counts"]
        return found["state"] == "completed" and counts["indexed"] == counts["taken"] == len(PATHS)

    await until("the site is read whole", is_site_read, seconds=CALM_SECONDS, pause=1)
    asked = Counter(site.asked())
    assert [path for path in PATHS if asked[path] != 1] == [HELD] and asked[HELD] == 2
    pages = (await platform.call("GET", f"/api/v1/sites/{site_id}/pages"))["items"]
    kept = [page["url"] for page in pages if page["state"] == "taken"]
    assert sorted(kept) == sorted(site.url(path) for path in PATHS)

    async def is_graph_read():
        let_claims_end(stage)
        told = await platform.call("GET", "/api/v1/graph")
        return told["waiting"] == 0 and told["done"] == len(PATHS) + 2

    await until("every passage is read", is_graph_read, seconds=CALM_SECONDS, pause=2)
    told = await platform.call("GET", "/api/v1/graph")
    assert told["failed"] == 0 and told["failures"] == []
    known = {one["name"]: one for one in (await platform.call("GET", "/api/v1/graph/entities"))["items"]}
    assert set(known) == {"Anna Petrova", "Acme Ltd", "Delivery Plus"}
    card = await platform.call("GET", f"/api/v1/graph/entities/{known['Delivery Plus']['id']}")
    assert [(one["attribute"], one["value"], one["sources"]) for one in card["facts"]] == [
        ("price", "490 roubles", 1)
    ]
    assert [one["kind"] for one in card["relations"]] == ["provides"]

    async def is_settled():
        (talk,) = (await platform.call("GET", "/api/v1/conversations"))["items"]
        thread = await platform.call("GET", f"/api/v1/conversations/{talk['id']}/messages")
        return [file["state"] for turn in thread["turns"] for file in turn["files"]] == ["sent"]

    await until("the file is known to have arrived", is_settled, seconds=CALM_SECONDS, pause=1)
    assert [one for one in await files_of(stage, chat) if one == "prices.pdf"] == ["prices.pdf"]
