"""Any order over any rows shows each of them once, in that order, forth and back. The same on each run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.extensions import db
from app.models import Post
from tests.api.v2.conftest import V2

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
FEW = st.integers(0, 1)  # so that ties are common
ROWS = st.lists(st.tuples(FEW, FEW, st.sampled_from(["a", "B", "é"])), max_size=8)
WORDS = st.lists(
    st.tuples(st.sampled_from(["", "-"]), st.sampled_from(["published_at", "updated_at", "title"])),
    min_size=1,
    max_size=3,
    unique_by=lambda word: word[1],
)


@settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=ROWS, words=WORDS, limit=st.integers(1, 3))
def test_each_row_is_shown_once_in_its_order(rows, words, limit, app, alice, client, sql):
    sql("DELETE FROM posts")
    with app.app_context():
        for created, updated, title in rows:
            at, changed = FIRST + timedelta(hours=created), FIRST + timedelta(days=1, microseconds=updated)
            db.session.add(
                Post(user_id=alice.id, title=title, content="c", category="x", created_at=at, updated_at=changed)
            )
        db.session.commit()
    sort = ",".join(sign + name for sign, name in words)
    forth, back = [], []
    page = _page(client, sort, limit)
    forth.append(page["items"])
    while page["page"]["next"] and len(forth) <= len(rows):
        page = _page(client, sort, limit, page["page"]["next"])
        forth.append(page["items"])
    while page["page"]["prev"] and len(back) <= len(rows):
        page = _page(client, sort, limit, page["page"]["prev"])
        back.insert(0, page["items"])
    assert back == forth[:-1]
    items = [item for items in forth for item in items]
    assert items == _sorted(items, words)
    assert len({item["id"] for item in items}) == len(items) == len(rows)


def _page(client, sort, limit, cursor=None):
    query = {"sort": sort, "limit": limit} | ({"cursor": cursor} if cursor else {})
    answer = client.get(f"{V2}/posts", query_string=query)
    assert answer.status_code == 200
    return answer.json


def _sorted(items, words):
    """By code point, as both databases of these tests compare titles; equals by id, as the last word goes."""
    ordered = list(items)
    for sign, name in reversed([*words, (words[-1][0], "id")]):
        ordered.sort(key=lambda item, name=name: item[name], reverse=sign == "-")
    return ordered
