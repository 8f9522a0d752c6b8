"""What can go wrong, each with its HTTP status and code. `routes/problems.py` writes the answers; nobody else does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of the input. `field` is a dotted path (`info.birth`)."""

    field: str
    code: str
    message: str


class Problem(Exception):
    """An answer other than success.

    :ivar status: the HTTP status.
    :ivar code: for programs; never changes once published.
    :ivar message: for people.
    :ivar errors: what is wrong with the input, field by field.
    :ivar headers: more headers of the answer.
    """

    status = 500
    code = "internal_error"
    message = "Something went wrong on our side"

    def __init__(
        self, message: str | None = None, *, code: str | None = None, errors: tuple[FieldError, ...] = ()
    ) -> None:
        self.message = message or self.message
        self.code = code or self.code
        self.errors = errors
        self.headers: dict[str, str] = {}
        super().__init__(self.message)


class Malformed(Problem):
    """The request cannot be read: no JSON, no UTF-8, nested too deep."""

    status, code, message = 400, "malformed", "Request must be JSON"


class Unauthorized(Problem):
    """RFC 6750: who is asking is not known. `error` is what WWW-Authenticate says."""

    status, code, message = 401, "missing_token", "Missing token"

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        challenge = 'Bearer realm="broadsheet"'
        if self.code != "missing_token":
            challenge += f', error="invalid_token", error_description="{self.message}"'
        self.headers["WWW-Authenticate"] = challenge


class Forbidden(Problem):
    """Who is asking is known and may not."""

    status, code, message = 403, "forbidden", "You may not do this"


class NotFound(Problem):
    """It is not there, or the caller may not know of it."""

    status, code, message = 404, "not_found", "Not found"


class Conflict(Problem):
    """It does not fit the present state. `constraint`: the database's name for what was broken, if it was that."""

    status, code, message = 409, "conflict", "This conflicts with what is stored"

    def __init__(self, message: str | None = None, *, code: str | None = None, constraint: str = "") -> None:
        super().__init__(message, code=code)
        self.constraint = constraint


class Taken(Conflict):
    """A name that must be unique is in use."""

    code = "taken"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.errors = (FieldError(field, "taken", message),)


class PreconditionFailed(Problem):
    """RFC 9110 §13.1.1: the thing has moved on since the caller read it."""

    status, code, message = (412, "precondition_failed", "It has changed since you read it")


class TooLarge(Problem):
    """The body is over the limit."""

    status, code, message = 413, "too_large", "The body is too large"


class UnsupportedMediaType(Problem):
    """The body is not JSON by its own word."""

    status, code, message = 415, "unsupported_media_type", "Request must be JSON"


class Invalid(Problem):
    """The input was read and is wrong: `errors` says where."""

    status, code, message = 422, "invalid", "Some fields are wrong"


class TooManyRequests(Problem):
    """A limit is reached."""

    status, code, message = 429, "too_many_requests", "Too many requests"


class Unavailable(Problem):
    """The database is away or busy. Nothing was written."""

    status, code, message = 503, "unavailable", "Not available just now, try again"

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.headers["Retry-After"] = "1"


class TryAgain(Unavailable):
    """Two writers met (deadlock, serialisation failure, a row gone meanwhile): the whole handler may run once more."""

    code = "try_again"
