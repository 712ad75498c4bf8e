"""Words and meaning on XQuAD's halves, with the emulated embedding model. `python benchmarks/vectors.py`.

Half of the questions decide, as a workspace's saved questions do, whether meaning counts and with which
weight; the other half is asked by words alone and by both. `fused_gain` must never be below 0, and the model
that knows no Russian must have no weight where Russian is asked. Starts its own PostgreSQL
and the emulated model. `--latency` measures instead how long questions take in a
workspace of 5,000, 10,000 and 50,000 passages.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from figures import skip
from gptagent.adapters.embeddings.port import OpenAiEmbeddings
from gptagent.features.inference.model import EMBEDDED_AT_ONCE, EmbeddingModel
from gptagent.features.knowledge import service
from gptagent.features.knowledge.questions.model import Asked
from gptagent.features.knowledge.vectors import measuring, store
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.features.knowledge.vectors.model import Meaning, Trial, VectorIndex, judge
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.ids import new_id
from gptagent.kernel.postgres import Postgres, prepare_database
from gptagent.kernel.scope import Scope
from gptagent.migrations.run import migrate
from gptagent.sandbox.spawn import running
from recall import DATA, FILLER_CHUNKS, add_text, count_chunks, fillers_of, load, vacuum

MODELS = ("sandbox-embedding", "sandbox-embedding-english")
DIMENSIONS = 1_024
SIZES = (5_000, 10_000, 50_000)
TIMED_QUESTIONS = 300


def embedder_of(url: str, egress: Egress, name: str) -> OpenAiEmbeddings:
    return OpenAiEmbeddings(egress, EmbeddingModel(f"{url}/v1", name, DIMENSIONS), "key")


async def embed_base(db: Database, scope: Scope, embedder: OpenAiEmbeddings) -> VectorIndex:
    """Embed a base as the job does, without measuring it."""
    async with db.session(scope) as session:
        index = await vectors.claim_index(session, embedder.model, 1)
    assert index is not None
    while True:
        async with db.session(scope) as session:
            batch = await vectors.pieces_to_embed(session, index.id, EMBEDDED_AT_ONCE)
        if not batch:
            return index
        answer = await embedder.embed([text for _, text in batch])
        async with db.session(scope) as session:
            await store.insert_vectors(session, index, [chunk_id for chunk_id, _ in batch], answer.vectors)


async def measure_quality(db: Database, language: str, asking: str, embedder: OpenAiEmbeddings) -> None:
    """Ask a base of one language in the same or another: the halves are translations of each other."""
    scope, asked = Scope(new_id()), []
    async with db.session(scope) as session:
        for number, (paragraph, same) in enumerate(zip(load(language), load(asking), strict=True)):
            source = await add_text(session, paragraph.text, f"{language}-{number}")
            asked += [Asked(text, frozenset(), frozenset((source,))) for text, _ in same.questions]
    index = await embed_base(db, scope, embedder)
    random.Random(4).shuffle(asked)
    trials: list[Trial] = []
    for start in range(0, len(asked), EMBEDDED_AT_ONCE):
        part = asked[start : start + EMBEDDED_AT_ONCE]
        answer = await embedder.embed([one.text for one in part])
        async with db.session(scope) as session:
            trials += await measuring.try_questions(session, index, part, answer.vectors)
    half = len(trials) // 2
    decided = judge(trials[:half])
    rest = trials[half:]
    for at in (1, 5):
        alone = _recall(rest, 0.0, decided.lowest, at)
        both = _recall(rest, decided.weight, decided.lowest, at)
        label = f"{asking}>{language}/{embedder.model.name.removeprefix('sandbox-')}"
        print(f"words_recall@{at} {label} {alone:.3f}")
        print(f"fused_recall@{at} {label} {both:.3f}")
        print(f"fused_gain@{at} {label} {both - alone:.3f}")
    print(f"weight {label} {decided.weight:.2f}", flush=True)


def _recall(trials: list[Trial], weight: float, lowest: float, at: int) -> float:
    return sum(0 < trial.rank(weight, lowest) <= at for trial in trials) / len(trials)


async def measure_latency(db: Database, owner_dsn: str, embedder: OpenAiEmbeddings) -> None:
    """Distinct questions, by words and vectors; the provider's own time is not in it."""
    rng = random.Random(5)
    paragraphs = load("ru")
    fillers = fillers_of([sentence for p in paragraphs for sentence in p.text.split(". ")], rng)
    questions = [question for paragraph in paragraphs for question, _ in paragraph.questions][
        :TIMED_QUESTIONS
    ]
    scope = Scope(new_id())
    meant = [
        vector
        for start in range(0, len(questions), EMBEDDED_AT_ONCE)
        for vector in (await embedder.embed(questions[start : start + EMBEDDED_AT_ONCE])).vectors
    ]
    for size in SIZES:
        while await count_chunks(db, scope) < size:
            async with db.session(scope) as session:
                await add_text(session, "\n\n".join(islice(fillers, FILLER_CHUNKS)), new_id().hex)
        index = await embed_base(db, scope, embedder)
        async with db.session(scope) as session:
            await store.release_index(session, index, None)
        await vacuum(owner_dsn, "chunk_vector")
        times = []
        for question, vector in zip(questions, meant, strict=True):
            began = time.perf_counter()
            async with db.session(scope) as session:
                await service.search(session, question, meaning=Meaning(index.id, vector, 1.0, 0.0))
            times.append((time.perf_counter() - began) * 1000)
        print(f"fused_p50_ms {size} {statistics.median(times):.1f}")
        print(f"fused_p95_ms {size} {statistics.quantiles(times, n=20)[-1]:.1f}", flush=True)


async def run(dsn: str, owner_dsn: str, url: str) -> None:
    parts = urlsplit(url)
    egress = Egress(frozenset({(parts.hostname or "", parts.port or 80)}))
    db = await Database.connect(dsn, max_connections=4)
    try:
        if "--latency" in sys.argv:
            return await measure_latency(db, owner_dsn, embedder_of(url, egress, MODELS[0]))
        for name in MODELS:
            for language, asking in (("en", "en"), ("ru", "ru"), ("ru", "en")):
                await measure_quality(db, language, asking, embedder_of(url, egress, name))
    finally:
        await db.close()
        await egress.aclose()


def main() -> None:
    if not DATA.is_dir():
        skip(f"{DATA.name} is not there")
        return
    with tempfile.TemporaryDirectory() as folder, running("llm") as url:
        home = Path(folder)
        home.chmod(0o755)
        postgres = Postgres(home)
        try:
            roles = prepare_database(postgres.start(), home)
            migrate(roles.owner_dsn, roles.app_dsn)
            asyncio.run(run(roles.app_dsn, roles.owner_dsn, url))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
