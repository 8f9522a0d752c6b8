"""The contract of a source of generations, whichever the database."""

from __future__ import annotations

import contextlib
import gc
import sqlite3
import subprocess
import sys
import threading

import pytest
from sqlalchemy import make_url

from app.caching import POST, POSTS
from app.caching.generations import source_for
from tests.conftest import BACKEND
from tests.servers import wait_for

SLOTS = (POSTS.slot, *POST.member(1))


WAYS = ["direct"] if BACKEND == "sqlite" else ["direct", "leased, one host", "leased, many hosts"]


@pytest.fixture(params=WAYS)
def source(request, app, environ, hosts):
    """Each source there is. Leased ones have their agent."""
    if request.param == "direct":
        source = source_for(make_url(environ["DATABASE_URL"]))
        yield source
        source.close()
        return
    if app.config["CACHE_MODE"] == "leased" and "one" in request.param:
        pytest.skip("the app is a host of this database too")
    yield hosts(alone="one" in request.param, url=environ["DATABASE_URL"])


def test_nothing_moves_while_nobody_writes(source):
    assert source.read(SLOTS) == source.read(SLOTS)


def test_what_was_committed_elsewhere_is_seen_once_it_is_settled(source, make_user, make_post):
    alice = make_user()
    for _ in range(5):
        before = source.read(SLOTS)
        make_post(alice)
        source.settle()
        after = source.read(SLOTS)
        assert before[0] != after[0]


def test_an_open_transaction_moves_nothing_until_it_commits(app, source, make_user, make_post):
    from app.extensions import db

    post = make_post(make_user())
    slots = POST.member(post.id)
    with app.app_context():
        connection = db.engine.connect()
        transaction = connection.begin()
        connection.exec_driver_sql(f"UPDATE posts SET title = 'open' WHERE id = {post.id}")
        source.settle()
        before = source.read(slots)
        source.settle()
        assert source.read(slots) == before
        transaction.commit()
        connection.close()
    source.settle()
    assert source.read(slots) != before


def test_transactions_that_commit_in_another_order_than_they_began_are_all_seen(app, source, make_user, make_post):
    """What is asked for by number of transaction must not begin behind one that is under way."""
    from app.extensions import db

    alice = make_user()
    first, second = make_post(alice), make_post(alice)
    if BACKEND == "sqlite":
        return  # has one writer at a time
    with app.app_context():
        one, two = db.engine.connect(), db.engine.connect()
        for connection, post in ((one, first), (two, second)):
            connection.exec_driver_sql(f"UPDATE posts SET title = 'both' WHERE id = {post.id}")
        for connection, post in ((two, second), (one, first)):
            source.settle()
            before = source.read(POST.member(post.id))
            connection.commit()
            source.settle()
            assert source.read(POST.member(post.id)) != before
            connection.close()


def test_each_thread_sees_the_same(source, make_user):
    make_user()
    source.settle()
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(source.read(SLOTS))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {source.read(SLOTS)}


def test_an_unknown_slot_is_not_known(source):
    assert source.read((999_999,)) is None


def test_generations_are_random_so_that_a_restored_database_never_meets_an_old_one(source, make_user):
    before = source.read((0,))
    make_user()
    source.settle()
    assert abs(source.read((0,))[0] - before[0]) > 2**20


def test_folding_changes_no_generation(source, make_user, make_post):
    alice = make_user()
    for _ in range(3):
        make_post(alice)
    source.settle()
    before = source.read(SLOTS)
    for _ in range(3):
        source.fold()
    source.settle()
    assert source.read(SLOTS) == before


def test_a_rebase_moves_every_slot(app, source):
    from app.caching import triggers
    from app.extensions import db

    before = source.read(SLOTS)
    with app.app_context(), db.engine.begin() as connection:
        triggers.rebase(connection)
    source.settle()
    after = source.read(SLOTS)
    assert all(old != new for old, new in zip(before, after, strict=True))


def test_a_database_that_cannot_be_asked_is_no_answer(tmp_path):
    """Then nothing is served from the cache: the route itself fails, or not."""
    address = {
        "sqlite": f"sqlite:///{tmp_path}/nothing.db",
        "postgresql": "postgresql://nobody@127.0.0.1:1/nothing",
    }
    source = source_for(make_url(address[BACKEND]))
    assert source.read(SLOTS) is None
    source.close()


def test_a_database_in_memory_is_refused():
    """Nobody else could see its generations."""
    with pytest.raises(ValueError, match="must be a file"):
        source_for(make_url("sqlite:///:memory:"))


@pytest.fixture
def asked(coherence, monkeypatch):
    """The questions that the source has put to the database so far."""
    ask, questions = coherence.source._ask, []

    def asking(slots):
        questions.append(slots)
        return ask(slots)

    monkeypatch.setattr(coherence.source, "_ask", asking)
    return questions


in_sqlite = pytest.mark.skipif(BACKEND != "sqlite", reason="PostgreSQL has no WAL-index")


@in_sqlite
def test_sqlite_is_asked_once_for_each_commit(app, make_user, coherence, asked):
    make_user()
    for _ in range(3):
        coherence.source.read(SLOTS)
    asked.clear()
    assert len({coherence.source.read(SLOTS) for _ in range(5)}) == 1
    assert asked == []
    make_user()
    for _ in range(5):
        coherence.source.read(SLOTS)
    assert len(asked) == 1


@in_sqlite
def test_a_commit_while_the_database_is_asked_is_not_missed(app, make_user, make_post, coherence, monkeypatch):
    """What was read before it is not remembered under what came after."""
    alice, ask = make_user(), coherence.source._ask

    def overtaken(slots):
        generations = ask(slots)
        make_post(alice)
        return generations

    with monkeypatch.context() as patch:
        patch.setattr(coherence.source, "_ask", overtaken)
        before = coherence.source.read(SLOTS)
    assert coherence.source.read(SLOTS)[0] != before[0]


@in_sqlite
def test_without_a_wal_index_sqlite_is_asked_each_time(tmp_path):
    path = tmp_path / "rollback.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("CREATE TABLE cache_generations (slot INTEGER PRIMARY KEY, generation INTEGER)")
        writer.execute("INSERT INTO cache_generations VALUES (1, 7)")
        source = source_for(make_url(f"sqlite:///{path}"))
        assert [source.read((1,)) for _ in range(3)] == [(7,)] * 3
        writer.execute("UPDATE cache_generations SET generation = 8")
        assert [source.read((1,)) for _ in range(3)] == [(8,)] * 3
        source.close()


ELSEWHERE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    sys.exit(str(error))
"""


@in_sqlite
def test_to_look_at_the_wal_index_drops_no_lock_of_this_process(app, coherence, make_user):
    """POSIX locks go when any descriptor of their file is closed."""
    from app.extensions import db

    make_user()
    with app.app_context():
        path = db.engine.url.database
        connection = db.engine.raw_connection()
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(5):
            coherence.source.read(SLOTS)
        other = source_for(make_url(f"sqlite:///{path}"))
        for _ in range(5):
            assert other.read(SLOTS)
        other.close()
        del other
        gc.collect()
        other_process = subprocess.run([sys.executable, "-c", ELSEWHERE, path], capture_output=True, text=True)
        connection.execute("ROLLBACK")
        connection.close()
    assert other_process.stderr.strip() == "database is locked"


@pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite overwrites generations, PostgreSQL appends moves")
def test_moves_are_folded_into_the_bases(app, make_user, make_post, sql, environ):
    source = source_for(make_url(environ["DATABASE_URL"]))
    alice = make_user()
    for _ in range(10):
        make_post(alice)
    before, bases = source.read(SLOTS), sql("SELECT slot, base FROM cache_generations")

    def folded():
        """Each takes a bounded number, of transactions older than any open one on this server, another test's too."""
        source.fold()
        return sql("SELECT count(*) FROM cache_moves")[0][0] == 0

    wait_for(folded, 30)
    assert sql("SELECT slot, base FROM cache_generations") != bases
    assert source.read(SLOTS) == before
    source.close()


@pytest.mark.skipif(BACKEND != "postgresql", reason="needs a server that can cut a connection")
def test_a_connection_that_was_cut_is_made_anew(app, make_user, client, sql, coherence):
    make_user()
    assert client.get("/api/v1/users").status_code == 200
    sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    assert coherence.source.read(SLOTS) is not None


@pytest.mark.skipif(BACKEND != "postgresql", reason="SQLite has one writer at a time")
def test_writers_of_one_tag_do_not_wait_for_each_other(app, make_user, make_post):
    """Two open transactions that both write posts: with one row per slot the second would wait for the first."""
    from app.extensions import db

    alice = make_user()
    first, second = make_post(alice), make_post(alice)
    with app.app_context():
        one, two = db.engine.connect(), db.engine.connect()
        for connection, post in ((one, first), (two, second)):
            connection.exec_driver_sql("SET lock_timeout = '500ms'")
            connection.exec_driver_sql(f"UPDATE posts SET title = 'both' WHERE id = {post.id}")
        two.commit()
        one.commit()
        one.close()
        two.close()
