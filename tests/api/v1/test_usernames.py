"""Names that compare equal are one name (HARDENING D12, RFC 8265)."""

from __future__ import annotations

import pytest

USERS = "/api/v1/users"


@pytest.mark.parametrize(
    ("taken", "asked"),
    [
        ("admin", "Admin"),
        ("Admin", "ADMIN"),
        ("admin", "ａｄｍｉｎ"),
        ("ａｄｍｉｎ", "admin"),
        ("Zoe\N{COMBINING DIAERESIS}", "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"),
        ("ΑΛΙΚΗ", "αλικη"),
        ("小明", "小明"),
    ],
)
def test_a_name_that_compares_equal_is_taken(register, sql, taken, asked):
    """HARDENING D12, RFC 8265 UsernameCaseMapped."""
    assert register(username=taken).status_code == 201
    answer = register(username=asked)
    assert (answer.status_code, answer.json["message"]) == (400, "Username already exists")
    assert list(answer.json["errors"]) == ["username"]
    assert sql("SELECT count(*) FROM users") == [(1,)]


def test_a_name_that_compares_equal_cannot_be_taken_by_a_change(make_user, as_user):
    make_user(username="admin")
    alice = make_user(username="alice")
    answer = as_user(alice).put(f"{USERS}/{alice.id}", json={"username": "ＡＤＭＩＮ", "mobile": "0123"})
    assert (answer.status_code, answer.json["message"]) == (400, "Username already exists")


def test_ones_own_name_may_change_its_case(make_user, as_user):
    alice = make_user(username="alice")
    assert as_user(alice).put(f"{USERS}/{alice.id}", json={"username": "Alice"}).json["username"] == "Alice"


def test_a_login_compares_names_as_the_registration_does(make_user, log_in):
    make_user(username="Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}")
    assert log_in("ZOE\N{COMBINING DIAERESIS}")[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        "admin\u200b",
        "a b",
        "a\nb",
        "a\x00b",
        " ",
        "\u202eabc",
        "x" * 81,
        "\N{HEBREW LETTER SHIN WITH DAGESH AND SHIN DOT}" * 80,  # 240 characters once it is normalised
        7,
        None,
        ["dora"],
    ],
    ids=ascii,
)
def test_a_name_that_is_none_is_refused_by_name(register, sql, name):
    answer = register(username=name)
    assert (answer.status_code, list(answer.json["errors"])) == (400, ["username"])
    assert sql("SELECT id FROM users") == []


@pytest.mark.parametrize(
    "name", ["x" * 80, "小明", "josé", "a_b-c.d@e+f", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}" * 80]
)
def test_a_name_in_any_script_can_be_registered(register, log_in, name):
    assert register(username=name).json["username"] == name
    assert log_in(name)[0] == 200
