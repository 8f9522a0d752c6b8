"""v2's administration of the outbox."""

from typing import Any

from flask_restx import Namespace, Resource

from app.routes.decorators import query, returns
from app.routes.v2 import admin_required
from app.schemas.v2 import NoQueryV2
from app.schemas.v2.outbox import MessagePageV2, MessageQueryV2, MessagesV2, OutboxV2
from app.services import outbox
from app.services.page import Page

ns = Namespace("v2-outbox", description="Administration of the outbox (v2)", path="/v2/admin/outbox")


@ns.route("")
class State(Resource):
    @admin_required
    @ns.doc(id="get_outbox")
    @query(ns, NoQueryV2())
    @returns(ns, OutboxV2())
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """Read how much waits, is done, is given up, and for how long the oldest waits."""
        return outbox.counts() | {"oldest_seconds": outbox.oldest_seconds()}


@ns.route("/messages")
class MessageList(Resource):
    @admin_required
    @ns.doc(id="list_messages")
    @query(ns, MessageQueryV2())
    @returns(ns, MessagePageV2)
    def get(self, query: dict[str, Any]) -> Page:
        """List messages in one state, the oldest first; by default what was given up."""
        return outbox.listed(**query)


@ns.route("/messages/<int:id>/replay")
class Replay(Resource):
    @admin_required
    @ns.doc(id="replay_message")
    @returns(ns, None, 204)
    def post(self, id: int) -> None:
        """Let one that was given up begin anew."""
        outbox.replay(id)


@ns.route("/messages/<int:id>/discard")
class Discard(Resource):
    @admin_required
    @ns.doc(id="discard_message")
    @returns(ns, None, 204)
    def post(self, id: int) -> None:
        """Delete one that was given up."""
        outbox.discard(id)


@ns.route("/replay")
class ReplayAll(Resource):
    @admin_required
    @ns.doc(id="replay_messages")
    @returns(ns, MessagesV2())
    def post(self) -> dict[str, Any]:
        """Let all that was given up begin anew."""
        return {"messages": outbox.replay()}


@ns.route("/discard")
class DiscardAll(Resource):
    @admin_required
    @ns.doc(id="discard_messages")
    @returns(ns, MessagesV2())
    def post(self) -> dict[str, Any]:
        """Delete all that was given up."""
        return {"messages": outbox.discard()}
