"""v2's administration of the cache."""

from typing import Any

from flask_restx import Namespace, Resource

from app.caching import cache, inspection
from app.routes.decorators import body, query, returns
from app.routes.v2 import admin_required
from app.schemas.v2 import NoQueryV2
from app.schemas.v2.cache import CacheV2, EffectsV2, PurgedV2, PurgeV2, WriteQueryV2

ns = Namespace("v2-cache", description="Administration of the cache (v2)", path="/v2/admin/cache")


@ns.route("")
class State(Resource):
    @admin_required
    @ns.doc(id="get_cache")
    @query(ns, NoQueryV2())
    @returns(ns, CacheV2())
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """Read how the cache is doing: mode, lease, what is kept near and far, hits by route."""
        return inspection.overview(cache)


@ns.route("/effects")
class Effects(Resource):
    @admin_required
    @ns.doc(id="get_cache_effects")
    @query(ns, WriteQueryV2())
    @returns(ns, EffectsV2())
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """Read what a write would make stale, without doing it."""
        columns = tuple(column for column in query["columns"].split(",") if column)
        return inspection.effects(query["table"], query["event"], columns, query["id"])


@ns.route("/purge")
class Purge(Resource):
    @admin_required
    @ns.doc(id="purge_cache")
    @body(ns, PurgeV2())
    @returns(ns, PurgedV2())
    def post(self, data: dict[str, Any]) -> dict[str, Any]:
        """Make stale what depends on these tags, on every host."""
        return inspection.purge(tuple(data["tags"]))


@ns.route("/renew")
class Renew(Resource):
    @admin_required
    @ns.doc(id="renew_cache")
    @returns(ns, PurgedV2())
    def post(self) -> dict[str, Any]:
        """Make everything stale, on every host."""
        return inspection.renew()
