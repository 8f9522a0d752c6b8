"""What a user wants to be told, where and when: in SQL for many, in Python for one mail."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, delete, exists, select
from sqlalchemy.orm import aliased

from app import tokens
from app.errors import Conflict, FieldError, Invalid, NotFound
from app.extensions import db
from app.models import Mute, Post, Preference, Switch, User
from app.services import recurrence, users
from app.services.atomic import atomic
from app.services.page import Page, Place
from app.services.posts import LIVE

# What a user is told who has said nothing else: each kind's inbox and mail. Whoever adds a kind adds it here.
DEFAULTS: dict[str, dict[str, bool]] = {
    "post_published": {"inbox": True, "mail": True},
    "new_post": {"inbox": True, "mail": True},
    "post_deleted": {"inbox": True, "mail": True},
    "welcome": {"inbox": True, "mail": True},
    "new_follower": {"inbox": True, "mail": False},
    "todo_due": {"inbox": True, "mail": True},
    "password_changed": {"inbox": True, "mail": True},
}
SECURITY = {"password_changed"}  # no setting and no shut account keeps such a mail back
PROMPT = SECURITY | {"todo_due"}  # waits for no digest: tomorrow a reminder would be late
IMMEDIATELY, DAILY, WEEKLY = "immediately", "daily", "weekly"
DEFAULT = {"time_zone": "UTC", "digest": IMMEDIATELY, "quiet_from": None, "quiet_until": None}
EVERY_KIND = "digest"  # what a digest's link unsubscribes from


def wants(user_id: Any, kind: SQLColumnExpression[str], channel: str, post_id: Any) -> ColumnElement[bool]:
    """Whether a user is to be told of this kind of thing in this channel, of a post perhaps. All are SQL."""
    said = select(Switch.id).where(Switch.user_id == user_id, Switch.kind == kind, Switch.channel == channel)
    by_default = kind.in_([name for name, channels in DEFAULTS.items() if channels[channel]])
    about = aliased(Post)
    his = (about.id == post_id) & (about.user_id == Mute.author_id)
    wanted = ~exists(said.where(~Switch.wanted)) & (by_default | exists(said.where(Switch.wanted)))
    for muted in (Mute.post_id == post_id, his):
        wanted &= ~exists().where(Mute.user_id == user_id, muted)
    return wanted


def waits(user_id: Any) -> ColumnElement[bool]:
    """Whether a user's mails wait for his next digest, in SQL."""
    return exists().where(Preference.user_id == user_id, Preference.digest != IMMEDIATELY)


def quiet_until(preference: Preference | None, at: datetime) -> datetime | None:
    """When the user's quiet hours end, if this instant is within them."""
    if preference is None or preference.quiet_from is None or preference.quiet_until is None:
        return None
    zone = recurrence.zone_of(preference.time_zone)
    start, end = time.fromisoformat(preference.quiet_from), time.fromisoformat(preference.quiet_until)
    local = at.astimezone(zone)
    clock = local.time()
    if not (start <= clock < end if start < end else clock >= start or clock < end):
        return None
    days = (local.date(), local.date() + timedelta(days=1))
    # Where clocks are set back, a time comes twice, and where they are set forward, never: the later reading counts.
    ends = (max(datetime.combine(day, end.replace(fold=f), zone).astimezone(UTC) for f in (0, 1)) for day in days)
    return next(ending for ending in ends if ending > at)


def read(actor: User) -> dict[str, Any]:
    """All that the actor prefers, defaults and all: two statements."""
    found = _of(actor.id)
    quiet = {"start": found.quiet_from, "end": found.quiet_until} if found.quiet_from else None
    rest = {"quiet_hours": quiet, "events": _switched(actor.id)}
    return {"time_zone": found.time_zone, "digest": found.digest} | rest


def change(actor: User, events: dict[str, dict[str, bool]] | None = None, **data: Any) -> dict[str, Any]:
    """Change what is given of `time_zone`, `digest`, `quiet_hours`, and of `events` those channels that are given.

    :return: as `read()`.
    :raises Invalid: a mail about security cannot be switched off.
    """
    locked = [kind for kind, channels in (events or {}).items() if kind in SECURITY and not channels.get("mail", True)]
    if locked:
        said = "A mail about security cannot be switched off"
        raise Invalid(errors=tuple(FieldError(f"events.{kind}.mail", "locked", said) for kind in locked))
    if "quiet_hours" in data:
        hours = data.pop("quiet_hours") or {"start": None, "end": None}
        data |= {"quiet_from": hours["start"], "quiet_until": hours["end"]}
    with atomic():
        users.still_here(actor, alone=True)
        found = _of(actor.id)
        for name, value in data.items():
            setattr(found, name, value)
        if any(getattr(found, name) != value for name, value in DEFAULT.items()):
            db.session.add(found)
        elif found in db.session:
            db.session.delete(found)
        _switch(actor.id, events or {})
    return read(actor)


def unsubscribing(token: str) -> str:
    """The kind of mail that the token's bearer may switch off.

    :raises NotFound: it is no token of ours, or there is no such kind any more.
    """
    _, kind = tokens.read_unsubscribe(token)
    if kind not in DEFAULTS and kind != EVERY_KIND:
        raise NotFound
    return kind


def unsubscribe(token: str) -> str:
    """Switch off that kind of mail; of a digest's, all mails but those about security. Which kind it is.

    :raises NotFound: it is no token of ours, or its user has gone.
    """
    kind = unsubscribing(token)
    user_id, _ = tokens.read_unsubscribe(token)
    kinds = DEFAULTS.keys() - SECURITY if kind == EVERY_KIND else {kind} - SECURITY
    with atomic():
        living = select(User.id).where(User.id == user_id, users.LIVE)
        if db.session.scalar(living.with_for_update(key_share=True)) is None:
            raise NotFound
        _switch(user_id, {kind: {"mail": False} for kind in kinds})
    return kind


def mute_author(actor: User, user_id: int) -> None:
    """Be told of none of this user's posts; who has muted him already changes nothing.

    :raises NotFound: there is no such user.
    :raises Conflict: it is the actor himself.
    """
    if actor.id == user_id:
        raise Conflict("You cannot mute yourself", code="oneself")
    with atomic():
        users.still_here(actor, alone=True)
        users.hold(user_id)
        _mute(actor, author_id=user_id)


def mute_post(actor: User, post_id: int) -> None:
    """Be told nothing of this post; who has muted it already changes nothing.

    :raises NotFound: there is no such post.
    """
    with atomic():
        users.still_here(actor, alone=True)
        seen = select(Post.id).where(Post.id == post_id, LIVE)
        if db.session.scalar(seen.with_for_update(read=True, key_share=True)) is None:
            raise NotFound("Post not found")
        _mute(actor, post_id=post_id)


def unmute(actor: User, **about: int) -> None:
    """Hear again of this `author_id` or `post_id`; what was not muted need not be."""
    with atomic():
        db.session.execute(delete(Mute).filter_by(user_id=actor.id, **about))


def muted(actor: User, limit: int, cursor: Place | None, total: bool) -> Page:
    """Whom and what the actor has muted, the latest first: one statement, and one for the total."""
    rows = select(Mute).where(Mute.user_id == actor.id)
    return Page.placed(rows, [(Mute.id, True)], limit=limit, cursor=cursor, total=total, sort="mutes")


def _mute(actor: User, **about: int) -> None:
    if db.session.scalar(select(Mute.id).filter_by(user_id=actor.id, **about)) is None:
        db.session.add(Mute(user_id=actor.id, **about))


def _of(user_id: int) -> Preference:
    return db.session.get(Preference, user_id) or Preference(user_id=user_id, **DEFAULT)


def _switched(user_id: int) -> dict[str, dict[str, bool]]:
    """All kinds and channels, as they are for this user."""
    switches = {kind: dict(channels) for kind, channels in DEFAULTS.items()}
    for switch in db.session.scalars(select(Switch).where(Switch.user_id == user_id)):
        if switch.kind in switches:
            switches[switch.kind][switch.channel] = switch.wanted
    return switches


def _switch(user_id: int, wishes: dict[str, dict[str, bool]]) -> None:
    """Write down what is other than by default."""
    for kind, channels in wishes.items():
        for channel, wanted in channels.items():
            same = (Switch.user_id == user_id, Switch.kind == kind, Switch.channel == channel)
            db.session.execute(delete(Switch).where(*same))
            if wanted != DEFAULTS[kind][channel]:
                db.session.add(Switch(user_id=user_id, kind=kind, channel=channel, wanted=wanted))
