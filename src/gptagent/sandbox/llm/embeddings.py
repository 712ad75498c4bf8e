"""`POST /v1/embeddings`: hashed words, always the same; texts that share words lie near each other."""

import base64
import hashlib
import math
import re
from array import array
from typing import cast

from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.llm.refusals import admit, cut, fail
from gptagent.sandbox.llm.script import Prompt
from gptagent.sandbox.llm.state import Model, tokens
from gptagent.sandbox.wire import Json, answer, read_as, refusal

WORD = re.compile(r"\w+")
STEM_LETTERS = 5
LARGEST_DIMENSIONS = 8192


async def embed(request: Request) -> Response:
    model = cast("Model", request.scope["model"])
    body = await read_as(request, dict[str, object])
    texts = _texts(body.get("input"))
    call = model.log("embeddings", Prompt(str(body.get("model", "")), "", texts[0], (), "", body), texts)
    fault = await admit(request, model, call)
    if fault is not None:
        return await (fail(request, fault, call) if fault.action in {"status", "timeout"} else cut(request))
    size = body.get("dimensions", model.knobs.dimensions)
    if not isinstance(size, int) or not 0 < size <= LARGEST_DIMENSIONS:
        raise refusal(400, "dimensions must be a small positive integer")
    used = sum(map(tokens, texts))
    call.outcome, call.usage = "answered", {"prompt_tokens": used, "total_tokens": used}
    rows = [_row(i, vector(text, size), body.get("encoding_format")) for i, text in enumerate(texts)]
    return answer({"object": "list", "data": rows, "model": call.model, "usage": call.usage})


def vector(text: str, size: int) -> list[float]:
    """Return a unit vector that depends on the text's words only, cut to their first letters."""
    sums = [0.0] * size
    for word in WORD.findall(text.casefold()) or [""]:
        digest = hashlib.blake2b(word[:STEM_LETTERS].encode(), digest_size=8).digest()
        place = int.from_bytes(digest[:4])
        sums[place % size] += 1.0 if digest[4] % 2 else -1.0
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
