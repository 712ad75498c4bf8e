"""A workspace whose passages get vectors of an emulated provider, and the job that makes them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import httpx2

from gptagent.adapters.embeddings.port import OpenAiEmbeddings, Patience
from gptagent.features.inference.model import EmbeddingModel
from gptagent.features.knowledge import service
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.features.knowledge.vectors.jobs import VectorJobs
from gptagent.features.knowledge.vectors.service import Understanding
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.scope import Scope

QUICK = Patience(attempts=2, first_pause=0.05)
# Russian articles that English questions of the same meaning share no word with.
BASE = {
    "Доставка": "Доставляем курьером по городу за три дня.",
    "Возврат": "Вернуть товар можно в течение двух недель.",
    "Гарантия": "На диван действует гарантия, мы чиним поломки.",
    "Оплата": "Платить можно картой или наличными при получении.",
    "Скидки": "Постоянным покупателям мы делаем скидку.",
    "Склад": "Товар лежит на складе за городом.",
    "Магазин": "Магазин открыт по этому адресу каждый день.",
    "Кухни": "Кухни и мебель мы делаем под размер.",
    "Пароль": "Пароль меняют при входе, если его забыли.",
    "Подарки": "Подарочный сертификат дарят к праздникам.",
    "Чеки": "Чек и договор приходят письмом на почту.",
    "Монтаж": "Монтаж и установка делаются бесплатно.",
}
ENGLISH = {
    "Доставка": "courier delivery",
    "Возврат": "refund within weeks",
    "Гарантия": "sofa warranty repair",
    "Оплата": "pay by card or cash",
    "Скидки": "discount",
    "Склад": "warehouse",
    "Магазин": "shop address",
    "Кухни": "furniture size",
    "Пароль": "login password",
    "Подарки": "gift certificate",
    "Чеки": "receipt and contract by mail",
    "Монтаж": "free assembly",
}


@dataclass
class Desk:
    """A workspace, the provider, and the job that a worker would run."""

    database: Database
    scope: Scope
    embedder: OpenAiEmbeddings
    control: httpx2.Client
    job_id: int = 1
    attempt: int = 1

    @property
    def db(self):
        return self.database

    def of(self, scope):
        return replace(self, scope=scope)

    def with_model(self, name, size=None):
        model = replace(self.embedder.model, name=name, size=size)
        return replace(self, embedder=replace(self.embedder, model=model))

    async def embed(self):
        self.job_id += 1
        await VectorJobs(self.embedder).embed(self)
        return await self.standing()

    async def standing(self):
        async with self.database.session(self.scope) as session:
            return await vectors.get_standing(session)

    async def write(self, base):
        async with self.database.session(self.scope) as session:
            return {
                title: await service.create_article(session, NewArticle(title, content), now=utcnow())
                for title, content in base.items()
            }

    async def save_questions(self, articles):
        async with self.database.session(self.scope) as session:
            for title, text in ENGLISH.items():
                await session.execute(
                    """with q as (insert into app.knowledge_question (id, text, created_at, updated_at)
                                  values (gen_random_uuid(), $1, now(), now()) returning id)
                       insert into app.knowledge_question_source (question_id, article_id)
                       select id, $2 from q""",
                    text,
                    articles[title].id,
                )

    async def ask(self, question, understanding=None):
        meaning = await (understanding or Understanding(self.embedder)).understand(
            self.database, self.scope, question
        )
        async with self.database.session(self.scope) as session:
            found = await service.search(session, question, meaning=meaning)
        return [passage.source_title for passage in found]

    async def queued(self):
        async with self.database.installation() as session:
            return await session.fetchval(
                "select count(*) from jobs.pgqueuer where entrypoint = $1 and headers->>'org' = $2",
                vectors.EMBED_JOB,
                str(self.scope.org_id),
            )

    def calls(self):
        return [call for call in self.control.get("/calls").json()["calls"] if call["kind"] == "embeddings"]

    def fail(self, **fault):
        self.control.post("/faults", json=fault).raise_for_status()


@asynccontextmanager
async def desk_at(provider: str, database: Database, scope: Scope) -> AsyncIterator[Desk]:
    """Furnish a desk at the emulated provider, which forgets what it was asked before."""
    parts = urlsplit(provider)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    model = EmbeddingModel(f"{provider}/v1", "sandbox-embedding")
    with httpx2.Client(base_url=f"{provider}/_sandbox", timeout=20) as control:
        control.post("/reset").raise_for_status()
        yield Desk(database, scope, OpenAiEmbeddings(egress, model, "key", QUICK), control)
    await egress.aclose()
