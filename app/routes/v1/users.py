"""v1's users and their login."""

from typing import Any

from flask import current_app
from flask_restx import Namespace, Resource

from app import tokens
from app.auth import current_session_id, current_user
from app.caching import USER, USERS, cache
from app.models import User
from app.routes.conditions import if_match
from app.routes.decorators import body, query, returns
from app.routes.v1 import admin_required, guards, login_required, public
from app.schemas.v1.messages import MessageV1
from app.schemas.v1.users import AccountV1, LoginV1, TokenV1, UserCreateV1, UserQueryV1, UserUpdateV1, UserV1
from app.services import sessions, users
from app.services.page import Page

ns = Namespace("v1-users", description="Users (v1)", path="/v1/users")


@ns.route("")
class UserList(Resource):
    @query(ns, UserQueryV1())
    @cache.cached(timeout=300, tags=USERS)
    @returns(ns, UserV1(many=True))
    def get(self, query: dict[str, Any]) -> Page:
        """List users, oldest first."""
        return users.listed(**query)

    @public
    @body(ns, UserCreateV1())
    @returns(ns, AccountV1(), 201)
    def post(self, data: dict[str, Any]) -> User:
        """Register; only an admin, by his token, gives the role `admin`."""
        wants_more = data.get("role", "user") != "user"
        return users.register(guards.known() if wants_more else None, easy=_easy_passwords(), **data)


@ns.route("/<int:id>")
class UserItem(Resource):
    @cache.cached(timeout=300, tags=USER.of("id"))
    @returns(ns, UserV1())
    def get(self, id: int) -> User:
        """Read what everybody may see of a user."""
        return users.one(id)

    @login_required
    @body(ns, UserUpdateV1())
    @returns(ns, AccountV1())
    def put(self, id: int, data: dict[str, Any]) -> User:
        """Change one's own account; admins change any."""
        check, easy = if_match(UserV1()), _easy_passwords()
        return users.change(current_user(), id, check, session_id=current_session_id(), easy=easy, **data)

    @admin_required
    @returns(ns, MessageV1())
    def delete(self, id: int) -> dict[str, Any]:
        """Delete an account and put its posts into the trash."""
        users.delete(current_user(), id, if_match(UserV1()))
        return {"message": "User deleted"}


@ns.route("/login")
class UserLogin(Resource):
    @public
    @ns.doc(id="login_user")
    @body(ns, LoginV1())
    @returns(ns, TokenV1())
    def post(self, data: dict[str, Any]) -> dict[str, Any]:
        """Log in."""
        session = sessions.login(**data, lifetime=current_app.config["ACCESS_TOKEN_LIFETIMES"]["v1"])
        return {"token": tokens.mint(session.user_id, session.id, "v1", session.expires_at)}


@ns.route("/logout")
class UserLogout(Resource):
    @login_required
    @ns.doc(id="logout_user")
    @returns(ns, MessageV1())
    def post(self) -> dict[str, Any]:
        """Log out: the token is refused from now on."""
        sessions.revoke(current_session_id())
        return {"message": "Logged out"}


def _easy_passwords() -> bool:
    """v1 takes the tutorials' passwords, but not in production."""
    return bool(current_app.config["APP_ENV"] != "production")
