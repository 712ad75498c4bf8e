"""What every request passes through: an id, a log line, limits, security headers, authentication."""

import asyncio
import ipaddress
import re
import time
import uuid
from collections.abc import Set as AbstractSet

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gptagent.entrypoints.authentication import Authenticator
from gptagent.entrypoints.request_limits import UPLOAD_PATHS, RequestLimits
from gptagent.kernel import observe
from gptagent.kernel.errors import AppError, Forbidden, TooLarge, Unauthenticated, UpstreamUnavailable
from gptagent.kernel.http import MACHINE_PATHS, Access, error_response, locale_of, problem

log = structlog.get_logger("gptagent.http")

BODY_MAX_BYTES = 5_000_000
UPLOAD_MAX_BYTES = 51_000_000
REQUEST_TIMEOUT_SECONDS = 30
UPLOAD_TIMEOUT_SECONDS = 300
# A long file is written while it is read.
EXPORTS = re.compile(
    r"/(?:audit|account|account-settings/privacy|articles|knowledge-items)/export$|/privacy/customers/[^/]+$"
)
PICTURE_MAX_BYTES = 5_100_000  # a picture of 5 MB and the form around it
PICTURE_PATHS = ("/avatar",)

# What pages use of the browser's abilities; every other one that Chromium knows is off, also for frames.
_OWN_ABILITIES = ("clipboard-write", "publickey-credentials-create", "publickey-credentials-get")
_NO_ABILITIES = (
    *("accelerometer", "autoplay", "browsing-topics", "camera"),
    *("clipboard-read", "compute-pressure", "cross-origin-isolated", "display-capture", "encrypted-media"),
    *(
        "fullscreen",
        "gamepad",
        "geolocation",
        "gyroscope",
        "hid",
        "identity-credentials-get",
        "idle-detection",
    ),
    *("keyboard-map", "local-fonts", "magnetometer", "microphone", "midi", "otp-credentials", "payment"),
    *("picture-in-picture", "screen-wake-lock", "serial", "storage-access", "sync-xhr", "usb"),
    *("window-management", "xr-spatial-tracking"),
)
# Scripts and styles come from files of ours only: stronger than nonces, of which one may be stolen or reused.
SECURITY_HEADERS = {
    "cache-control": "no-store",  # data of people; what may be kept says so itself
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "origin-agent-cluster": "?1",
    "x-permitted-cross-domain-policies": "none",
    "permissions-policy": ", ".join(
        [*(f"{name}=(self)" for name in _OWN_ABILITIES), *(f"{name}=()" for name in _NO_ABILITIES)]
    ),
}
CORS_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
    "access-control-allow-headers": "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match",
    "access-control-max-age": "600",
}
CORS_EXPOSED = (
    "ETag, Idempotency-Replayed, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, "
    "X-Request-Id"
)
HSTS = "max-age=31536000; includeSubDomains"


class RequestEdge:
    """The outermost layer: request id, access log with the route's pattern, metrics, headers, last errors."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = dict(SECURITY_HEADERS)
        if https:
            self._headers["strict-transport-security"] = HSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if "allowance" in scope["state"]:
                    headers.update(scope["state"]["allowance"].headers)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception as error:  # noqa: BLE001 - the process edge: what nobody foresaw is still answered
                _note(error)
                if not status:  # an answer that has begun is cut off by the server
                    await error_response(Request(scope), error)(scope, receive, send_with_headers)
            seconds = time.perf_counter() - started
            route = _pattern(scope)
            observe.HTTP_SECONDS.labels(scope["method"], route, str(status)).observe(seconds)
            log.info(
                "request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1)
            )


def _note(error: Exception) -> None:
    if not isinstance(error, AppError):
        log.error("request_failed", error=type(error).__name__, exc_info=error)


def _pattern(scope: Scope) -> str:
    """Return the route's pattern, never the address itself: that may hold a secret."""
    return str(scope["route"].path) if "route" in scope else "unmatched"


class HttpsOnly:
    """In production answers nothing over plain http: whoever is on the way could read and change it.

    How a request came is what the trusted proxy says (X-Forwarded-Proto), or the connection itself. Pages are
    led to https. Everything else is refused, so that whoever sent a credential notices; it is not looked at.
    Probes are answered: those of health hold nothing, the metrics only to a private network.
    """

    def __init__(self, app: ASGIApp, *, base_url: str) -> None:
        self._app = app
        self._base_url = base_url
        self._has_told = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["scheme"] == "https" or _is_probe(scope):
            await self._app(scope, receive, send)
            return
        if not self._has_told:  # a proxy that is not trusted, or does not say how people come, looks the same
            log.warning("plain_request_refused")
            self._has_told = True
        request = Request(scope)
        if scope["method"] in {"GET", "HEAD"} and not scope["path"].startswith(MACHINE_PATHS):
            query = scope["query_string"].decode("latin-1")
            path = scope["raw_path"].decode("latin-1")
            response: Response = RedirectResponse(self._base_url + path + (f"?{query}" if query else ""), 308)
        else:
            response = problem(_plain(), locale_of(request), request.state.request_id)
        await response(scope, receive, send)


def _plain() -> Forbidden:
    return Forbidden(
        "https_required",
        "Only https is answered here. A secret that was sent may have been read: replace it.",
    )


def _is_probe(scope: Scope) -> bool:
    if scope["path"].startswith("/health/"):
        return True
    try:
        peer = ipaddress.ip_address(scope["client"][0])
    except (TypeError, ValueError):
        return False
    return scope["path"] == "/metrics" and peer.is_private


class Cors:
    """Lets scripts of the listed origins read the API's answers.

    Nothing of a browser's log-in goes with them: the API takes tokens only. Preflights are answered here,
    before anybody asks for a credential.
    """

    def __init__(self, app: ASGIApp, *, origins: AbstractSet[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/") or not self._origins:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        known = {"access-control-allow-origin": origin} if origin in self._origins else {}
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            allowed = {**known, **CORS_PREFLIGHT} if known else {}
            await Response(status_code=204, headers={"vary": "Origin", **allowed})(scope, receive, send)
            return

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.add_vary_header("Origin")
                if known:
                    answer.update({**known, "access-control-expose-headers": CORS_EXPOSED})
            await send(message)

        await self._app(scope, receive, send_readable)


class Limits:
    """Bounds a request's body and time before anything reads it. Streams and uploads have their own."""

    def __init__(self, app: ASGIApp, *, seconds: float = REQUEST_TIMEOUT_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith("/live"):
            await self._app(scope, receive, send)
            return
        upload = scope["method"] == "POST" and scope["path"].endswith(UPLOAD_PATHS)
        picture = scope["path"].endswith(PICTURE_PATHS)
        limit = UPLOAD_MAX_BYTES if upload else PICTURE_MAX_BYTES if picture else BODY_MAX_BYTES
        length = Headers(scope=scope).get("content-length") or "0"
        if length.isdecimal() and int(length) > limit:
            raise TooLarge("too_large", "The request is too large.")
        try:
            is_long = upload or EXPORTS.search(scope["path"]) is not None
            async with asyncio.timeout(UPLOAD_TIMEOUT_SECONDS if is_long else self._seconds):
                await self._app(scope, _counted(receive, limit), send)
        except TimeoutError as error:
            raise UpstreamUnavailable("timeout", "This took too long. Try again.", retry_after=5) from error


def _counted(receive: Receive, limit: int) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise HTTPException(413)  # FastAPI makes "malformed" of any other error while it reads a body
        return message

    return counted


class Gate:
    """Denies by default: every address that is not listed as open needs a credential, before it is parsed."""

    def __init__(self, app: ASGIApp, *, authenticator: Authenticator, limits: RequestLimits) -> None:
        self._app = app
        self._limits = limits
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            response = await self._check(request)
            if response is not None:
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _check(self, request: Request) -> Response | None:
        try:
            await self._limits.check_hook(request)
            await self._admit(request)
            self._authenticator.hold(request)
        except AppError as error:
            return self._refuse(request, error)
        right = self._authenticator.right_address(request)
        return RedirectResponse(right, 308) if right else None

    def _refuse(self, request: Request, error: AppError) -> Response:
        """Answer a program with the error, and lead a person to what would let them in."""
        is_page = not request.url.path.startswith("/api/") and not _is_script(request)
        if is_page and error.status == 401:
            response = RedirectResponse(self._authenticator.login_path(request), 303)
            if self._authenticator.cookie in request.cookies:  # it has ended here: let the browser know
                secure = self._authenticator.settings.secure_cookies
                response.delete_cookie(
                    self._authenticator.cookie, secure=secure, httponly=True, samesite="lax"
                )
            return response
        if is_page and error.code == "second_factor_required":
            way = self._authenticator.second_step_path(request)
            return RedirectResponse(way, 303) if way else error_response(request, error)
        return error_response(request, error)

    async def _admit(self, request: Request) -> None:
        """Let the request in and count it. A refused credential counts for the address it came from."""
        try:
            await self._authenticator.admit(request)
        except Unauthenticated:
            await self._limits.check_stranger(request)
            raise
        access: Access | None = getattr(request.state, "access", None)
        if access is None:
            await self._limits.check_stranger(request)
        else:
            await self._limits.check_access(request, access)


def _is_script(request: Request) -> bool:
    """Scripts of a page would follow a redirect to the log-in page and show it inside the page."""
    return "hx-request" in request.headers or request.headers.get("accept") == "text/event-stream"
