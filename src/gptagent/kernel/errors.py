"""Errors that carry their meaning once.

Entry points translate them in one small table each: problem+json, page, retry policy, exit code.
`code` is stable and documented in docs/reference/errors.md; `message` is an English template that the
entry point translates into the reader's language and fills with `params`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field of a command: `pointer` is its name or JSON pointer, `message` an English template."""

    pointer: str
    message: str
    params: Mapping[str, object] | None = None


class AppError(Exception):
    """Base of the errors a caller can understand."""

    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        code: str,
        message: str,
        *,
        params: Mapping[str, object] | None = None,
        fields: tuple[FieldError, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.params = dict(params or {})
        self.fields = fields
        self.retry_after = retry_after


class Unauthenticated(AppError):
    status = 401

    def __init__(self, code: str = "unauthenticated", message: str = "Log in to continue.") -> None:
        super().__init__(code, message)


class Forbidden(AppError):
    status = 403

    def __init__(
        self, code: str = "forbidden", message: str = "You do not have the right to do this."
    ) -> None:
        super().__init__(code, message)


class NotFound(AppError):
    """Missing and somebody else's are the same answer."""

    status = 404

    def __init__(self, code: str = "not_found", message: str = "There is nothing here.") -> None:
        super().__init__(code, message)


class Conflict(AppError):
    status = 409


class Invalid(AppError):
    """The command is understood but its values are not acceptable."""

    status = 422

    @classmethod
    def field(cls, pointer: str, message: str, **params: object) -> "Invalid":
        return cls(
            "invalid", "Please correct the marked fields.", fields=(FieldError(pointer, message, params),)
        )


class PreconditionFailed(AppError):
    """The object is no longer the one the change was meant for."""

    status = 412


class TooLarge(AppError):
    status = 413


class UnsupportedType(AppError):
    status = 415


class RateLimited(AppError):
    """`retry_after` is in seconds."""

    status = 429
    retryable = True


class UpstreamUnavailable(AppError):
    """A CRM, model or other service did not answer usefully; nothing is known to have happened there."""

    status = 503
    retryable = True


class OutcomeUnknown(AppError):
    """The request left, its answer did not come: it may or may not have been carried out."""

    status = 503


class Misconfigured(AppError):
    """A setting is missing or unsafe; the message says which one and what to set."""

    status = 500
