"""Many followers hear of a post within half a minute, though the worker dies in the middle; its author never waits."""

from __future__ import annotations

import json
import time

import pytest
import requests
from sqlalchemy import delete, insert, select

from app.extensions import db
from app.models import Follow, Notification, User
from app.models.base import now
from tests.drills.drill import FULL, LEASE_SECONDS, POST
from tests.servers import wait_for

FOLLOWERS = 100_000 if FULL else 6_000
SECONDS = 30
BATCH = 1000
TOLD = "SELECT count(*), count(DISTINCT user_id) FROM notifications WHERE kind = 'new_post'"


@pytest.fixture
def write(server, token_of):
    """write(author): publish a post; how long it took."""
    session = requests.Session()

    def post(author) -> float:
        headers = {"Authorization": f"Bearer {token_of(author)}"}
        began = time.monotonic()
        answer = session.post(f"{server.url}/api/v1/posts", json=POST, headers=headers, timeout=10)
        assert answer.status_code == 201
        return time.monotonic() - began

    yield post
    session.close()


@pytest.fixture
def star(app, make_user):
    """An author whom many follow; they have no address."""
    star = make_user(username="star", email=None)
    with app.app_context(), db.engine.begin() as connection:
        for first in range(0, FOLLOWERS, BATCH):
            names = [f"fan{n}" for n in range(first, first + BATCH)]
            fans = [{"username": name, "username_key": name, "password_hash": "x", "role": "user", "created_at": now()}
                    for name in names]  # fmt: skip
            ids = connection.scalars(insert(User).returning(User.id), fans)
            follows = [{"follower_id": id, "followed_id": star.id, "created_at": now()} for id in ids]
            connection.execute(insert(Follow), follows)
    yield star
    with app.app_context():
        with db.engine.begin() as connection:
            connection.execute(delete(Notification))  # else each user's deletion would look for his among all
        while True:  # so many in one statement take longer than a statement may
            some = select(User.id).where(User.password_hash == "x").limit(2 * BATCH)
            with db.engine.begin() as connection:
                if not connection.execute(delete(User).where(User.id.in_(some))).rowcount:
                    break


@pytest.mark.parametrize("fault", ["", "in the middle"])
def test_many_are_told_in_time_each_once(drill, write, star, make_user, sql, fault):
    nobody = make_user(username="nobody", email=None)
    sql("UPDATE users SET email = NULL, role = 'user' WHERE role = 'admin'")
    name = f"{FOLLOWERS} followers" + (", worker killed " + fault if fault else "")
    with drill(name, True) as one:
        one.relay()
        worker = one.worker(fault)
        for_none = None if fault else min(write(nobody) for _ in range(5))
        for_many, began = write(star), time.monotonic()
        if fault:
            wait_for(lambda: worker.popen.poll() is not None)
            told_when_killed = sql(TOLD)[0][0]
            assert 0 < told_when_killed < FOLLOWERS
            one.worker()
        wait_for(lambda: sql(TOLD)[0][0] >= FOLLOWERS, SECONDS + 2 * LEASE_SECONDS + 20, every=0.2)
        seconds = round(time.monotonic() - began, 1)
    told, people = sql(TOLD)[0]
    said = {"drill": name, "injected": int(bool(fault)), "recovered_after_s": seconds}
    said |= {"lost": FOLLOWERS - people, "duplicates": told - people, "answered_ms": round(for_many * 1000)}
    said |= {"told_when_killed": told_when_killed} if fault else {"answered_none_ms": round(for_none * 1000)}
    print(json.dumps(said))
    assert (said["lost"], said["duplicates"]) == (0, 0)
    if FULL and not fault:
        assert said["recovered_after_s"] < SECONDS
