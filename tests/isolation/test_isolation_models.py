"""What providers of models are told for one workspace, and what they answer, holds nothing of another one.

Also while passages are embedded anew: requests are read from the wire of the emulated provider.
"""

import asyncio
import json
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import httpx2
import pytest

from gptagent.adapters.llm.port import OpenAiCompatible
from gptagent.bootstrap import Platform, build_platform
from gptagent.features.dialog.extractive import ExtractiveResponder
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.trying.jobs import RehearsalJobs
from gptagent.features.dialog.trying.service import REHEARSE
from gptagent.features.inference.guarded import GuardedModel
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.features.knowledge.vectors.jobs import VectorJobs
from gptagent.kernel.clock import utcnow
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.settings import Settings
from gptagent.sandbox.spawn import running
from homes import new_home, own_database
from isolation.conftest import Caller, furnished
from members import bearer
from servers import serving

# The same articles everywhere, but for the canary; English questions share no word with them.
ARTICLES = {
    "Доставка": ("Доставляем курьером по городу за три дня.", "courier delivery"),
    "Возврат": ("Вернуть товар можно в течение двух недель.", "refund within weeks"),
    "Гарантия": ("На диван действует гарантия, мы чиним поломки.", "sofa warranty repair"),
    "Оплата": ("Платить можно картой или наличными при получении.", "pay by card or cash"),
    "Скидки": ("Постоянным покупателям мы делаем скидку.", "discount"),
    "Склад": ("Товар лежит на складе за городом.", "warehouse"),
    "Магазин": ("Магазин открыт по этому адресу каждый день.", "shop address"),
    "Кухни": ("Кухни и мебель мы делаем под размер.", "furniture size"),
    "Пароль": ("Пароль меняют при входе, если его забыли.", "login password"),
    "Подарки": ("Подарочный сертификат дарят к праздникам.", "gift certificate"),
    "Чеки": ("Чек и договор приходят письмом на почту.", "receipt and contract by mail"),
    "Монтаж": ("Монтаж и установка делаются бесплатно.", "free assembly"),
}
MODELS = {"llm": "sandbox-chat", "embedding": "sandbox-embedding", "reranker": "sandbox-reranker"}


@pytest.fixture(scope="module")
def house():
    """One more: a home has one web process, and that of the other tests asks no models."""
    with new_home() as home, own_database(home):
        yield home


@pytest.fixture(scope="module")
def provider():
    with running("llm") as url:
        yield url


@pytest.fixture(scope="module")
def settings(provider):
    parts = urlsplit(provider)
    named = {f"{kind}_model": name for kind, name in MODELS.items()}
    named |= {f"{kind}_base_url": f"{provider}/v1" for kind in MODELS}
    named |= {f"{kind}_api_key": "key" for kind in MODELS}
    return named | {"egress_allow": f"{parts.hostname}:{parts.port}"}


@dataclass
class Tenant:
    """A furnished workspace whose search asks models, and its owner at the door."""

    platform: Platform
    model: GuardedModel
    caller: Caller

    @property
    def estate(self):
        return self.caller.estate

    async def fill(self):
        async with self.platform.db.session(self.estate.scope) as session:
            for title, (text, question) in ARTICLES.items():
                new = NewArticle(title, f"{text} {self.estate.canary}")
                article = await knowledge.create_article(session, new, now=utcnow())
                await session.execute(
                    """with q as (insert into app.knowledge_question (id, text, created_at, updated_at)
                                  values (gen_random_uuid(), $1, now(), now()) returning id)
                       insert into app.knowledge_question_source (question_id, article_id)
                       select id, $2 from q""",
                    question,
                    article.id,
                )
            await session.enqueue(vectors.EMBED_JOB, {})
        await self.work(vectors.EMBED_JOB)
        async with self.platform.db.session(self.estate.scope) as session:
            used = "update app.reranking set base_url = $1, model = $2, helps = true, error_code = null"
            model = self.platform.reranking.model
            await session.execute(used, model.base_url, model.name)

    async def work(self, name, platform=None):
        """Do the workspace's jobs of this name, as a worker would that has the platform's models."""
        platform = platform or self.platform
        searches = (platform.understanding, platform.reranking)
        handlers = {
            REHEARSE: RehearsalJobs(
                Generation(ModelResponder(self.model), ExtractiveResponder(), *searches)
            ).rehearse,
            vectors.EMBED_JOB: VectorJobs(platform.embedder).embed,
        }
        take = """delete from jobs.pgqueuer where entrypoint = $1 and headers->>'org' = $2
                  returning id, payload"""
        while True:
            async with platform.db.installation() as session:
                jobs = await session.fetch(take, name, str(self.estate.scope.org_id))
            if not jobs:
                return
            for job in jobs:
                ctx = JobContext(platform.db, platform.files, self.estate.scope, job["id"], 1)
                await handlers[name](ctx, **json.loads(job["payload"] or b"{}"))

    async def index_anew(self, platform):
        """Make words and vectors anew, as the command does, with this platform's model."""
        async with platform.db.session(self.estate.scope) as session:
            await knowledge.rebuild(session)
        await self.work(vectors.EMBED_JOB, platform)

    async def ask(self):
        """Ask in every way that asks models; return all that is said, to the customer and about it."""
        heard, chat = [], None
        agent = str(self.estate.agent_id)
        made = await self.say("POST", "/test-chats", {"agent_id": agent})
        chat = made.json()["id"]
        for _text, question in list(ARTICLES.values())[:3]:
            asked = f"{question} {self.estate.canary}"
            heard.append((await self.say("POST", "/knowledge-questions/try", {"text": asked})).text)
            said = await self.say("POST", f"/test-chats/{chat}/messages", {"text": asked})
            await self.work(REHEARSE)
            played = await self.say("GET", f"/test-chats/{chat}/messages/{said.json()['id']}")
            heard.append(played.text)
        heard.append((await self.say("GET", "/articles/export")).text)
        heard.append((await self.say("GET", "/meaning")).text)
        return heard

    async def say(self, method, path, body=None):
        answer = await self.caller.call(method, f"/api/v1{path}", json=body)
        assert answer.is_success, answer.text
        return answer


@pytest.fixture(scope="module")
async def tenants(house, settings):
    """Two workspaces with the same articles: only their canaries tell them apart."""
    models = await build_platform(Settings(gptagent_home=house, host="127.0.0.1", **settings))
    allowed, address = models.settings.allowed_egress, settings["llm_base_url"]
    endpoint = OpenAiCompatible(allowed, address, "key", settings["llm_model"])
    environment = {name.upper(): value for name, value in settings.items()}
    with serving(house, RATE_FACTOR="1000", **environment) as web:
        async with httpx2.AsyncClient(base_url=web.url, timeout=30) as http:
            found = []
            for canary in ("finch4t7w", "robin6m2h"):
                estate = await furnished(models, canary)
                headers = await bearer(models.db, models.vault, estate.scope)
                model = GuardedModel(models.db, endpoint)
                found.append(Tenant(models, model, Caller(http, estate, headers, "")))
                await found[-1].fill()
            yield found
    await endpoint.aclose()
    await models.close()


@pytest.fixture
async def larger(house, settings):
    """The platform with another embedding model: everything is embedded anew."""
    other_model = settings | {"embedding_model": "sandbox-embedding-large"}
    platform = await build_platform(Settings(gptagent_home=house, host="127.0.0.1", **other_model))
    yield platform
    await platform.close()


async def test_no_request_to_a_model_holds_two_tenants_words_also_while_one_is_embedded_anew(
    tenants, provider, larger
):
    """KB-27"""
    canaries = [tenant.estate.canary for tenant in tenants]
    with httpx2.Client(base_url=f"{provider}/_sandbox", timeout=20) as control:
        control.post("/reset").raise_for_status()
        rules = [{"match": "", "reply": "The courier delivers in three days [1]."}]
        control.post("/script?replace=1", json=rules).raise_for_status()
        quiet = await asyncio.gather(*(tenant.ask() for tenant in tenants))
        control.post("/knobs", json={"embedding_ms": 150}).raise_for_status()
        anew = [asyncio.create_task(tenant.index_anew(larger)) for tenant in tenants]
        busy = await asyncio.gather(*(tenant.ask() for tenant in tenants))
        await asyncio.gather(*anew)
        after = await asyncio.gather(*(replace(tenant, platform=larger).ask() for tenant in tenants))
        calls = control.get("/calls").json()["calls"]
    for own, other in ((0, 1), (1, 0)):
        heard = "\n".join(text for told in (quiet, busy, after) for text in told[own])
        assert canaries[own] in heard
        assert canaries[other] not in heard
    told = {}
    for call in calls:
        text = json.dumps(call, ensure_ascii=False)
        whose = {canary for canary in canaries if canary in text}
        assert len(whose) < 2, f"a request of {call['kind']} has the words of both"
        told.setdefault(call["kind"], set()).update(whose)
    assert told == {kind: set(canaries) for kind in ("chat", "embeddings", "rerank")}, (
        "each was asked for both"
    )
    assert "sandbox-embedding-large" in {call["model"] for call in calls}
