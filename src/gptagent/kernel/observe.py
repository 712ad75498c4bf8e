"""Logs and metrics. Logs are JSON lines on stdout that carry ids, never personal data or secrets."""

import logging
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

from gptagent.kernel.scope import Scope

REDACTED = "[redacted]"
MAX_FRAMES = 12
# Keys whose values never reach a log, whoever passes them.
_PRIVATE = (
    "password",
    "token",
    "secret",
    "authorization",
    "cookie",
    "email",
    "phone",
    "text",
    "content",
    "name",
)
_PUBLIC = frozenset({"logger_name", "job_name", "route_name", "event_name"})

HTTP_SECONDS = Histogram(
    "gptagent_http_request_seconds",
    "Time to answer an HTTP request",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10),
)
WEBHOOKS = Counter("gptagent_webhooks_total", "Webhook deliveries by outcome", ["outcome"])
DELIVERIES = Counter(
    "gptagent_crm_deliveries_total",
    "Deliveries by their source and what became of them",
    ["source", "state"],
)
RECONCILED = Counter("gptagent_crm_reconciled_total", "What polls found that no webhook had told", ["kind"])
JOBS = Counter("gptagent_jobs_total", "Executed jobs by name and outcome", ["job", "outcome"])
TURNS = Counter("gptagent_turns_total", "Finished turns by outcome", ["outcome"])
TURN_SECONDS = Histogram(
    "gptagent_turn_seconds",
    "Time from a turn's claim to its end",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
LLM_SECONDS = Histogram(
    "gptagent_llm_request_seconds",
    "Time of a model call",
    ["outcome"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60),
)
LLM_FALLBACKS = Counter(
    "gptagent_llm_fallbacks_total", "Requests that went to the fallback model, by why", ["reason"]
)
LLM_CIRCUITS = Counter("gptagent_llm_circuits_opened_total", "Models given up after failures in a row")
LLM_CIRCUITS_OPEN = Gauge(
    "gptagent_llm_circuits_open", "Models that do not answer", multiprocess_mode="mostrecent"
)
LLM_TOKENS = Counter("gptagent_llm_tokens_total", "Tokens by the provider's own count", ["direction"])
EMBEDDING_SECONDS = Histogram(
    "gptagent_embedding_request_seconds",
    "Time of a request for vectors, by what was embedded and the outcome",
    ["purpose", "outcome"],
    buckets=(0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
)
EMBEDDING_TOKENS = Counter(
    "gptagent_embedding_tokens_total", "Tokens of embedded texts by the provider's count"
)
SPEECH_SECONDS = Histogram(
    "gptagent_speech_request_seconds",
    "Time until a voice message was written down, with all attempts",
    ["outcome"],
    buckets=(0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60),
)
RERANKING_SECONDS = Histogram(
    "gptagent_reranking_request_seconds",
    "Time of a request for the order of a question's passages, by the outcome",
    ["outcome"],
    buckets=(0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
FACT_GATE = Counter(
    "gptagent_fact_gate_total",
    "Replies of a model by what the comparison with their sources found",
    ["outcome"],
)
INJECTION_SIGNS = Counter(
    "gptagent_injection_signs_total",
    "Signs in texts that they want to give a model orders; they block nothing",
    ["sign", "origin"],
)
REPLY_LEAKS = Counter(
    "gptagent_reply_leaks_total",
    "Replies of a model that were not sent because they held its instructions or a key",
    ["leak"],
)
BUDGET_REFUSALS = Counter(
    "gptagent_budget_refusals_total",
    "Calls of a model that were not made because a budget is used up",
    ["level"],
)
BUDGET_HOLDS_EXPIRED = Counter(
    "gptagent_budget_holds_expired_total",
    "Calls that were counted as what they held, because their process was killed in them",
)
PROMISES = Counter(
    "gptagent_promises_total",
    "Replies of a model with a promise, by whether it became a task or was taken out",
    ["outcome"],
)
CRM_CALLS = Counter(
    "gptagent_crm_calls_total", "Calls to the CRM by endpoint and outcome", ["endpoint", "outcome"]
)
CRM_SECONDS = Histogram(
    "gptagent_crm_call_seconds",
    "Time of a call to the CRM, from its slot",
    ["endpoint"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
CRM_WAIT_SECONDS = Histogram(
    "gptagent_crm_slot_wait_seconds",
    "Time a call to the CRM waited for its slot",
    ["priority"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CRM_CIRCUITS = Counter("gptagent_crm_circuits_opened_total", "Accounts given up after failures in a row")
CRM_CIRCUITS_OPEN = Gauge(
    "gptagent_crm_circuits_open", "CRM accounts that do not answer", multiprocess_mode="mostrecent"
)
QUEUE_JOBS = Gauge(
    "gptagent_queue_jobs", "Jobs in the queue by state", ["state"], multiprocess_mode="mostrecent"
)
RATE_LIMITS_ALONE = Counter(
    "gptagent_rate_limits_alone_total",
    "Counts for which Redis was asked in vain: each process counts for itself",
)
LANES_OVERDUE = Gauge(
    "gptagent_lanes_overdue", "Conversations whose answer is overdue", multiprocess_mode="mostrecent"
)


def configure_logging(*, level: int = logging.INFO) -> None:
    """Send structlog and the standard library's loggers to stdout as JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=MAX_FRAMES)
            ),
            drop_exception_texts,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank every value whose key could hold personal data or a secret."""
    for key in event:
        lowered = key.lower()
        if lowered not in _PUBLIC and any(word in lowered for word in _PRIVATE):
            event[key] = REDACTED
    return event


def drop_exception_texts(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep types and frames; the text of an exception may quote a row or a customer."""
    for part in event.get("exception", ()):
        part.pop("exc_value", None)
        part.pop("exc_notes", None)
    return event


@contextmanager
def job_context(job: str, job_id: int, scope: Scope) -> Iterator[None]:
    """Bind a job's ids to every log line within."""
    with structlog.contextvars.bound_contextvars(
        job=job, job_id=job_id, org_id=str(scope.org_id), request_id=scope.request_id
    ):
        yield
