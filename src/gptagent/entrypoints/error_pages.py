"""Errors as pages. They need neither a workspace nor the database."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gptagent.kernel.errors import AppError
from gptagent.ui.web import Pages, base_of, message_of

# Statuses the page has its own words for; others show the error's sentence.
KNOWN = frozenset({403, 404, 413, 429, 500, 503})


@dataclass(frozen=True, slots=True)
class ErrorPages:
    """Called with whatever a page's request ended in."""

    pages: Pages

    def __call__(self, request: Request, error: AppError) -> Response:
        # An address whose id is none is as missing as one whose id is unknown.
        status = 404 if error.code == "invalid" and _is_address(error) else error.status
        base = base_of(request)
        response = self.pages.show(
            request,
            "ui/layouts/error.html",
            status=status,
            message="" if status in KNOWN and error.code != "csrf" else message_of(request, error),
            href=f"{base}/dashboard" if base else "/",
            repeats=request.method == "GET",
            code=getattr(request.state, "request_id", "")[:8] if status >= 500 else "",
        )
        if error.retry_after:
            response.headers["retry-after"] = str(max(1, round(error.retry_after)))
        return response


def _is_address(error: AppError) -> bool:
    return any(fault.pointer.startswith("/") for fault in error.fields)
