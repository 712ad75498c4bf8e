"""`POST /v1/rerank` as Jina and Cohere define it: documents by how much their meaning is the question's."""

import asyncio
from typing import cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.llm.embeddings import vector
from gptagent.sandbox.llm.refusals import admit, cut, fail
from gptagent.sandbox.llm.script import Prompt
from gptagent.sandbox.llm.state import Call, Model, claimed, halved, tokens
from gptagent.sandbox.wire import Json, read_as, refusal

SIZE = 1024


async def rerank(request: Request) -> Response:
    model = cast("Model", request.scope["model"])
    body = await read_as(request, dict[str, object])
    question, documents = body.get("query"), body.get("documents")
    if not isinstance(question, str) or not isinstance(documents, list) or not documents:
        raise refusal(400, "query must be a text, documents a list of texts")
    if not all(isinstance(one, str) for one in documents):
        raise refusal(400, "documents must be texts")
    call = model.log("rerank", Prompt(str(body.get("model", "")), "", question, (), "", body), documents)
    fault = await admit(request, model, call)
    await asyncio.sleep(model.knobs.reranking_ms / 1000)
    if fault is not None and fault.action == "wrong_json":
        call.outcome = fault.action
        return Response(b'{"results": [{"index": 0, "relev', media_type="application/json")
    if fault is not None and fault.action != "wrong_size":
        return await (fail(request, fault, call) if fault.action in {"status", "timeout"} else cut(request))
    used = sum(map(tokens, [question, *documents]))
    call.outcome = "answered"
    scores = enumerate(_scores(question, documents, call.model))
    best = sorted(scores, key=lambda one: -one[1])[: _top(body.get("top_n"), len(documents))]
    rows: list[dict[str, object]] = [{"index": index, "relevance_score": score} for index, score in best]
    if fault is not None:  # one that names a document nobody sent
        rows[0]["index"] = len(documents)
    if model.knobs.half_pairs:
        rows = [{**row, "document": {"text": documents[cast("int", row["index"])]}} for row in rows]
    told: Json = {"model": call.model, "results": rows, **_usage(model, call, used)}
    return Response(halved(model, msgspec.json.encode(told)), media_type="application/json")


def _usage(model: Model, call: Call, used: int) -> Json:
    match model.knobs.reranking_usage:
        case "none":
            return {}
        case "searches":
            call.usage = {"search_units": 1}
            return {"meta": {"billed_units": call.usage}}
        case "tokens":
            call.usage = {"total_tokens": used}
            return {"usage": claimed(model, {**call.usage})}


def _scores(question: str, documents: list[str], name: str) -> list[float]:
    """A model whose name has `english` in it knows no Russian, `backwards` has the worst one come first."""
    english = "english" in name
    asked = vector(question, SIZE, only_english=english)
    told = [vector(one, SIZE, only_english=english) for one in documents]
    likeness = [sum(a * b for a, b in zip(asked, one, strict=True)) for one in told]
    return [-one for one in likeness] if "backwards" in name else likeness


def _top(given: object, count: int) -> int:
    return given if isinstance(given, int) and given > 0 else count
