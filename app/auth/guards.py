"""The guards of the writes: `@login_required`, `@admin_required`, `@public`; each version makes its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import g, request

from app import tokens
from app.auth.limits import limited
from app.errors import Forbidden, Unauthorized
from app.models import User
from app.services import sessions

View = Callable[..., Any]


def current_user() -> User:
    """The verified actor of this request; only behind a guard."""
    user: User = g.user
    return user


def current_session_id() -> str:
    """The session that this request's token belongs to; only behind a guard."""
    session_id: str = g.session_id
    return session_id


def assume(user_id: int, session_id: str) -> None:
    """Be this principal in a request that has no token: a private answer is computed in one.

    :raises Unauthorized: the session has ended since the guard let him in.
    """
    g.user, g.session_id = sessions.actor(user_id, session_id), session_id


class Guards:
    """The guards of one version.

    :param audiences: the `aud` claims that it takes.
    :param bare: whether a token without the word `Bearer` is taken too.
    """

    def __init__(self, *audiences: str, bare: bool = False) -> None:
        self._audiences = audiences
        self._bare = bare

    def login_required(self, view: View) -> View:
        """Let in who shows a valid access token of a living session: 401 else (RFC 6750)."""
        return _guarded(view, "login", self.authenticate)

    def admin_required(self, view: View) -> View:
        """Let in admins: 401 without a valid token, 403 for others."""

        def check() -> None:
            self.authenticate()
            if not current_user().is_admin:
                raise Forbidden("Admin access required")

        return _guarded(view, "admin", check)

    def public(self, view: View) -> View:
        """Let in anybody: says that nobody forgot the guard. A token is not looked at."""
        return _guarded(view, "public", lambda: None)

    def authenticate(self) -> User:
        """Read the token and load its user, who is `current_user()` from then on.

        :raises Unauthorized: `missing_token`, `invalid_token`, `expired_token` or `revoked_token`.
        """
        token = tokens.read(self._token(), self._audiences)
        g.user = sessions.actor(token.user_id, token.session_id)
        g.session_id = token.session_id
        return current_user()

    def known(self) -> User | None:
        """Who shows a token, behind `@public`; None where nobody does.

        :raises Unauthorized: a token is shown, and it is no good.
        """
        return self.authenticate() if request.headers.get("Authorization") else None

    def _token(self) -> str:
        header = request.headers.get("Authorization", "").strip()
        scheme, _, credentials = header.partition(" ")
        if scheme.lower() == "bearer":
            header = credentials.strip()
        elif header and not (self._bare and " " not in header):
            raise Unauthorized("Invalid token", code="invalid_token")
        if not header:
            raise Unauthorized
        return header


def _guarded(view: View, guard: str, check: Callable[[], object]) -> View:
    within_limits = limited(view)

    @functools.wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        check()
        return within_limits(*args, **kwargs)

    guarded.guard = guard  # type: ignore[attr-defined]  # the laws' tests and Swagger read it
    return guarded
