"""What Kommo's failures mean, in the words of `CrmPort`."""

from collections.abc import Mapping

from gptagent.adapters.kommo.tree import as_int, as_map, as_text
from gptagent.kernel.egress import Response
from gptagent.kernel.errors import (
    AppError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    OutcomeUnknown,
    UpstreamUnavailable,
)

DEFAULT_RETRY_SECONDS = 30.0
MAX_RETRY_SECONDS = 3600.0
MAX_DETAIL_CHARS = 300

_REFUSALS: Mapping[int, tuple[type[AppError], str, str]] = {
    401: (Forbidden, "crm_unauthorized", "The CRM does not accept the access token."),
    402: (Conflict, "crm_payment_required", "The CRM account's plan or quota does not allow this."),
    403: (Forbidden, "crm_scope", "The access token lacks a right or scope for this."),
    404: (NotFound, "crm_not_found", "The CRM does not know this."),
}


class TookTooLong(UpstreamUnavailable):
    """A read was more than the CRM could do in time (504): a smaller one may succeed."""


def unavailable() -> UpstreamUnavailable:
    return UpstreamUnavailable("crm_unavailable", "The CRM does not answer. Try again shortly.")


def no_answer(*, is_write: bool) -> AppError:
    """A read without a useful answer changed nothing; a write may have been carried out."""
    if is_write:
        return OutcomeUnknown("crm_outcome_unknown", "The CRM did not confirm; it may have acted.")
    return unavailable()


def refusal(status: int, body: object, *, is_write: bool) -> AppError:
    detail = as_text(as_map(body).get("detail")) or as_text(as_map(body).get("title"))
    if status in _REFUSALS:
        kind, code, message = _REFUSALS[status]
        return kind(code, message)
    if status == 422 and "talk is closed" in detail.lower():
        return Conflict("crm_talk_closed", "The conversation is closed in the CRM.")
    if status == 504 and not is_write:
        return TookTooLong("crm_unavailable", "The CRM does not answer. Try again shortly.")
    if status >= 500:
        return unavailable() if status == 503 else no_answer(is_write=is_write)
    return Invalid(
        "crm_rejected",
        "The CRM rejected the request: {detail}",
        params={"detail": _explained(body, detail)[:MAX_DETAIL_CHARS], "status": status},
    )


def _explained(body: object, detail: str) -> str:
    """Return the vendor's words, with the first field it found wrong."""
    for group in _maps(as_map(body).get("validation-errors")):
        for error in _maps(group.get("errors")):
            return f"{detail} {as_text(error.get('path'))}: {as_text(error.get('detail'))}"
    return detail


def _maps(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def retry_seconds(response: Response, body: object) -> float:
    given = as_int(as_map(body).get("retry_after")) or as_int(response.headers.get("retry-after"))
    return min(float(given), MAX_RETRY_SECONDS) if given and given > 0 else DEFAULT_RETRY_SECONDS
