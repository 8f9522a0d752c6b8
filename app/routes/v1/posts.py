"""v1's posts."""

from typing import Any

from flask_restx import Namespace, Resource

from app.auth import current_user
from app.caching import POST, POSTS, cache
from app.models import Post
from app.routes.conditions import idempotent, if_match
from app.routes.decorators import body, query, returns
from app.routes.v1 import admin_required, login_required
from app.schemas.v1.messages import CountedMessageV1, MessageV1
from app.schemas.v1.posts import PostCreateV1, PostQueryV1, PostUpdateV1, PostV1
from app.services import posts
from app.services.page import Page

ns = Namespace("v1-posts", description="Posts (v1)", path="/v1/posts")


@ns.route("")
class PostList(Resource):
    @query(ns, PostQueryV1())
    @cache.cached(timeout=300, tags=POSTS)
    @returns(ns, PostV1(many=True))
    def get(self, query: dict[str, Any]) -> Page:
        """List published posts, newest first."""
        return posts.published(**query)

    @login_required
    @idempotent
    @body(ns, PostCreateV1())
    @returns(ns, PostV1(), 201)
    def post(self, data: dict[str, Any]) -> Post:
        """Write a post; it is published at once."""
        return posts.create(current_user(), **data)


@ns.route("/<int:id>")
class PostItem(Resource):
    @cache.cached(timeout=300, tags=POST.of("id"))
    @returns(ns, PostV1())
    def get(self, id: int) -> Post:
        """Read a post."""
        return posts.one(id)

    @login_required
    @body(ns, PostUpdateV1())
    @returns(ns, PostV1())
    def put(self, id: int, data: dict[str, Any]) -> Post:
        """Change a post of one's own; admins change any."""
        return posts.change(current_user(), id, if_match(PostV1()), **data)

    @login_required
    @returns(ns, MessageV1())
    def delete(self, id: int) -> dict[str, Any]:
        """Put a post of one's own into the trash; admins any."""
        posts.delete(current_user(), id, if_match(PostV1()))
        return {"message": "Post deleted"}


@ns.route("/all")
class AllPosts(Resource):
    @admin_required
    @ns.doc(id="delete_all_posts")
    @returns(ns, CountedMessageV1())
    def delete(self) -> dict[str, Any]:
        """Put every post into the trash."""
        return {"message": "All posts deleted", "count": posts.delete_all(current_user())}
