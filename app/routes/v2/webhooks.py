"""v2's webhooks."""

from typing import Any

from flask_restx import Namespace, Resource

from app.auth import current_user
from app.models import Webhook
from app.routes.conditions import if_match
from app.routes.decorators import body, query, returns
from app.routes.v2 import login_required
from app.schemas.v2 import NoQueryV2
from app.schemas.v2.pages import PageQueryV2
from app.schemas.v2.webhooks import (
    DeliveryPageV2,
    DeliveryQueryV2,
    WebhookCreatedV2,
    WebhookCreateV2,
    WebhookPageV2,
    WebhookSecretV2,
    WebhookUpdateV2,
    WebhookV2,
)
from app.services import webhooks
from app.services.page import Page

ns = Namespace("v2-webhooks", description="Programs that are told what happens (v2)", path="/v2/webhooks")


@ns.route("")
class WebhookList(Resource):
    @login_required
    @query(ns, PageQueryV2())
    @returns(ns, WebhookPageV2)
    def get(self, query: dict[str, Any]) -> Page:
        """List one's own webhooks, oldest first."""
        return webhooks.listed(current_user(), **query)

    @login_required
    @body(ns, WebhookCreateV2())
    @returns(ns, WebhookCreatedV2(), 201)
    def post(self, data: dict[str, Any]) -> Webhook:
        """Make a webhook; the answer alone has its secret."""
        return webhooks.create(current_user(), **data)


@ns.route("/<int:id>")
class WebhookItem(Resource):
    @login_required
    @query(ns, NoQueryV2())
    @returns(ns, WebhookV2())
    def get(self, id: int, query: dict[str, Any]) -> Webhook:
        """Read a webhook of one's own; admins read any."""
        return webhooks.one(current_user(), id)

    @login_required
    @body(ns, WebhookUpdateV2())
    @returns(ns, WebhookV2())
    def patch(self, id: int, data: dict[str, Any]) -> Webhook:
        """Change a webhook; `active: true` enables one that failed for too long."""
        return webhooks.change(current_user(), id, if_match(WebhookV2()), **data)

    @login_required
    @returns(ns, None, 204)
    def delete(self, id: int) -> None:
        """Delete a webhook and its deliveries."""
        webhooks.delete(current_user(), id, if_match(WebhookV2()))


@ns.route("/<int:id>/secret")
class Secret(Resource):
    @login_required
    @ns.doc(id="rotate_webhook_secret")
    @returns(ns, WebhookSecretV2())
    def post(self, id: int) -> Webhook:
        """Give a webhook another secret, at once; the answer alone has it."""
        return webhooks.rotate(current_user(), id)


@ns.route("/<int:id>/ping")
class Ping(Resource):
    @login_required
    @ns.doc(id="ping_webhook")
    @returns(ns, None, 202)
    def post(self, id: int) -> None:
        """Send a webhook an event `ping`."""
        webhooks.ping(current_user(), id)


@ns.route("/<int:id>/deliveries")
class DeliveryList(Resource):
    @login_required
    @ns.doc(id="list_webhook_deliveries")
    @query(ns, DeliveryQueryV2())
    @returns(ns, DeliveryPageV2)
    def get(self, id: int, query: dict[str, Any]) -> Page:
        """List what a webhook was told, the latest first."""
        return webhooks.deliveries(current_user(), id, **query)


@ns.route("/<int:id>/deliveries/<int:delivery_id>/redeliver")
class Redelivery(Resource):
    @login_required
    @ns.doc(id="redeliver_webhook")
    @returns(ns, None, 202)
    def post(self, id: int, delivery_id: int) -> None:
        """Tell a webhook again, at once, whatever came of it before."""
        webhooks.redeliver(current_user(), id, delivery_id)
