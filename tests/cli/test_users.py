"""`flask users …`: the first admin and what operators do with accounts."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, text

from tests.conftest import fresh_database
from tests.servers import ROOT

PASSWORD = "correct horse battery"
POST = {"title": "A title", "content": "Some words."}


def _login(client, username: str, password: str = PASSWORD) -> int:
    answer = client.post("/api/v1/users/login", json={"username": username, "password": password})
    return int(answer.status_code)


def _flask(environ: dict[str, str], *arguments: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "flask", "--app", "app", *arguments]
    environ = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(command, cwd=ROOT, env=environ, input=input, capture_output=True, timeout=60)


def test_a_fresh_installation_has_no_account(environ, tmp_path, worker_id):
    """HARDENING I5: nobody can log in until an operator has made an account."""
    with fresh_database(f"fresh_{worker_id}", tmp_path) as url:
        environ = {**environ, "DATABASE_URL": url}
        bare = _flask(environ, "users", "promote", "eve")
        assert (bare.returncode, bare.stdout, bare.stderr.count(b"\n")) == (1, b"", 1)
        assert bare.stderr.startswith(b"Error: the database says: ")
        assert _flask(environ, "db", "upgrade").returncode == 0
        engine = create_engine(re.sub("^postgresql:", "postgresql+psycopg:", url))
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT count(*) FROM users")) == 0
        engine.dispose()


def test_create_makes_an_admin_with_a_password_from_standard_input(run, client, sql):
    assert run("users", "create", "Ada", "--admin", "--email", "ada@example.org", input=f"{PASSWORD}\n") == (
        f"admin Ada has id {sql('SELECT id FROM users')[0][0]}\n"
    )
    assert sql("SELECT username, role, email FROM users") == [("Ada", "admin", "ada@example.org")]
    assert _login(client, "ada") == 200


def test_create_without_admin_makes_a_user(run, client, sql):
    run("users", "create", "bob", input=PASSWORD)
    assert sql("SELECT role, email FROM users") == [("user", None)]
    assert _login(client, "bob") == 200


def test_a_password_keeps_its_spaces_and_letters_of_any_script(run, client):
    run("users", "create", "bob", input="  пароль из слов  \r\n")
    assert _login(client, "bob", "  пароль из слов  ") == 200


def test_a_real_process_makes_the_first_admin(app, environ, client):
    made = _flask(environ, "users", "create", "root", "--admin", input=f"{PASSWORD}\n".encode())
    assert (made.returncode, made.stderr) == (0, b"")
    assert made.stdout.startswith(b"admin root has id ")
    assert _login(client, "root") == 200


@pytest.mark.parametrize(
    ("arguments", "password", "field"),
    [
        (["eve"], "", "password"),
        (["eve"], "1234567", "password"),
        (["eve"], "x" * 129, "password"),
        (["eve"], "password123", "password"),
        (["correct-horse"], "correct-horse", "password"),
        (["eve"], "nul\0" * 5, "password"),
        (["eve"], b"\xff\xfe is no text", "password"),
        ([""], PASSWORD, "username"),
        (["two words"], PASSWORD, "username"),
        (["\udcff"], PASSWORD, "username"),
        (["e" * 81], PASSWORD, "username"),
        (["TAKEN"], PASSWORD, "username"),
        (["eve", "--email", "nowhere"], PASSWORD, "email"),
        (["eve", "--email", "eve@example.org\nBcc: all@example.org"], PASSWORD, "email"),
        (["eve", "--email", f"eve@{'x' * 250}.org"], PASSWORD, "email"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_it(refused, make_user, sql, arguments, password, field):
    make_user(username="taken")
    assert refused("users", "create", "--admin", *arguments, input=password).startswith(f"{field}: ")
    assert sql("SELECT username FROM users") == [("taken",)]


def test_promote_makes_an_admin_at_once_and_takes_it_back(run, make_user, as_user):
    make_user(role="admin")
    bob = as_user(make_user(username="bob"))
    assert bob.delete("/api/v1/posts/all").status_code == 403
    assert run("users", "promote", "BOB") == "BOB is admin now\n"
    assert bob.delete("/api/v1/posts/all").status_code == 200
    assert run("users", "promote", "bob", "--role", "user") == "bob is user now\n"
    assert bob.delete("/api/v1/posts/all").status_code == 403


def test_disable_ends_the_sessions_at_once_and_enable_needs_a_new_login(run, make_user, as_user, client):
    bob = as_user(make_user(username="bob"))
    assert bob.post("/api/v1/posts", json=POST).status_code == 201
    assert run("users", "disable", "bob") == "bob is disabled\n"
    assert bob.post("/api/v1/posts", json=POST).status_code == 401
    assert _login(client, "bob") == 401
    assert run("users", "enable", "bob") == "bob is enabled\n"
    assert bob.post("/api/v1/posts", json=POST).status_code == 401
    assert _login(client, "bob") == 200


def test_the_last_admin_can_be_neither_demoted_nor_disabled(run, refused, make_user, sql):
    make_user(username="ada", role="admin")
    make_user(username="off", role="admin")
    run("users", "disable", "off")
    for arguments in (["promote", "ada", "--role", "user"], ["disable", "ada"]):
        assert "last admin" in refused("users", *arguments)
    assert sql("SELECT role, disabled_at FROM users WHERE username = 'ada'") == [("admin", None)]


@pytest.mark.parametrize("command", ["promote", "disable", "enable"])
@pytest.mark.parametrize("name", ["nobody", "gone", "two words", "\udcff"])
def test_an_unknown_or_deleted_name_is_one_line(refused, make_user, sql, command, name):
    make_user(username="gone")
    sql("UPDATE users SET deleted_at = created_at")
    assert refused("users", command, name) == "User not found"
