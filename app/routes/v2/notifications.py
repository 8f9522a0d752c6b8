"""v2's inbox."""

from typing import Any

from flask_restx import Namespace, Resource

from app.auth import current_user
from app.caching import MINE, POSTS, cache
from app.routes.decorators import body, query, returns
from app.routes.v2 import login_required
from app.schemas.v2 import NoQueryV2
from app.schemas.v2.notifications import MarkedV2, MarkReadV2, NotificationPageV2, NotificationQueryV2, UnreadV2
from app.services import notifications
from app.services.page import Page

LIVE = "`GET /api/v2/notifications/stream` tells it live, as server-sent events, from a process and port of its own"
ns = Namespace("v2-notifications", description=f"One's own inbox (v2). {LIVE}", path="/v2/notifications")


@ns.route("")
class NotificationList(Resource):
    @login_required
    @query(ns, NotificationQueryV2())
    @cache.cached(timeout=300, tags=(MINE, POSTS), private=True)
    @returns(ns, NotificationPageV2)
    def get(self, query: dict[str, Any]) -> Page:
        """List one's own inbox, the latest first."""
        return notifications.inbox(current_user(), **query)


@ns.route("/unread")
class Unread(Resource):
    @login_required
    @ns.doc(id="count_unread")
    @query(ns, NoQueryV2())
    @cache.cached(timeout=300, tags=MINE, private=True)
    @returns(ns, UnreadV2())
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """Count what is unread."""
        return {"unread": notifications.unread(current_user())}


@ns.route("/read")
class AllRead(Resource):
    @login_required
    @ns.doc(id="mark_all_read")
    @body(ns, MarkReadV2())
    @returns(ns, MarkedV2())
    def post(self, data: dict[str, Any]) -> dict[str, Any]:
        """Mark all as read, or all up to an id."""
        return {"marked": notifications.mark_all_read(current_user(), **data)}


@ns.route("/<int:id>/read")
class Read(Resource):
    @login_required
    @ns.doc(id="mark_read")
    @returns(ns, None, 204)
    def post(self, id: int) -> None:
        """Mark one as read."""
        notifications.mark_read(current_user(), id)
