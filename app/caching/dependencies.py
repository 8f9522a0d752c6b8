"""Which change of which model makes which tags stale. The database's triggers are made from this page.

A rule reads as a sentence: a change of a post stales POSTS, and POST by its `id`. `when` names the columns whose change
counts; an insert or a delete always does. Every model stands here or in NEVER_CACHED.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.caching.tags import Family
from app.extensions import db
from app.models import (
    Digest,
    Follow,
    IdempotencyKey,
    Imported,
    Mute,
    Notification,
    OutboxMessage,
    Post,
    PostAlias,
    PostTag,
    Preference,
    Session,
    Statistic,
    StatisticsRefresh,
    Switch,
    Todo,
    TodoReminder,
    User,
    Webhook,
    WebhookDelivery,
)

USERS = Family("users", slot=0)
USER = Family("user", slot=1, size=1024)
POSTS = Family("posts", slot=2000)
POST = Family("post", slot=2001, size=4096)
PRIVATE = Family("private", slot=7000, size=1024)  # by user: what nobody else may see

FOLLOW = Family("follow", slot=8100, size=1024)  # by user: whom he follows, who follows him
SESSION = Family("session", slot=9200, size=1024)  # by user: whether a verified token is still good
STATISTICS = Family("statistics", slot=10300)

FAMILIES = (USERS, USER, POSTS, POST, PRIVATE, FOLLOW, SESSION, STATISTICS)


@dataclass(frozen=True)
class Stales:
    """One rule: the family, the column that names its member, the columns whose change counts."""

    family: Family
    by: str | None
    when: tuple[str, ...]


def stales(family: Family, *, when: list[str], by: str | None = None) -> Stales:
    """A rule of the page."""
    if (by is None) != (family.size == 0):
        raise ValueError(f"{family.name}: a singular is staled by a column, a plural by none")
    return Stales(family, by, tuple(when))


def all_but(model: type, *unseen: str) -> list[str]:
    """The model's columns without those that no answer shows: a new column counts until somebody says otherwise."""
    columns = db.metadata.tables[model.__tablename__].columns.keys()  # type: ignore[attr-defined]
    if strangers := set(unseen) - set(columns):
        raise ValueError(f"{model.__name__} has no column {', '.join(sorted(strangers))}")
    return [column for column in columns if column not in unseen]


PUBLIC_USER = all_but(User, "username_key", "password_hash", "email", "mobile", "age", "birth", "disabled_at")
PUBLIC_POST = all_but(Post, "deleted_by")
PRINCIPAL_USER = ["role", "disabled_at", "deleted_at"]

MAP: dict[type, tuple[Stales, ...]] = {
    User: (
        stales(USERS, when=PUBLIC_USER),
        stales(USER, by="id", when=PUBLIC_USER),
        stales(PRIVATE, by="id", when=all_but(User, "username_key", "password_hash")),
        stales(SESSION, by="id", when=PRINCIPAL_USER),
    ),
    Post: (stales(POSTS, when=PUBLIC_POST), stales(POST, by="id", when=PUBLIC_POST)),
    PostTag: (stales(POSTS, when=all_but(PostTag)), stales(POST, by="post_id", when=all_but(PostTag))),
    PostAlias: (stales(POSTS, when=all_but(PostAlias)),),
    Follow: (
        stales(FOLLOW, by="follower_id", when=all_but(Follow)),
        stales(FOLLOW, by="followed_id", when=all_but(Follow)),
    ),
    Mute: (stales(PRIVATE, by="user_id", when=all_but(Mute)),),
    Notification: (
        stales(PRIVATE, by="user_id", when=all_but(Notification, "event_id", "sent_at", "held", "digest_id")),
    ),
    Preference: (stales(PRIVATE, by="user_id", when=all_but(Preference)),),
    Session: (stales(SESSION, by="user_id", when=["user_id", "revoked_at", "expires_at"]),),
    Statistic: (stales(STATISTICS, when=all_but(Statistic)),),
    Switch: (stales(PRIVATE, by="user_id", when=all_but(Switch)),),
    Todo: (stales(PRIVATE, by="user_id", when=all_but(Todo)),),
}

# What no cached answer reads.
NEVER_CACHED = (
    *(Digest, IdempotencyKey, Imported, OutboxMessage, StatisticsRefresh, TodoReminder, Webhook, WebhookDelivery),
)


def families_moved_by(table: str) -> frozenset[Family]:
    """The families that a change of this table moves; none for a table that is not watched."""
    return frozenset(rule.family for model, rules in MAP.items() for rule in rules if model.__tablename__ == table)  # type: ignore[attr-defined]
