"""Signatures of the Chats API, in both directions."""

import hashlib
import hmac
import time
from email.utils import parsedate_to_datetime

from starlette.requests import Request

from gptagent.sandbox.wire import Refused, answer

VALID_SECONDS = 15 * 60


def content_md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def signature(secret: str, method: str, headers: tuple[str, str, str], path: str) -> str:
    """Sign a request: `headers` are Content-MD5, Content-Type and Date; the path is without its query."""
    said = "\n".join((method.upper(), *headers, path))
    return hmac.new(secret.encode(), said.encode(), hashlib.sha1).hexdigest()


def body_signature(secret: str, body: bytes) -> str:
    """Sign what the channel is told: the raw body alone."""
    return hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


def check(request: Request, body: bytes, secret: str) -> None:
    """Raise Refused as the vendor does for a request that is not signed, or not now."""
    headers = request.headers
    given = (headers.get("content-md5", ""), headers.get("content-type", ""), headers.get("date", ""))
    expected = signature(secret, request.method, given, request.url.path)
    is_signed = hmac.compare_digest(expected.encode(), headers.get("x-signature", "").encode())
    if not is_signed or given[0] != content_md5(body) or not _is_now(given[2]):
        raise refusal(403, "ORIGIN_INVALID_SIGNATURE", "invalid signature")


def refusal(status: int, kind: str, description: str) -> Refused:
    body = {"status": 0, "error_code": status, "error_type": kind, "error_description": description}
    return Refused(answer(body, status))


def _is_now(date: str) -> bool:
    try:
        moment = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return False
    return abs(time.time() - moment) <= VALID_SECONDS
