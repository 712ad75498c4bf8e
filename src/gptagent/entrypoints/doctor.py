"""`gptagent doctor`: is everything there that the platform needs, and how is it mended?"""

import os
import shutil
import wave
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

from gptagent.bootstrap import (
    app_dsn,
    build_embedder,
    build_eye,
    build_platform,
    build_reranker,
    build_speech,
    vision_url,
)
from gptagent.features.inference import service as inference
from gptagent.features.inference.model import ChatTurn, ModelRequest, Picture, Recording
from gptagent.kernel import installation
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import AppError
from gptagent.kernel.i18n import translate
from gptagent.kernel.settings import Settings

FREE_DISK_MIN_BYTES = 2_000_000_000  # database, write-ahead log and uploads need room to breathe
MODEL_SECONDS = 10.0
MODEL_MAX_BYTES = 2_000_000
SILENCE_SECONDS, SILENCE_HZ = 0.5, 16_000  # what recognisers are trained on
PICTURE_SIDE_PIXELS = 64  # some providers refuse smaller ones
LOOK_MAX_TOKENS = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` says what to do when it is not well."""

    what: str
    ok: bool
    detail: str
    mend: str = ""

    def line(self) -> str:
        text = f"{'ok' if self.ok else 'PROBLEM':<8} {self.what:<11} {self.detail}"
        return text if self.ok or not self.mend else f"{text}\n{' ' * 21}-> {self.mend}"


async def examine(settings: Settings) -> list[Finding]:
    """Run every check; one that fails does not stop the others."""
    findings = [_disk(settings), _files(settings), _keys(settings)]
    findings.append(await _try("database", _database, settings))
    for what, check in (("migrations", _migrations), ("crm", _crm)):
        if findings[3].ok:
            findings.append(await _try(what, check, settings))
        else:
            findings.append(Finding(what, ok=False, detail="not checked: it needs the database"))
    findings.append(await _try("model", _model, settings))
    if settings.llm_model is not None and all(one.ok for one in findings[3:5]):
        findings.append(await _try("breaker", _breaker, settings))
    findings.append(await _try("embeddings", _embeddings, settings))
    findings.append(await _try("reranking", _reranking, settings))
    findings.append(await _try("speech", _speech, settings))
    findings.append(await _try("vision", _vision, settings))
    return findings


async def _try(what: str, check: Callable[[Settings], Awaitable[Finding]], settings: Settings) -> Finding:
    try:
        return await check(settings)
    except AppError as error:
        sentence = translate("en", error.message, **error.params)
        return Finding(what, ok=False, detail=sentence, mend=_MENDS[what])


_MENDS = {
    "database": "Start the platform with `gptagent up`, or check DATABASE_URL.",
    "migrations": "Run `gptagent migrate`.",
    "crm": "Run `gptagent migrate`, and set the SECRET_KEYS this installation began with.",
    "model": "Check LLM_BASE_URL and LLM_API_KEY; a private address needs EGRESS_ALLOW=host:port.",
    "breaker": "It is tried again every minute or sooner. Look at the provider's status page; with "
    "LLM_FALLBACK_MODEL another model answers meanwhile.",
    "reranking": "Check RERANKER_BASE_URL, RERANKER_API_KEY and RERANKER_MODEL; a private address needs "
    "EGRESS_ALLOW=host:port.",
    "speech": "Check SPEECH_BASE_URL, SPEECH_API_KEY and SPEECH_MODEL; a private address needs "
    "EGRESS_ALLOW=host:port.",
    "vision": "Check VISION_BASE_URL, VISION_API_KEY and VISION_MODEL; a private address needs "
    "EGRESS_ALLOW=host:port.",
    "embeddings": "Check EMBEDDING_BASE_URL, EMBEDDING_API_KEY, EMBEDDING_MODEL and EMBEDDING_DIMENSIONS; a "
    "private address needs EGRESS_ALLOW=host:port.",
}


def _disk(settings: Settings) -> Finding:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return Finding(
        "disk",
        free >= FREE_DISK_MIN_BYTES,
        f"{free / 1e9:.1f} GB free at {settings.home}",
        "Make room, or move GPTAGENT_HOME to a larger disk.",
    )


def _files(settings: Settings) -> Finding:
    folder: Path = settings.files_path
    writable = os.access(folder if folder.exists() else settings.home, os.W_OK)
    return Finding(
        "files",
        writable,
        f"uploads go to {folder}",
        "Give this user the right to write there, or set FILES_URL.",
    )


def _keys(settings: Settings) -> Finding:
    if settings.given_keys is None and not (settings.home / "keys" / "secret.keys").exists():
        return Finding(
            "keys", ok=False, detail="no keys yet", mend="They are made at the first `gptagent up`."
        )
    return Finding("keys", ok=True, detail=f"primary key {load_vault(settings).fingerprint}")


async def _database(settings: Settings) -> Finding:
    db = await Database.connect(app_dsn(settings), max_connections=1)
    try:
        async with db.installation() as session:
            version = await session.fetchval("show server_version")
    finally:
        await db.close()
    kind = "DATABASE_URL" if settings.database_url else "embedded"
    return Finding("database", ok=True, detail=f"PostgreSQL {version} answers ({kind})")


async def _migrations(settings: Settings) -> Finding:
    from gptagent.migrations.run import HEAD, is_current

    current = is_current(app_dsn(settings))
    return Finding("migrations", current, f"this release needs revision {HEAD}", _MENDS["migrations"])


async def _crm(settings: Settings) -> Finding:
    platform = await build_platform(settings)
    try:
        async with platform.db.installation() as session:
            by_status = await installation.count_connections(session)
    finally:
        await platform.close()
    broken = by_status.get("broken", 0)
    detail = f"{by_status.get('connected', 0)} connected, {broken} broken"
    if not by_status:
        detail = "no CRM is connected yet"
    return Finding("crm", broken == 0, detail, "Their owners reconnect them with a new token.")


async def _model(settings: Settings) -> Finding:
    if settings.llm_model is None:
        return Finding(
            "model",
            ok=True,
            detail="none set: agents quote the knowledge base (LLM_MODEL, LLM_API_KEY, LLM_BASE_URL)",
        )
    egress = Egress(settings.allowed_egress)
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    try:
        answer = await egress.request(
            "GET",
            f"{settings.llm_base_url.rstrip('/')}/models",
            headers={"authorization": f"Bearer {key}"},
            deadline=MODEL_SECONDS,
            max_bytes=MODEL_MAX_BYTES,
        )
    finally:
        await egress.aclose()
    host = urlsplit(settings.llm_base_url).hostname
    return Finding("model", answer.status == 200, f"{host} answers {answer.status}", _MENDS["model"])


async def _breaker(settings: Settings) -> Finding:
    db = await Database.connect(app_dsn(settings), max_connections=1)
    try:
        async with db.installation() as session:
            resting = await inference.resting_models(session)
    finally:
        await db.close()
    detail = f"left alone after failures: {', '.join(resting)}" if resting else "no model is left alone"
    return Finding("breaker", not resting, detail, _MENDS["breaker"])


async def _embeddings(settings: Settings) -> Finding:
    """Have one text embedded: only that shows whether the size is as asked for."""
    egress = Egress(settings.allowed_egress)
    embedder = build_embedder(settings, egress)
    if embedder is None:
        return _none(settings, "embeddings", "embedding", "words are searched")
    try:
        answer = await embedder.embed(["Is anybody there?"], deadline=MODEL_SECONDS)
    finally:
        await egress.aclose()
    host = urlsplit(settings.embedding_base_url).hostname
    return Finding("embeddings", ok=True, detail=f"{host} answers {len(answer.vectors[0])} dimensions")


async def _reranking(settings: Settings) -> Finding:
    """Have two texts put in order."""
    egress = Egress(settings.allowed_egress)
    reranker = build_reranker(settings, egress)
    if reranker is None:
        return _none(settings, "reranking", "reranker", "passages stay as found")
    try:
        texts = ["Nobody is there.", "Somebody is there."]
        answer = await reranker.rerank("Is anybody there?", texts, deadline=MODEL_SECONDS)
    finally:
        await egress.aclose()
    host = urlsplit(settings.reranker_base_url).hostname
    return Finding("reranking", ok=True, detail=f"{host} answers in {answer.duration_ms} ms")


async def _speech(settings: Settings) -> Finding:
    """Have a moment of silence written down by the chosen model: only that shows whether it is known."""
    egress = Egress(settings.allowed_egress)
    speech = build_speech(settings.model_copy(update={"speech_fallback_model": None}), egress)
    if speech is None:
        return _none(settings, "speech", "speech", "of voice messages agents ask for words")
    try:
        answer = await speech.transcribe(Recording("silence.wav", "audio/wav", _silence()))
    finally:
        await egress.aclose()
    host = urlsplit(settings.speech_base_url).hostname
    return Finding("speech", ok=True, detail=f"{host} answers in {answer.duration_ms} ms")


async def _vision(settings: Settings) -> Finding:
    """Have a picture looked at by the chosen model: it may answer, and still take words only."""
    eye = build_eye(settings.model_copy(update={"vision_fallback_model": None}))
    if eye is None:
        return _none(settings, "vision", "vision", "of pictures agents ask for words")
    turn = ChatTurn("user", "The picture:", (Picture("image/png", _red_square()),))
    answer = await eye.complete(
        ModelRequest("Which colour has the picture? Answer with one word.", (turn,), 0, LOOK_MAX_TOKENS)
    )
    host = urlsplit(vision_url(settings)).hostname
    return Finding("vision", ok=True, detail=f"{host} answers in {answer.duration_ms} ms")


def _none(settings: Settings, what: str, prefix: str, consequence: str) -> Finding:
    """No model is set: well, unless an address or a key shows that one was meant to be."""
    model = f"{prefix}_model".upper()
    idle = [
        name.upper()
        for name in (f"{prefix}_base_url", f"{prefix}_api_key")
        if getattr(settings, name) and getattr(settings, name) != type(settings).model_fields[name].default
    ]
    if not idle:
        return Finding(what, ok=True, detail=f"none set: {consequence} ({model})")
    names = " and ".join(idle)
    verb = "is" if len(idle) == 1 else "are"
    detail = f"{names} {verb} set without {model}, and so without effect: {consequence}"
    return Finding(what, ok=False, detail=detail, mend=f"Set {model}, or remove {names}.")


def _silence() -> bytes:
    out = BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SILENCE_HZ)
        sound.writeframes(bytes(2 * int(SILENCE_HZ * SILENCE_SECONDS)))
    return out.getvalue()


def _red_square() -> bytes:
    out = BytesIO()
    Image.new("RGB", (PICTURE_SIDE_PIXELS, PICTURE_SIDE_PIXELS), "red").save(out, "PNG")
    return out.getvalue()
