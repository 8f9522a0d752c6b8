"""v2's users, and who follows whom."""

from typing import Any

from flask_restx import Namespace, Resource

from app.auth import current_user
from app.caching import FOLLOW, USER, USERS, cache
from app.models import User
from app.routes.decorators import body, query, returns
from app.routes.v2 import login_required, public
from app.schemas.v2 import NoQueryV2
from app.schemas.v2.pages import PageQueryV2
from app.schemas.v2.users import AccountCreateV2, AccountV2, FollowPageV2, UserV2
from app.services import follows, profiles, users
from app.services.page import Page
from app.services.profiles import Profile

ns = Namespace("v2-users", description="Users (v2)", path="/v2/users")


@ns.route("")
class UserList(Resource):
    @public
    @body(ns, AccountCreateV2())
    @returns(ns, AccountV2(), 201)
    def post(self, data: dict[str, Any]) -> User:
        """Register."""
        return users.register(None, **data)


@ns.route("/<int:id>")
class UserItem(Resource):
    @query(ns, NoQueryV2())
    @cache.cached(timeout=300, tags=(USER.of("id"), FOLLOW.of("id")))
    @returns(ns, UserV2())
    def get(self, id: int, query: dict[str, Any]) -> Profile:
        """Read a user's profile."""
        return profiles.one(id)


@ns.route("/<int:id>/follow")
class Following(Resource):
    @login_required
    @ns.doc(id="follow_user")
    @returns(ns, None, 204)
    def put(self, id: int) -> None:
        """Follow a user: hear of what he publishes."""
        follows.follow(current_user(), id)

    @login_required
    @ns.doc(id="unfollow_user")
    @returns(ns, None, 204)
    def delete(self, id: int) -> None:
        """Follow a user no more."""
        follows.unfollow(current_user(), id)


@ns.route("/<int:id>/followers")
class Followers(Resource):
    @ns.doc(id="list_followers")
    @query(ns, PageQueryV2())
    @cache.cached(timeout=300, tags=(FOLLOW.of("id"), USERS))
    @returns(ns, FollowPageV2)
    def get(self, id: int, query: dict[str, Any]) -> Page:
        """List who follows a user, the latest first."""
        return follows.followers(id, **query)


@ns.route("/<int:id>/following")
class Followed(Resource):
    @ns.doc(id="list_following")
    @query(ns, PageQueryV2())
    @cache.cached(timeout=300, tags=(FOLLOW.of("id"), USERS))
    @returns(ns, FollowPageV2)
    def get(self, id: int, query: dict[str, Any]) -> Page:
        """List whom a user follows, the latest first."""
        return follows.following(id, **query)
