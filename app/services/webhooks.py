"""Webhooks: who has which, what they are told, and each call (standardwebhooks.com). Tasks here may run twice."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import selectinload

from app import policies
from app.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from app.events import WebhookDue, emit
from app.extensions import db
from app.models import Post, User, Webhook, WebhookDelivery
from app.models.base import now, written
from app.services import callouts, users
from app.services.atomic import atomic, end_read
from app.services.outbox import ATTEMPTS, GIVEN_UP
from app.services.page import Page, Place
from app.services.posts import LIVE
from app.services.upsert import inserting

Check = Callable[[Any], None]
POST_PUBLISHED, POST_DELETED, USER_FOLLOWED = "post.published", "post.deleted", "user.followed"
USER_REGISTERED, PING = "user.registered", "ping"
EVENTS = (POST_PUBLISHED, POST_DELETED, USER_FOLLOWED, USER_REGISTERED)
PREFIX, SYMMETRIC = "whsec_", "v1"  # Standard Webhooks' names of a secret and of this way to sign
MOST = 10  # of one user
KEPT_ATTEMPTS, KEPT_TEXT = 10, 4096  # of a delivery; of an answer
# By days and not by deliveries: a busy webhook would lose any number of them in an evening's outage.
PATIENCE = timedelta(days=5)
SLOW_SECONDS = 5  # who takes so long and fails keeps a worker from others,
REST = timedelta(minutes=2)  # and is not called again before; shorter than the outbox's long pauses
# The owner may hear of it: looked at when something happens, and again before each call.
HEARS = (
    Webhook.active,
    users.LIVE,
    User.disabled_at.is_(None),
    or_(Webhook.scope == "own", User.role == "admin"),
)
STATES: dict[str, tuple[ColumnElement[bool], ...]] = {
    "waiting": (WebhookDelivery.done_at.is_(None), WebhookDelivery.failed_at.is_(None)),
    "done": (WebhookDelivery.done_at.is_not(None),),
    "failed": (WebhookDelivery.failed_at.is_not(None),),
}


def listed(actor: User, limit: int, cursor: Place | None, total: bool) -> Page:
    """The actor's webhooks, oldest first: one statement, and one for the total."""
    rows = select(Webhook).where(Webhook.user_id == actor.id)
    return Page.placed(rows, [(Webhook.id, False)], limit=limit, cursor=cursor, total=total, sort="webhooks")


def one(actor: User, webhook_id: int) -> Webhook:
    """The webhook of this id.

    :raises NotFound: there is none, or it is another's and the actor is no admin.
    """
    return _found(actor, db.session.get(Webhook, webhook_id))


def create(actor: User, **data: Any) -> Webhook:
    """Have a program told of `events`, at `url`. Its `secret` is for the answer to this alone.

    :raises Invalid: the address is none that we call, or the events are not of this scope.
    :raises Forbidden: scope `all` is for admins.
    :raises Conflict: he has MOST already.
    """
    _check_url(data["url"])
    with atomic():
        users.still_here(actor, alone=True)
        if (db.session.scalar(select(func.count()).where(Webhook.user_id == actor.id)) or 0) >= MOST:
            raise Conflict(f"You have {MOST} webhooks, and no one may have more", code="too_many")
        webhook = Webhook(user_id=actor.id, secret=_new_secret(), **data)
        _check_scope(actor, webhook)
        db.session.add(webhook)
        db.session.flush()
    return webhook


def change(actor: User, webhook_id: int, check: Check, **data: Any) -> Webhook:
    """Change what is given of `url`, `events`, `scope`, `active`. `check` is given the webhook before.

    `active=True` also enables one that was disabled because it failed.

    :raises NotFound, Invalid, Forbidden: and what `check` raises.
    """
    if "url" in data:
        one(actor, webhook_id)  # no name server is asked for who may not change it
        _check_url(data["url"])
    with atomic():
        webhook = _held(actor, webhook_id)
        check(webhook)
        for name, value in data.items():
            setattr(webhook, name, value)
        if {"scope", "events"} & data.keys():
            _check_scope(db.session.get_one(User, webhook.user_id), webhook)
        if data.get("active"):
            webhook.failing_since = webhook.resting_until = webhook.disabled_at = webhook.disabled_reason = None
    return webhook


def delete(actor: User, webhook_id: int, check: Check) -> None:
    """Delete a webhook and its deliveries; what waits is not sent. `check` is given the webhook before.

    :raises NotFound: and what `check` raises.
    """
    with atomic():
        webhook = _held(actor, webhook_id)
        check(webhook)
        db.session.delete(webhook)


def rotate(actor: User, webhook_id: int) -> Webhook:
    """Give a webhook another secret; the next call is signed with it.

    :raises NotFound:
    """
    with atomic():
        webhook = _held(actor, webhook_id)
        webhook.secret = _new_secret()
    return webhook


def deliveries(actor: User, webhook_id: int, limit: int, cursor: Place | None, total: bool, state: str | None) -> Page:
    """What a webhook was told, the latest first, or only what is in one of STATES: two statements, and the total's.

    :raises NotFound:
    """
    one(actor, webhook_id)
    rows = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id, *STATES.get(state or "", ()))
    return Page.placed(rows, [(WebhookDelivery.id, True)], limit=limit, cursor=cursor, total=total, sort="deliveries")


def redeliver(actor: User, webhook_id: int, delivery_id: int) -> None:
    """Begin a delivery anew, at once, whatever came of it; attempts of the round before are dropped.

    :raises NotFound:
    :raises Conflict: the webhook is not active.
    """
    with atomic():
        _held(actor, webhook_id, active=True).resting_until = None
        wanted = select(WebhookDelivery).where(
            WebhookDelivery.id == delivery_id, WebhookDelivery.webhook_id == webhook_id
        )
        delivery = db.session.scalar(wanted.with_for_update())
        if delivery is None:
            raise NotFound("Delivery not found")
        delivery.round, delivery.tries, delivery.done_at, delivery.failed_at = delivery.round + 1, 0, None, None
        emit(WebhookDue(delivery.id, delivery.round), event_id=delivery.event_id)


def ping(actor: User, webhook_id: int) -> None:
    """Send a webhook an event `ping`, whatever it wants to hear of.

    :raises NotFound:
    :raises Conflict: it is not active.
    """
    with atomic():
        webhook = _held(actor, webhook_id, active=True)
        webhook.resting_until = None
        _write(uuid.uuid4().hex, PING, [webhook.id], {"webhook_id": webhook.id})


def notify_webhooks_of_post(event_id: str, post_id: int) -> None:
    """Tell webhooks of a post, while it is published."""
    post = db.session.scalar(select(Post).where(Post.id == post_id, LIVE).options(selectinload(Post.tags)))
    if post is not None:
        _tell(event_id, POST_PUBLISHED, post.user_id, _post(post))


def notify_webhooks_of_deletion(event_id: str, post_id: int) -> None:
    """Tell webhooks that an admin has put a post into the trash."""
    post = db.session.scalar(select(Post).where(Post.id == post_id, Post.deleted_at.is_not(None), ~Post.draft))
    if post is not None:
        said = {"id": post.id, "title": post.title, "author_id": post.user_id, "deleted_at": written(post.deleted_at)}
        _tell(event_id, POST_DELETED, post.user_id, said)


def notify_webhooks_of_registration(event_id: str, user_id: int) -> None:
    """Tell webhooks of all that there is a new account."""
    if user := _person(user_id):
        _tell(event_id, USER_REGISTERED, None, user)


def notify_webhooks_of_follower(event_id: str, follower_id: int, followed_id: int) -> None:
    """Tell webhooks who follows a user now."""
    if follower := _person(follower_id):
        _tell(event_id, USER_FOLLOWED, followed_id, {"follower": follower, "followed_id": followed_id})


def post_webhook(event_id: str, delivery_id: int, round: int) -> None:
    """Call a webhook once, unless it was told meanwhile or a newer round has begun.

    The last attempt that fails ends it: a program of others that is down is nothing to be looked at in the outbox.

    :raises OSError: it is to be tried again.
    """
    with atomic():
        delivery = _of_round(delivery_id, round)
        if delivery is None:
            return
        delivery.tries += 1
        heard = select(Webhook).join(User, User.id == Webhook.user_id).where(*HEARS)
        webhook = db.session.scalar(heard.where(Webhook.id == delivery.webhook_id))
        if webhook is None:
            delivery.failed_at = now()
            return
    at, began = now(), time.monotonic()
    tries = delivery.tries
    status, answer, error = _call(webhook, delivery)
    seconds = time.monotonic() - began
    said = {"at": written(at), "status": status, "ms": int(seconds * 1000), "answer": answer, "error": error}
    with atomic():
        _note(delivery_id, round, said, slow=seconds > SLOW_SECONDS)
    if error is not None and tries < ATTEMPTS:
        raise ConnectionError(error)


def _given_up(delivery_id: int, round: int) -> None:
    """Else its owner would see it wait for ever."""
    of_round = (WebhookDelivery.id == delivery_id, WebhookDelivery.round == round, WebhookDelivery.done_at.is_(None))
    db.session.execute(update(WebhookDelivery).where(*of_round).values(failed_at=now()))


GIVEN_UP[post_webhook.__name__] = _given_up


def _call(webhook: Webhook, delivery: WebhookDelivery) -> tuple[int | None, str | None, str | None]:
    """The status, the beginning of the answer, and what was wrong with them."""
    if webhook.resting_until and webhook.resting_until > now():
        return None, None, f"Not called: it was slow to fail, and rests until {written(webhook.resting_until)}"
    body, headers = delivery.body.encode(), {"Content-Type": "application/json"}
    try:
        answer = callouts.post(webhook.url, body, headers | _signature(webhook, delivery, body))
    except OSError as failure:
        return None, None, repr(failure)[:500]
    is_good = 200 <= answer.status < 300
    return answer.status, answer.text[:KEPT_TEXT], None if is_good else f"Answered {answer.status}"


def _signature(webhook: Webhook, delivery: WebhookDelivery, body: bytes) -> dict[str, str]:
    """Standard Webhooks' headers. The id is the same at each attempt, so that receivers know a repetition."""
    id, timestamp = f"msg_{delivery.event_id}_{webhook.id}", str(int(time.time()))
    key = base64.b64decode(webhook.secret.removeprefix(PREFIX))
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, "sha256")
    signature = f"{SYMMETRIC},{base64.b64encode(digest).decode()}"
    return {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature}


def _note(delivery_id: int, round: int, said: dict[str, Any], slow: bool) -> None:
    """Log an attempt, and what follows from it for the delivery and its webhook, as they are now."""
    called = select(Webhook).join(WebhookDelivery).where(WebhookDelivery.id == delivery_id)
    webhook = db.session.scalar(called.with_for_update(of=Webhook))
    delivery = _of_round(delivery_id, round)
    if webhook is None or delivery is None:
        return
    delivery.attempts = [*delivery.attempts, said][-KEPT_ATTEMPTS:]
    if said["error"] is None:
        delivery.done_at, delivery.failed_at = now(), None
        webhook.failing_since = webhook.resting_until = None
        return
    webhook.failing_since = webhook.failing_since or now()
    if slow:
        webhook.resting_until = now() + REST
    if delivery.tries >= ATTEMPTS:
        delivery.failed_at = now()
        if webhook.failing_since < now() - PATIENCE:
            webhook.active, webhook.disabled_at = False, now()
            webhook.disabled_reason = f"No call has succeeded since {written(webhook.failing_since)}"


def _tell(event_id: str, type: str, owner_id: int | None, data: dict[str, Any]) -> None:
    """Tell the owner's webhooks, and those that hear of all, if they want to hear of this."""
    heard = select(Webhook).join(User, User.id == Webhook.user_id).where(*HEARS)
    concerned = heard.where(or_(Webhook.scope == "all", Webhook.user_id == owner_id)).order_by(Webhook.id)
    ids = [webhook.id for webhook in db.session.scalars(concerned) if type in webhook.events]
    if ids:
        with atomic():
            _write(event_id, type, ids, data)


def _write(event_id: str, type: str, webhook_ids: list[int], data: dict[str, Any]) -> None:
    """A delivery for each webhook, and its call; none where an earlier run wrote it."""
    body = orjson.dumps({"type": type, "timestamp": written(now()), "data": data}).decode()
    rows = [{"event_id": event_id, "webhook_id": id, "type": type, "body": body} for id in webhook_ids]
    new = inserting(WebhookDelivery).values(rows).on_conflict_do_nothing().returning(WebhookDelivery.id)
    emit(*(WebhookDue(id, 1) for id in db.session.scalars(new)), event_id=event_id)


def _of_round(delivery_id: int, round: int) -> WebhookDelivery | None:
    """The delivery, held until the commit, if it is still in this round and not done."""
    wanted = select(WebhookDelivery).where(WebhookDelivery.id == delivery_id, WebhookDelivery.done_at.is_(None))
    return db.session.scalar(wanted.where(WebhookDelivery.round == round).with_for_update())


def _held(actor: User, webhook_id: int, *, active: bool = False) -> Webhook:
    """The webhook, held until the commit."""
    webhook = _found(actor, db.session.scalar(select(Webhook).where(Webhook.id == webhook_id).with_for_update()))
    if active and not webhook.active:
        raise Conflict("The webhook is not active: enable it first", code="not_active")
    return webhook


def _found(actor: User, webhook: Webhook | None) -> Webhook:
    if webhook is None or not policies.can_edit_webhook(actor, webhook):
        raise NotFound("Webhook not found")
    return webhook


def _check_url(url: str) -> None:
    end_read()  # no transaction stays open while a name server thinks
    try:
        callouts.check(url)
    except callouts.Refused as refusal:
        raise Invalid(errors=(FieldError("url", "refused", str(refusal)),)) from None


def _check_scope(owner: User, webhook: Webhook) -> None:
    if webhook.scope == "all" and not policies.can_hear_of_all(owner):
        raise Forbidden("Only webhooks of admins hear of all")
    if webhook.scope != "all" and USER_REGISTERED in webhook.events:
        raise Invalid(errors=(FieldError("events", "invalid", f"{USER_REGISTERED} is for scope `all`"),))


def _new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _post(post: Post) -> dict[str, Any]:
    """A post as the API shows it, but for its content, which may be long."""
    names = ("id", "title", "summary", "category", "byline")
    said = {name: getattr(post, name) for name in names} | {"tags": list(post.tag_names), "author_id": post.user_id}
    return said | {"published_at": written(post.created_at), "updated_at": written(post.updated_at)}


def _person(user_id: int) -> dict[str, Any] | None:
    """A user as everybody sees him, in short; None once he is deleted."""
    user = db.session.scalar(select(User).where(User.id == user_id, users.LIVE))
    return {n: getattr(user, n) for n in ("id", "username", "display_name", "avatar_url")} if user else None
