"""v2's posts."""

from typing import Any

from flask_restx import Namespace, Resource

from app.auth import current_user
from app.caching import POST, POSTS, USERS, cache
from app.models import Post
from app.routes.conditions import idempotent, if_match
from app.routes.decorators import body, query, returns
from app.routes.v2 import login_required
from app.schemas.v2.pages import PageQueryV2
from app.schemas.v2.posts import (
    PostCreateV2,
    PostItemQueryV2,
    PostPageV2,
    PostQueryV2,
    PostUpdateV2,
    PostV2,
    TrashPageV2,
)
from app.services import posts
from app.services.page import Page

ns = Namespace("v2-posts", description="Posts (v2)", path="/v2/posts")
AUTHORS = USERS.when("include", "author")


@ns.route("")
class PostList(Resource):
    @query(ns, PostQueryV2())
    @cache.cached(timeout=300, tags=(POSTS, AUTHORS))
    @returns(ns, PostPageV2)
    def get(self, query: dict[str, Any]) -> Page:
        """List published posts: by category, tag, author or time, in any order."""
        return posts.searched(**query)

    @login_required
    @idempotent
    @body(ns, PostCreateV2())
    @returns(ns, PostV2(), 201)
    def post(self, data: dict[str, Any]) -> Post:
        """Write a post; it is published at once, unless it is a draft."""
        return posts.create(current_user(), **data)


@ns.route("/<int:id>")
class PostItem(Resource):
    @query(ns, PostItemQueryV2())
    @cache.cached(timeout=300, tags=(POST.of("id"), AUTHORS))
    @returns(ns, PostV2())
    def get(self, id: int, query: dict[str, Any]) -> Post:
        """Read a post."""
        return posts.one(id, ("tags", *query["include"]))

    @login_required
    @body(ns, PostUpdateV2())
    @returns(ns, PostV2())
    def patch(self, id: int, data: dict[str, Any]) -> Post:
        """Change or publish a post of one's own; admins any."""
        return posts.change(current_user(), id, if_match(PostV2()), **data)

    @login_required
    @returns(ns, None, 204)
    def delete(self, id: int) -> None:
        """Put a post of one's own into the trash; admins any."""
        posts.delete(current_user(), id, if_match(PostV2()))


@ns.route("/drafts")
class Drafts(Resource):
    @login_required
    @ns.doc(id="list_drafts")
    @query(ns, PageQueryV2(exclude=("total",)))
    @returns(ns, PostPageV2)
    def get(self, query: dict[str, Any]) -> Page:
        """List one's own drafts, latest first."""
        return posts.drafts(current_user(), **query)


@ns.route("/trash")
class Trash(Resource):
    @login_required
    @ns.doc(id="list_trash")
    @query(ns, PageQueryV2(exclude=("total",)))
    @returns(ns, TrashPageV2)
    def get(self, query: dict[str, Any]) -> Page:
        """List one's own posts in the trash, latest first; admins see all."""
        return posts.trash(current_user(), **query)


@ns.route("/<int:id>/restore")
class Restored(Resource):
    @login_required
    @ns.doc(id="restore_post")
    @returns(ns, PostV2())
    def post(self, id: int) -> Post:
        """Bring a post back from the trash; what an admin has put there, only admins."""
        return posts.restore(current_user(), id)
