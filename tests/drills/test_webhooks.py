"""Whatever a webhook's target does, each acknowledged post reaches the good ones, the inbox and the mail in time.

Each drill has its control: without second attempts, or without an end of a call, the same target loses something.
"""

from __future__ import annotations

import time

from tests.drills.test_delivery import BOTH, WRITING_SECONDS, judge
from tests.servers import wait_for
from tests.tasks.target import Target

HOOK = """INSERT INTO webhooks (user_id, url, events, scope, active, secret, created_at)
    SELECT id, :url, '["post.published"]', 'own', true, 'whsec_AAAA', created_at FROM users WHERE username = 'author'"""


class Listener(Target):
    """A target of the author's, that fails at each first call or at none. `heard()`: the ids of posts that it took."""

    def __init__(self, sql, fails_first=False) -> None:
        super().__init__()
        self.taken: list[tuple[str, int]] = []
        self._seen: set[str] = set()
        self._fails_first = fails_first
        self.behave = self._take
        sql(HOOK, url=self.url)

    def heard(self) -> set[int]:
        return {post_id for _, post_id in self.taken}

    def _take(self, handler) -> None:
        id = handler.headers["webhook-id"]
        call = next(call for call in self.calls if call.headers["webhook-id"] == id)
        if self._fails_first and id not in self._seen:
            self._seen.add(id)
            handler.reply(500)
            return
        self.taken.append((id, call.json["data"]["id"]))
        handler.reply(200)


@BOTH
def test_a_target_that_fails_at_first_loses_nothing(drill, sql, protected):
    with drill("webhook answers 500, then 200", protected) as one, Listener(sql, fails_first=True) as failing:
        one.heard.append(failing.heard)
        one.relay()
        one.worker()
        one.begin()
        one.injected()
        time.sleep(WRITING_SECONDS)
        judge(one, protected)
        assert len(failing.taken) == len({id for id, _ in failing.taken}), "each was taken once"


@BOTH
def test_targets_that_never_answer_hold_up_no_other_and_no_mail(drill, sql, protected):
    """As many as the worker has processes."""
    name = "two webhooks never answer"
    with drill(name, protected) as one, Listener(sql) as good, Listener(sql) as silent, Listener(sql) as mute:
        for target in (silent, mute):
            target.hang()
        one.heard.append(good.heard)
        one.relay()
        one.worker()
        one.begin()
        wait_for(lambda: silent.calls and mute.calls)
        one.injected()
        time.sleep(WRITING_SECONDS)
        judge(one, protected)
