"""`POST /v1/embeddings`: hashed words and meanings; texts that share them lie near each other."""

import asyncio
import base64
import hashlib
import math
from array import array
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.llm.meanings import features
from gptagent.sandbox.llm.refusals import admit, cut, fail
from gptagent.sandbox.llm.script import Prompt
from gptagent.sandbox.llm.state import Model, claimed, tokens
from gptagent.sandbox.wire import Json, answer, read_as, refusal

LARGEST_DIMENSIONS = 8192


async def embed(request: Request) -> Response:
    model = cast("Model", request.scope["model"])
    body = await read_as(request, dict[str, object])
    texts = _texts(body.get("input"))
    call = model.log("embeddings", Prompt(str(body.get("model", "")), "", texts[0], (), "", body), texts)
    fault = await admit(request, model, call)
    await asyncio.sleep(model.knobs.embedding_ms / 1000)
    if fault is not None and fault.action == "wrong_json":
        call.outcome = fault.action
        return Response(b'{"object": "list", "data": [{"object": "embed', media_type="application/json")
    if fault is not None and fault.action != "wrong_size":
        return await (fail(request, fault, call) if fault.action in {"status", "timeout"} else cut(request))
    size = body.get("dimensions", model.knobs.dimensions)
    if not isinstance(size, int) or not 0 < size <= LARGEST_DIMENSIONS:
        raise refusal(400, "dimensions must be a small positive integer")
    if fault is not None:  # a model that was exchanged behind its name
        size += 1
    used = sum(map(tokens, texts))
    call.outcome, call.usage = "answered", {"prompt_tokens": used, "total_tokens": used}
    english = model.knobs.languages == "english" or "english" in call.model
    vectors = [vector(text, size, only_english=english) for text in texts]
    rows = [_row(i, values, body.get("encoding_format")) for i, values in enumerate(vectors)]
    return answer(
        {"object": "list", "data": rows, "model": call.model, "usage": claimed(model, {**call.usage})}
    )


def vector(text: str, size: int, *, only_english: bool = False) -> list[float]:
    """Return a unit vector that depends on the text's words only; what says the same lies near."""
    weights: dict[str, float] = {}
    for feature, weight in features(text, only_english=only_english):
        weights[feature] = weights.get(feature, 0.0) + weight
    sums = [0.0] * size
    for feature, weight in (weights or {"": 1.0}).items():
        digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
        place = int.from_bytes(digest[:4])
        sums[place % size] += math.sqrt(weight) * (1.0 if digest[4] % 2 else -1.0)
    length = math.sqrt(sum(value * value for value in sums)) or 1.0
    return [value / length for value in sums]


def _row(index: int, values: list[float], form: object) -> Json:
    shown: object = values
    if form == "base64":
        shown = base64.b64encode(array("f", values).tobytes()).decode()
    return {"object": "embedding", "index": index, "embedding": shown}


def _texts(given: object) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise refusal(400, "input must be a text or a list of texts")
    return texts
