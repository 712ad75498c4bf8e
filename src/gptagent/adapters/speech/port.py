"""`SpeechModel` over `POST {base}/audio/transcriptions` by OpenAI's API reference, as others speak it too."""

import asyncio
import random
import secrets
import time
from dataclasses import dataclass, field

import msgspec

from gptagent.features.inference.model import ModelReply, PriceList, Recording
from gptagent.kernel import observe
from gptagent.kernel.egress import Egress, Response
from gptagent.kernel.errors import AppError, Forbidden, Invalid, OutcomeUnknown, UpstreamUnavailable

ANSWER_MAX_BYTES = 1_000_000
LEAST_CALL_SECONDS = 1.0
RETRY_AFTER_MAX_SECONDS = 300.0
TRANSIENT = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds for one request and for all its attempts together; pauses double from the first one."""

    call: float = 30.0
    total: float = 45.0
    attempts: int = 3
    first_pause: float = 0.5


PATIENCE = Patience()


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0


class _Answer(msgspec.Struct):
    text: str
    usage: _Usage | None = None


@dataclass(slots=True)
class OpenAiSpeech:
    """One endpoint, key and model."""

    egress: Egress
    base_url: str
    model: str
    api_key: str = field(repr=False)
    patience: Patience = PATIENCE
    prices: PriceList = field(default_factory=PriceList, repr=False)

    async def transcribe(self, recording: Recording) -> ModelReply:
        """See `SpeechModel`. Waits for Retry-After if there is time, retries with jitter, then gives up."""
        started, attempt = time.monotonic(), 1
        while True:
            try:
                answer = await self._call(recording, started)
            except AppError as error:
                observe.SPEECH_SECONDS.labels(error.code).observe(time.monotonic() - started)
                pause = self._pause(error, started, attempt)
                if pause is None:
                    raise
                await asyncio.sleep(pause)
                attempt += 1
            else:
                passed = time.monotonic() - started
                observe.SPEECH_SECONDS.labels("ok").observe(passed)
                return self._reply(answer, passed, attempt)

    def _reply(self, answer: _Answer, passed: float, calls: int) -> ModelReply:
        used = answer.usage or _Usage()
        cost = None
        if used.input_tokens or used.output_tokens:  # some providers count seconds, and tell no tokens
            cost = self.prices.cost((self.model,), used.input_tokens, used.output_tokens)
        return ModelReply(
            text=answer.text.strip(),
            model=self.model,
            tokens_in=used.input_tokens,
            tokens_out=used.output_tokens,
            duration_ms=round(passed * 1000),
            calls=calls,
            cost_micro_usd=cost,
        )

    def _pause(self, error: AppError, started: float, attempt: int) -> float | None:
        """Return how long to wait before the next attempt; None if there is none."""
        pause = max(error.retry_after or 0, self.patience.first_pause * 2 ** (attempt - 1))
        pause *= random.uniform(1, 1.3)  # noqa: S311 - jitter
        late = time.monotonic() - started + pause > self.patience.total
        return None if late or attempt == self.patience.attempts or not error.retryable else pause

    async def _call(self, recording: Recording, started: float) -> _Answer:
        left = self.patience.total - (time.monotonic() - started)
        boundary, body = _form({"model": self.model, "response_format": "json"}, recording)
        try:
            response = await self.egress.request(
                "POST",
                f"{self.base_url.rstrip('/')}/audio/transcriptions",
                headers={
                    "authorization": f"Bearer {self.api_key or 'none'}",
                    "content-type": f"multipart/form-data; boundary={boundary}",
                },
                content=body,
                deadline=min(self.patience.call, max(left, LEAST_CALL_SECONDS)),
                max_bytes=ANSWER_MAX_BYTES,
            )
        except (UpstreamUnavailable, OutcomeUnknown) as error:  # asking again costs money, not correctness
            raise _unavailable(None) from error
        return _read(response)


def _form(fields: dict[str, str], recording: Recording) -> tuple[str, bytes]:
    """Return a multipart body (RFC 7578) and its boundary; the names in it are ours, not the customer's."""
    boundary = f"part-{secrets.token_hex(16)}"
    parts = [
        f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = (
        f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{recording.name}"\r\n'
        f"content-type: {recording.mime}\r\n\r\n"
    )
    return boundary, b"".join((*parts, head.encode(), recording.content, f"\r\n--{boundary}--\r\n".encode()))


def _read(response: Response) -> _Answer:
    if response.status != 200:
        raise _refusal(response)
    try:
        return msgspec.json.decode(response.body, type=_Answer)
    except msgspec.ValidationError as error:
        raise Invalid(
            "speech_malformed", "What the provider of speech recognition answers is no transcript."
        ) from error
    except msgspec.DecodeError as error:  # broken off on its way
        raise _unavailable(None) from error


def _refusal(response: Response) -> AppError:
    if response.status in {401, 403}:
        return Forbidden(
            "speech_unauthorized", "The provider of speech recognition does not accept SPEECH_API_KEY."
        )
    if response.status in TRANSIENT or response.status >= 500:
        return _unavailable(_seconds(response.headers.get("retry-after", "")))
    return Invalid(
        "speech_rejected", "The provider of speech recognition refuses the recording. Check SPEECH_MODEL."
    )


def _seconds(text: str) -> float | None:
    is_number = text.isascii() and text.replace(".", "", 1).isdigit() and len(text) < 10
    return min(float(text), RETRY_AFTER_MAX_SECONDS) if is_number else None


def _unavailable(retry_after: float | None) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        "speech_unavailable", "The provider of speech recognition does not answer.", retry_after=retry_after
    )
