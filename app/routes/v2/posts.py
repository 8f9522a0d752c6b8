"""v2's posts."""

from typing import Any

from flask_restx import Namespace, Resource

from app.caching import POST, POSTS, cache
from app.models import Post
from app.routes.decorators import query, returns
from app.schemas.v2 import NoQueryV2
from app.schemas.v2.posts import PostPageV2, PostQueryV2, PostV2
from app.services import posts
from app.services.page import Page

ns = Namespace("v2-posts", description="Posts (v2)", path="/v2/posts")


@ns.route("")
class PostList(Resource):
    @ns.doc(id="list_posts_v2")
    @query(ns, PostQueryV2())
    @cache.cached(timeout=300, tags=POSTS)
    @returns(ns, PostPageV2())
    def get(self, query: dict[str, Any]) -> Page:
        """List published posts, newest first, by category."""
        return posts.after(**query)


@ns.route("/<int:id>")
class PostItem(Resource):
    @ns.doc(id="get_post_v2")
    @query(ns, NoQueryV2())
    @cache.cached(timeout=300, tags=POST.of("id"))
    @returns(ns, PostV2())
    def get(self, id: int, query: dict[str, Any]) -> Post:
        """Read a post."""
        return posts.one(id)
