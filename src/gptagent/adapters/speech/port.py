"""`SpeechModel` over `POST {base}/audio/transcriptions` by OpenAI's API reference, as others speak it too.

What a call used is told as `usage`: `input_tokens` and `output_tokens`, or `seconds` of a model that is paid
by them, or not at all.
"""

import math
import secrets
from dataclasses import dataclass, field

import msgspec

from gptagent.adapters.asking import (
    TRANSIENT,
    UNKNOWN_MODEL,
    Asking,
    Effort,
    Patience,
    UnknownModelError,
    seconds_of,
)
from gptagent.adapters.counting import counts_in
from gptagent.adapters.mending import mended, storable
from gptagent.features.inference.model import Breaker, ModelReply, PriceList, Recording
from gptagent.kernel import observe
from gptagent.kernel.egress import Egress, Response
from gptagent.kernel.errors import AppError, Forbidden, Invalid, OutcomeUnknown, UpstreamUnavailable

ANSWER_MAX_BYTES = 1_000_000
LONGEST_SECONDS = 1_000_000  # what is longer was not meant as the length of a recording
PATIENCE = Patience(call=30.0, total=45.0, spare=15.0)


class _Answer(msgspec.Struct):
    text: str
    usage: object = None


@dataclass(slots=True)
class OpenAiSpeech:
    """One endpoint, key and model, and another model for when that one is away."""

    egress: Egress
    base_url: str
    model: str
    api_key: str = field(repr=False)
    patience: Patience = PATIENCE
    prices: PriceList = field(default_factory=PriceList, repr=False)
    fallback_model: str | None = None
    breaker: Breaker | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """See `SpeechModel`."""
        return (self.model, self.fallback_model) if self.fallback_model else (self.model,)

    async def transcribe(self, recording: Recording) -> ModelReply:
        """See `SpeechModel`. Waits for Retry-After if there is time, retries with jitter, then gives up."""

        async def call(name: str, effort: Effort) -> ModelReply:
            return self._reply(await self._call(recording, name, effort), name, effort)

        asking = Asking("speech", self.patience, observe.SPEECH_SECONDS, breaker=self.breaker)
        return await asking.ask(self.model, self.fallback_model, call)

    def _reply(self, answer: _Answer, name: str, effort: Effort) -> ModelReply:
        tokens_in, tokens_out = counts_in(answer.usage, "input_tokens", "output_tokens")
        seconds = _length_in(answer.usage)
        return ModelReply(
            text=storable(answer.text).strip(),
            model=name,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            duration_ms=round(effort.passed * 1000),
            calls=effort.calls,
            cost_micro_usd=self._cost(name, tokens_in, tokens_out, seconds),
            seconds=math.ceil(seconds),
        )

    def _cost(self, name: str, tokens_in: int, tokens_out: int, seconds: float) -> int | None:
        """Return the cost by whichever the provider counts in; None if it tells neither."""
        if tokens_in or tokens_out:
            return self.prices.cost((name,), tokens_in, tokens_out)
        return self.prices.cost_of_speech((name,), seconds) if seconds else None

    async def _call(self, recording: Recording, name: str, effort: Effort) -> _Answer:
        boundary, body = _form({"model": name, "response_format": "json"}, recording)
        try:
            response = await self.egress.request(
                "POST",
                f"{self.base_url.rstrip('/')}/audio/transcriptions",
                headers={
                    "authorization": f"Bearer {self.api_key or 'none'}",
                    "content-type": f"multipart/form-data; boundary={boundary}",
                },
                content=body,
                deadline=self.patience.call_seconds(effort.passed, effort.total),
                max_bytes=ANSWER_MAX_BYTES,
            )
        except (UpstreamUnavailable, OutcomeUnknown) as error:  # asking again costs money, not correctness
            raise _unavailable(None) from error
        return _read(response)


def _length_in(usage: object) -> float:
    """Return how many seconds are paid; 0 if the provider counts in something else."""
    told = usage.get("seconds") if isinstance(usage, dict) else None
    if isinstance(told, bool) or not isinstance(told, int | float):
        return 0.0
    return float(told) if 0 < told <= LONGEST_SECONDS else 0.0


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
        return msgspec.json.decode(mended(response.body), type=_Answer)
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
        return _unavailable(seconds_of(response.headers.get("retry-after", "")))
    refused = Invalid(
        "speech_rejected", "The provider of speech recognition refuses the recording. Check SPEECH_MODEL."
    )
    is_unknown = response.status == UNKNOWN_MODEL
    return UnknownModelError(refused.code, refused.message) if is_unknown else refused


def _unavailable(retry_after: float | None) -> UpstreamUnavailable:
    return UpstreamUnavailable(
        "speech_unavailable", "The provider of speech recognition does not answer.", retry_after=retry_after
    )
