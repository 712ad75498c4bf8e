"""Pages and REST at 50 requests a second: the server's own time of each page, what an API client waits.
`python benchmarks/pages.py`

The server's time is the one it logs for each request. The workspace has conversations, articles and an agent.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import msgspec

from figures import percentile, show
from gptagent.entrypoints.demo.stage import Failed, Stage, raised_stage, until
from gptagent.kernel.settings import child_environment
from load import Plan, Shot, fire
from shop import ARTICLE, PASSWORD, Company, open_companies

CONVERSATIONS = 60
ARTICLES = 30
REQUIRED_PER_SECOND = 50
SECONDS = 12.0
WARM_UP_SECONDS = 2.0
PAGES = ("dashboard", "ai-agents", "knowledge-base", "knowledge-items", "conversations")
API = ("agents", "articles", "documents", "connections", "conversations")
_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


async def main() -> None:
    async with raised_stage(child_environment()) as stage:
        (company,) = await open_companies(stage, companies=1, accounts=1, response_delay_seconds=0)
        await _fill(company)
        pages = await _page_shots(stage)
        api = [Shot("api", "GET", f"/api/v1/{name}", company.platform.headers) for name in API]
        thread = await _conversation(company)
        api.append(Shot("api", "GET", f"/api/v1/conversations/{thread}/messages", company.platform.headers))
        await _fire(stage, [*pages, *api], WARM_UP_SECONDS)
        logged = len(_log(stage))
        waits = await _fire(stage, pages, SECONDS)
        times = _server_times(_log(stage)[logged:])
        for name in PAGES:
            show("page_server_ms", f"{name}_p50", percentile(times[name], 0.5))
            show("page_server_ms", f"{name}_p95", percentile(times[name], 0.95))
        show("page_wait_ms", "all_p95", percentile([wait for each in waits.values() for wait in each], 0.95))
        waits = await _fire(stage, api, SECONDS)
        show("api_read_ms", "p50", percentile(waits["api"], 0.5))
        show("api_read_ms", "p95", percentile(waits["api"], 0.95))


async def _fill(company: Company) -> None:
    for number in range(ARTICLES):
        await company.platform.call("POST", "/api/v1/articles", {**ARTICLE, "title": f"Доставка {number}"})
    account = company.accounts[0]
    for _ in range(CONVERSATIONS):
        await account.write(await account.new_chat())

    async def answered() -> bool:
        return (await account.call("GET", "/stats"))["sent"] == CONVERSATIONS

    await until("all conversations are answered", answered, seconds=60)


async def _conversation(company: Company) -> str:
    listed = (await company.platform.call("GET", "/api/v1/conversations"))["items"]
    if not isinstance(listed, list) or not listed:
        raise Failed("there is no conversation")
    return str(listed[0]["id"])


async def _page_shots(stage: Stage) -> list[Shot]:
    """Log in as a browser does; return one request per page."""
    async with httpx2.AsyncClient(base_url=stage.platform.url, timeout=20) as browser:
        form = _CSRF.search((await browser.get("/login")).text)
        credentials = {"email": "owner0@example.test", "password": PASSWORD}
        data = {**credentials, "csrf_token": form[1] if form else ""}
        answer = await browser.post("/login", data=data, follow_redirects=True)
        match = re.match(r"(/manage/[^/]+)/", answer.url.path)
        if match is None:
            raise Failed(f"logging in led to {answer.status_code} {answer.url.path}")
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"cookie": cookies, "accept": "text/html", "accept-encoding": "gzip"}
    return [Shot(name, "GET", f"{match[1]}/{name}", headers) for name in PAGES]


async def _fire(stage: Stage, shots: Sequence[Shot], seconds: float) -> Mapping[str, list[float]]:
    parts = urlsplit(stage.platform.url)
    plan = Plan(str(parts.hostname), parts.port or 80, shots, REQUIRED_PER_SECOND, seconds)
    result = await fire(plan)
    if set(result.statuses) != {200}:
        raise Failed(f"requests were answered {result.statuses}")
    return result.waits


def _log(stage: Stage) -> list[str]:
    return Path(stage.home, "gptagent.log").read_text().splitlines()


def _server_times(lines: Sequence[str]) -> dict[str, list[float]]:
    """Return the milliseconds the server says it took, by the last step of the route."""
    times: dict[str, list[float]] = {}
    for line in lines:
        entry = msgspec.json.decode(line) if line.startswith("{") else {}
        if entry.get("event") == "request":
            times.setdefault(str(entry["route"]).rpartition("/")[2], []).append(float(entry["ms"]))
    return times


if __name__ == "__main__":
    asyncio.run(main())
