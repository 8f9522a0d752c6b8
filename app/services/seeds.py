"""Believable content for a development machine: the same for the same seed."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from faker import Faker
from sqlalchemy import insert, select

from app.errors import Conflict
from app.extensions import db
from app.models import Follow, Post, PostTag, User
from app.services import passwords, usernames
from app.services.atomic import atomic

BATCH = 1000
LAST_DAY = datetime(2026, 11, 1, tzinfo=UTC)  # fixed, or the same seed would not give the same rows
DAYS = 900
CATEGORIES = ("general", "news", "engineering", "culture", "science", "travel", "food", "music")
TAGS = ("flask", "python", "sql", "trains", "coffee", "history", "maps", "birds", "chess", "radio", "ink", "gardens")
SENTENCES = 3000


def sow(posts: int, users: int, seed: int, told: Callable[[int], object]) -> None:
    """Make so many users, who follow each other, and posts of theirs, newest last.

    Nobody is told of them. The users have passwords that nobody knows.

    :param told: called with the number of posts that were written since it was last called.
    :raises Conflict: these users are there already.
    """
    chance = random.Random(seed)  # noqa: S311
    names = _names(users, seed)
    with atomic():
        keys = [usernames.key(name) for name in names]
        if db.session.scalar(select(User.id).where(User.username_key.in_(keys[:100])).limit(1)):
            raise Conflict("This seed was sown already: take another --seed")
        db.session.execute(insert(User), list(_people(names, chance)))
        ids = list(db.session.scalars(select(User.id).where(User.username_key.in_(keys)).order_by(User.id)))
        if len(ids) > 1:
            db.session.execute(insert(Follow), list(_follows(ids, chance)))
    texts = _Texts(seed)
    step = timedelta(days=DAYS) / max(1, posts)
    for begin in range(0, posts, BATCH):
        size = min(BATCH, posts - begin)
        times = [LAST_DAY - timedelta(days=DAYS) + step * (begin + n) for n in range(size)]
        with atomic():
            _write([_post(chance.choice(ids), at, texts, chance) for at in times], chance)
        told(size)


def _write(rows: list[dict[str, Any]], chance: random.Random) -> None:
    post_ids = db.session.scalars(insert(Post).returning(Post.id, sort_by_parameter_order=True), rows)
    tags = [
        {"post_id": id, "name": name} for id in post_ids for name in chance.sample(TAGS, chance.choice((0, 1, 2, 3)))
    ]
    if tags:
        db.session.execute(insert(PostTag), tags)


def _names(users: int, seed: int) -> list[str]:
    """As many different names, which sound like names."""
    faker = Faker("en_US")
    faker.seed_instance(seed)
    return [f"{faker.user_name()}-{n}" for n in range(users)]


def _people(names: list[str], chance: random.Random) -> Iterator[dict[str, Any]]:
    nobody = passwords.hash_of(secrets.token_hex(32))
    for name in names:
        yield {
            "username": name,
            "username_key": usernames.key(name),
            "password_hash": nobody,
            "role": "user",
            "email": f"{name}@example.org",
            "display_name": name.partition("-")[0].replace(".", " ").title(),
            "created_at": LAST_DAY - timedelta(days=DAYS + chance.randrange(100)),
        }


def _follows(ids: list[int], chance: random.Random) -> Iterator[dict[str, Any]]:
    for follower in ids:
        others = [id for id in chance.sample(ids, min(len(ids), 6)) if id != follower]
        for followed in others:
            yield {"follower_id": follower, "followed_id": followed, "created_at": LAST_DAY}


def _post(user_id: int, at: datetime, texts: _Texts, chance: random.Random) -> dict[str, Any]:
    paragraphs = ["\n".join(texts.sentences(chance, 3, 7)) for _ in range(chance.randrange(2, 6))]
    title, heading = (texts.sentences(chance, 1, 1)[0].rstrip(".") for _ in range(2))
    return {
        "user_id": user_id,
        "title": title,
        "content": "\n\n".join([paragraphs[0], f"## {heading}", *paragraphs[1:]]),
        "category": chance.choice(CATEGORIES),
        "created_at": at,
        "updated_at": at,
    }


class _Texts:
    """A stock of sentences: to make each anew would take 10,000 posts from 2.6 s to over 4."""

    def __init__(self, seed: int) -> None:
        faker = Faker("en_US")
        faker.seed_instance(seed + 1)
        self._stock = [faker.sentence(nb_words=9) for _ in range(SENTENCES)]

    def sentences(self, chance: random.Random, fewest: int, most: int) -> list[str]:
        """Some sentences of the stock."""
        return chance.choices(self._stock, k=chance.randint(fewest, most))
