"""v2's notification preferences, mutes, and the page behind each mail's link to unsubscribe."""

from typing import Any

from flask import Response, render_template
from flask_restx import Namespace, Resource

from app.auth import current_user
from app.caching import MINE, cache
from app.routes.decorators import body, query, returns
from app.routes.v2 import login_required, public
from app.schemas.v2 import NoQueryV2
from app.schemas.v2.pages import PageQueryV2
from app.schemas.v2.preferences import MutePageV2, PreferencesV2
from app.services import preferences
from app.services.page import Page

ns = Namespace("v2-preferences", description="What one is told, where and when (v2)", path="/v2/notifications")


@ns.route("/preferences")
class Preferences(Resource):
    @login_required
    @query(ns, NoQueryV2())
    @cache.cached(timeout=300, tags=MINE, private=True)
    @returns(ns, PreferencesV2())
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """Read what one wants to be told, where and when."""
        return preferences.read(current_user())

    @login_required
    @body(ns, PreferencesV2())
    @returns(ns, PreferencesV2())
    def patch(self, data: dict[str, Any]) -> dict[str, Any]:
        """Change what one wants to be told, where and when."""
        return preferences.change(current_user(), **data)


@ns.route("/mutes")
class MuteList(Resource):
    @login_required
    @query(ns, PageQueryV2())
    @cache.cached(timeout=300, tags=MINE, private=True)
    @returns(ns, MutePageV2)
    def get(self, query: dict[str, Any]) -> Page:
        """List whom and what one has muted, the latest first."""
        return preferences.muted(current_user(), **query)


@ns.route("/mutes/authors/<int:id>")
class AuthorMute(Resource):
    @login_required
    @ns.doc(id="mute_author")
    @returns(ns, None, 204)
    def put(self, id: int) -> None:
        """Be told of none of this user's posts."""
        preferences.mute_author(current_user(), id)

    @login_required
    @ns.doc(id="unmute_author")
    @returns(ns, None, 204)
    def delete(self, id: int) -> None:
        """Hear of this user's posts again."""
        preferences.unmute(current_user(), author_id=id)


@ns.route("/mutes/posts/<int:id>")
class PostMute(Resource):
    @login_required
    @ns.doc(id="mute_post")
    @returns(ns, None, 204)
    def put(self, id: int) -> None:
        """Be told nothing of this post."""
        preferences.mute_post(current_user(), id)

    @login_required
    @ns.doc(id="unmute_post")
    @returns(ns, None, 204)
    def delete(self, id: int) -> None:
        """Hear of this post again."""
        preferences.unmute(current_user(), post_id=id)


@ns.route("/unsubscribe/<token>", endpoint="unsubscribe", doc=False)
class Unsubscribe(Resource):
    """For mail programs and their users (RFC 8058): HTML, and whatever body they send. A GET changes nothing: whoever
    looks through mail for viruses follows links.
    """

    @ns.doc(id="ask_unsubscribe")
    def get(self, token: str) -> Response:
        """Ask whether such mails are to end."""
        return _page(kind=preferences.unsubscribing(token), done=False)

    @public
    @ns.doc(id="unsubscribe")
    def post(self, token: str) -> Response:
        """End such mails."""
        return _page(kind=preferences.unsubscribe(token), done=True)


def _page(**words: Any) -> Response:
    page = render_template("unsubscribe.html", **words)
    return Response(page, mimetype="text/html", headers={"Cache-Control": "no-store"})
