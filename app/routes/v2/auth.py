"""v2's login, refresh and logout."""

from datetime import timedelta
from typing import Any

from flask import current_app
from flask_restx import Namespace, Resource

from app import tokens
from app.auth import current_session_id, current_user
from app.models import Session
from app.models.base import now
from app.routes.decorators import body, returns
from app.routes.v2 import login_required, public
from app.schemas.v2.auth import LoginV2, PasswordChangeV2, RefreshV2, TokensV2
from app.services import sessions, users

ns = Namespace("v2-auth", description="Login (v2)", path="/v2/auth")


@ns.route("/login")
class Login(Resource):
    @public
    @ns.doc(id="login")
    @body(ns, LoginV2())
    @returns(ns, TokensV2())
    def post(self, data: dict[str, Any]) -> dict[str, Any]:
        """Log in by name or mail address."""
        return _tokens(sessions.login(**data, lifetime=_longest(), by_mail=True))


@ns.route("/refresh")
class Refresh(Resource):
    @public
    @ns.doc(id="refresh")
    @body(ns, RefreshV2())
    @returns(ns, TokensV2())
    def post(self, data: dict[str, Any]) -> dict[str, Any]:
        """Trade a refresh token for new tokens; it is good once, and used twice it ends the session."""
        token = tokens.read_refresh(data["refresh_token"])
        return _tokens(sessions.rotate(token.user_id, token.session_id, token.rotation))


@ns.route("/logout")
class Logout(Resource):
    @login_required
    @ns.doc(id="logout")
    @returns(ns, None, 204)
    def post(self) -> None:
        """Log out: both tokens are refused from now on."""
        sessions.revoke(current_session_id())


@ns.route("/password")
class Password(Resource):
    @login_required
    @ns.doc(id="change_password")
    @body(ns, PasswordChangeV2())
    @returns(ns, TokensV2())
    def post(self, data: dict[str, Any]) -> dict[str, Any]:
        """Change one's password: every session ends, and a new one begins."""
        actor = current_user()
        users.change(actor, actor.id, lambda user: None, session_id=None, **data)
        return _tokens(sessions.begin(actor.id, _longest()))


def _longest() -> timedelta:
    return timedelta(days=current_app.config["SESSION_DAYS"])


def _tokens(session: Session) -> dict[str, Any]:
    """No token outlives its session."""
    config, present = current_app.config, now()
    expires_at = min(present + config["ACCESS_TOKEN_LIFETIMES"]["v2"], session.expires_at)
    refresh_expires_at = min(present + timedelta(days=config["REFRESH_TOKEN_DAYS"]), session.expires_at)
    return {
        "access_token": tokens.mint(session.user_id, session.id, "v2", expires_at),
        "token_type": "Bearer",
        "expires_in": int((expires_at - present).total_seconds()),
        "refresh_token": tokens.mint_refresh(session.user_id, session.id, session.rotation, refresh_expires_at),
        "refresh_expires_in": int((refresh_expires_at - present).total_seconds()),
    }
