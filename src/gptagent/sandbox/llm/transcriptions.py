"""`POST /v1/audio/transcriptions`: what is "said" in a recording is the text that its bytes hold.

A fake recording is a header, a zero byte, then words. Scripted rules come first; they are matched against
those words.
"""

import asyncio
import re
from typing import cast

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.llm.refusals import admit, cut, fail, silence
from gptagent.sandbox.llm.script import Prompt, hidden_words, speak
from gptagent.sandbox.llm.state import Call, Model, claimed, halved, tokens
from gptagent.sandbox.wire import Json, refusal

ENDINGS = frozenset(("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm"))


async def transcribe(request: Request) -> Response:
    model = cast("Model", request.scope["model"])
    async with request.form() as form:
        file, name = form.get("file"), form.get("model")
        if not isinstance(file, UploadFile) or not isinstance(name, str) or not name:
            raise refusal(400, "file and model are required")
        content, ending = await file.read(), (file.filename or "").rpartition(".")[2]
    words = hidden_words(content)
    prompt = Prompt(name, "", words, (), words, {})
    call = model.log("transcription", prompt, {"ending": ending, "bytes": len(content)})
    fault = await admit(request, model, call)
    if fault is not None and fault.action in {"status", "timeout"}:
        return await fail(request, fault, call)
    if fault is not None:
        call.outcome = fault.action
        if fault.action == "wrong_json":
            return Response(b'{"text": "What does', media_type="application/json")
        return await (silence(request) if fault.action == "stall" else cut(request))
    if ending not in ENDINGS:
        raise refusal(400, f"Unrecognized file format: {ending}")
    await asyncio.sleep(model.knobs.speech_ms / 1000)
    is_scripted = any(rule.match and re.search(rule.match, words) for rule in model.rules)
    said = speak(model.rules, prompt).text if is_scripted else words
    call.answer, call.outcome = said, "answered"
    body: Json = {"text": said, **_usage(model, call, content, said)}
    return Response(halved(model, msgspec.json.encode(body)), media_type="application/json")


def _usage(model: Model, call: Call, content: bytes, said: str) -> Json:
    """A byte is a tenth of a second."""
    match model.knobs.speech_usage:
        case "none":
            return {}
        case "seconds":
            call.usage = {"seconds": -(-len(content) // 10)}
            return {"usage": claimed(model, {"type": "duration", "seconds": len(content) / 10})}
        case "tokens":
            call.usage = {"input_tokens": 10 + len(content) // 1000, "output_tokens": tokens(said)}
            total = sum(call.usage.values())
            return {"usage": claimed(model, {"type": "tokens", **call.usage, "total_tokens": total})}
