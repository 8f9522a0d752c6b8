"""The guards: `@login_required`, `@admin_required`, `@public`; each version makes its own.

A write asks the database who its actor is, since policies judge the present. A read asks `Principals`, which remember.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import current_app, g, request

from app import tokens
from app.auth.limits import READS, limited
from app.auth.principal import PRINCIPALS, Principal, Principals
from app.errors import Forbidden, Unauthorized
from app.models import User
from app.services import sessions

View = Callable[..., Any]


def current_user() -> User:
    """The verified actor of this request, read from the database; only behind a guard.

    :raises Unauthorized: the session has ended since the guard let him in.
    """
    if "user" not in g:
        assume(current_user_id(), current_session_id())
    user: User = g.user
    return user


def current_user_id() -> int:
    """The actor's id, without asking the database; only behind a guard."""
    principal: Principal = g.principal
    return principal.user_id


def current_session_id() -> str:
    """The session that this request's token belongs to; only behind a guard."""
    principal: Principal = g.principal
    return principal.session_id


def assume(user_id: int, session_id: str) -> None:
    """Be this user from now on, as the database knows him now; a private answer is computed where there is no token.

    :raises Unauthorized: the session has ended.
    """
    g.user = sessions.actor(user_id, session_id)
    g.principal = Principal(user_id, session_id, g.user.is_admin)


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
        guarded = _guarded(view, "login", self.authenticate)
        guarded.audiences = self._audiences  # type: ignore[attr-defined]  # the cache's front asks no guard
        return guarded

    def admin_required(self, view: View) -> View:
        """Let in admins: 401 without a valid token, 403 for others."""

        def check() -> None:
            if not self.authenticate().is_admin:
                raise Forbidden("Admin access required")

        return _guarded(view, "admin", check)

    def public(self, view: View) -> View:
        """Let in anybody: says that nobody forgot the guard. A token is not looked at."""
        return _guarded(view, "public", lambda: None)

    def authenticate(self) -> Principal:
        """Find out whose token it is; he is `current_user()` from then on.

        :raises Unauthorized: `missing_token`, `invalid_token`, `expired_token` or `revoked_token`.
        """
        text = self._token()
        if request.method in READS:
            principals: Principals = current_app.extensions[PRINCIPALS]
            g.principal = principals.of(text, self._audiences)
        else:
            token = tokens.read(text, self._audiences)
            assume(token.user_id, token.session_id)
        principal: Principal = g.principal
        return principal

    def known(self) -> User | None:
        """Who shows a token, behind `@public`; None where nobody does.

        :raises Unauthorized: a token is shown, and it is no good.
        """
        if not request.headers.get("Authorization"):
            return None
        self.authenticate()
        return current_user()

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
