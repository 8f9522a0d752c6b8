"""v2's statistics."""

from typing import Any

from flask_restx import Namespace, Resource

from app.auth import current_user
from app.caching import POSTS, STATISTICS, USERS, cache
from app.caching.fragments import statistics_of
from app.models import StatisticsRefresh
from app.routes.decorators import query, returns
from app.routes.v2 import admin_required
from app.schemas.v2 import NoQueryV2
from app.schemas.v2.stats import (
    CategoriesV2,
    PostsPerDayV2,
    StatisticsRefreshV2,
    StatisticsV2,
    TopAuthorsV2,
    WordsV2,
)
from app.services import statistics
from app.services.computed import Computed

ns = Namespace("v2-stats", description="Statistics of what is published (v2)", path="/v2/stats")
REFRESHES = "/api/v2/stats/refreshes"
AS_OF = (
    "Computed now and then, not at each write: the numbers are as of `computed_at`, and `Age` says how old they are. "
    "After `expires_at` they are computed anew by a task, and answered as they are until that is done. "
    "Names and titles are always the present ones."
)


@ns.route("")
class Statistics(Resource):
    @ns.doc(id="get_statistics", description=AS_OF)
    @query(ns, NoQueryV2())
    @cache.cached(tags=(STATISTICS, POSTS, USERS))
    @returns(ns, StatisticsV2())
    def get(self, query: dict[str, Any]) -> Computed:
        """Read all statistics."""
        return statistics.together(statistics_of(*statistics.PARTS))


@ns.route("/posts-per-day")
class PostsPerDay(Resource):
    @ns.doc(id="get_posts_per_day", description=AS_OF)
    @query(ns, NoQueryV2())
    @cache.cached(tags=STATISTICS)
    @returns(ns, PostsPerDayV2())
    def get(self, query: dict[str, Any]) -> Computed:
        """Read how many posts each day has."""
        return statistics_of("posts_per_day")["posts_per_day"]


@ns.route("/categories")
class Categories(Resource):
    @ns.doc(id="get_category_statistics", description=AS_OF)
    @query(ns, NoQueryV2())
    @cache.cached(tags=STATISTICS)
    @returns(ns, CategoriesV2())
    def get(self, query: dict[str, Any]) -> Computed:
        """Read which categories have most posts."""
        return statistics_of("categories")["categories"]


@ns.route("/authors")
class TopAuthors(Resource):
    @ns.doc(id="get_top_authors", description=AS_OF)
    @query(ns, NoQueryV2())
    @cache.cached(tags=(STATISTICS, USERS))
    @returns(ns, TopAuthorsV2())
    def get(self, query: dict[str, Any]) -> Computed:
        """Read who has written most posts."""
        return statistics_of("authors")["authors"]


@ns.route("/words")
class Words(Resource):
    @ns.doc(id="get_word_counts", description=AS_OF)
    @query(ns, NoQueryV2())
    @cache.cached(tags=(STATISTICS, POSTS))
    @returns(ns, WordsV2())
    def get(self, query: dict[str, Any]) -> Computed:
        """Read how many words were written, and the longest posts."""
        return statistics_of("words")["words"]


@ns.route("/refresh")
class StatisticsRefreshes(Resource):
    @admin_required
    @ns.doc(id="refresh_statistics")
    @returns(ns, StatisticsRefreshV2(), 202, under=REFRESHES)
    def post(self) -> StatisticsRefresh:
        """Let all statistics be computed anew; `Location` says where to follow that. One at a time."""
        return statistics.ask(current_user())


@ns.route("/refreshes/<int:id>")
class Refresh(Resource):
    @admin_required
    @ns.doc(id="get_statistics_refresh")
    @query(ns, NoQueryV2())
    @returns(ns, StatisticsRefreshV2())
    def get(self, id: int, query: dict[str, Any]) -> StatisticsRefresh:
        """Read how far a refresh is."""
        return statistics.refresh(current_user(), id)
