"""v2's tags and categories."""

from typing import Any

from flask_restx import Namespace, Resource

from app.caching import POSTS, cache
from app.routes.decorators import query, returns
from app.schemas.v2.pages import PageQueryV2
from app.schemas.v2.posts import WordPageV2
from app.services import tags
from app.services.page import Page

ns = Namespace("v2-tags", description="Tags and categories (v2)", path="/v2")


@ns.route("/tags")
class TagList(Resource):
    @query(ns, PageQueryV2())
    @cache.cached(timeout=300, tags=POSTS)
    @returns(ns, WordPageV2)
    def get(self, query: dict[str, Any]) -> Page:
        """List the tags of published posts, the most used first."""
        return tags.tags(**query)


@ns.route("/categories")
class Categories(Resource):
    @ns.doc(id="list_categories")
    @query(ns, PageQueryV2())
    @cache.cached(timeout=300, tags=POSTS)
    @returns(ns, WordPageV2)
    def get(self, query: dict[str, Any]) -> Page:
        """List the categories of published posts, the most used first."""
        return tags.categories(**query)
