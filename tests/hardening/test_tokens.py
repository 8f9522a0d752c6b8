"""Tokens that are not ours, or not what they say (HARDENING A and B)."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest

import config
from app import tokens
from app.errors import Unauthorized
from app.models.base import now
from tests.factories import PASSWORD
from tests.hardening.answers import assert_refused, nothing_written

POSTS, USERS = "/api/v1/posts", "/api/v1/users"
HEADER = json.dumps({"typ": tokens.ACCESS, "alg": "HS256"})
HUGE = 10**30
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----"""


def encoded(part: str | bytes) -> str:
    data = part.encode() if isinstance(part, str) else part
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed_text(header: str, payload: str, key: str, alg: str = "HS256") -> str:
    """A token of exactly these texts, whatever the key (PyJWT would refuse some)."""
    text = f"{encoded(header)}.{encoded(payload)}"
    return f"{text}.{encoded(jwt.get_algorithm_by_name(alg).sign(text.encode(), key.encode()))}"


@pytest.fixture
def alice(make_user):
    return make_user(username="alice")


@pytest.fixture
def claims(alice, token_of) -> dict[str, Any]:
    """The claims of a good v1 token of a living session."""
    return dict(jwt.decode(token_of(alice), options={"verify_signature": False}))


@pytest.fixture
def signed(app) -> Callable[..., str]:
    """signed(claims, name=header field …): a token under our own key, as a bug in minting would make it."""

    def sign(claims: Any, **header: Any) -> str:
        return signed_text(json.dumps(json.loads(HEADER) | header), json.dumps(claims), app.config["SECRET_KEY"])

    return sign


@pytest.fixture
def write(client) -> Callable[[str], Any]:
    """write(token): the answer to a post written with it."""
    new = {"title": "t", "content": "c"}
    return lambda token: client.post(POSTS, json=new, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def refused(client, write, sql) -> Callable[..., None]:
    """refused(token): 401 as RFC 6750 wants it, at both doors that take a token, and nothing written."""
    admin = {"username": "mallory", "password": PASSWORD, "role": "admin"}

    def check(token: str, *codes: str) -> None:
        with nothing_written(sql):
            answers = [write(token), client.post(USERS, json=admin, headers={"Authorization": f"Bearer {token}"})]
        for answer in answers:
            assert_refused(answer, POSTS, 401)
            assert answer.json["code"] in (codes or ("invalid_token",))
            assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="broadsheet", error="invalid_token"')

    return check


def test_what_these_tests_sign_is_good_until_they_spoil_it(claims, signed, write):
    assert write(signed(claims)).status_code == 201


def test_a1_no_algorithm_is_none(claims, signed, refused, subtests):
    for alg in ("none", "None", "NoNe", "nOnE", "NONE", "", None):
        with subtests.test(alg=alg):
            unsigned = f"{encoded(json.dumps({'typ': tokens.ACCESS, 'alg': alg}))}.{encoded(json.dumps(claims))}"
            refused(unsigned)
            refused(f"{unsigned}.")
            refused(f"{unsigned}.{signed(claims).rpartition('.')[2]}")


@pytest.mark.parametrize("alg", ["HS384", "HS512"])
def test_a2_another_algorithm_is_refused_however_well_it_signs(alg, claims, app, signed, write, refused, monkeypatch):
    """With a key that is long enough for it: PyJWT refuses a shorter one by itself."""
    key = app.config["SECRET_KEY"] * 2
    monkeypatch.setitem(app.config, "SECRET_KEY", key)
    assert write(signed(claims)).status_code == 201
    refused(signed_text(HEADER.replace("HS256", alg), json.dumps(claims), key, alg))
    refused(signed_text(HEADER, json.dumps(claims), key, alg))


@pytest.mark.parametrize("key", [PUBLIC_KEY, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChHJMkMqLQcZ7MzxWvNYhcVK0v0B"])
def test_a3_a_public_key_is_no_secret(key, claims, refused):
    with pytest.raises(config.ConfigError, match=r"^SECRET_KEY: "):
        config.load({"SECRET_KEY": key})
    refused(signed_text(HEADER, json.dumps(claims), key))


def test_a4_a_flipped_bit_is_seen_in_each_part(claims, signed, refused):
    parts = signed(claims).split(".")
    for number, part in enumerate(parts):
        data = bytearray(base64.urlsafe_b64decode(part + "=="))
        for at in (0, len(data) // 2, len(data) - 1):
            data[at] ^= 1
            refused(".".join([*parts[:number], encoded(bytes(data)), *parts[number + 1 :]]))
            data[at] ^= 1


def test_a4_a_signature_belongs_to_its_token(alice, claims, signed, token_of, refused):
    mine, other = signed(claims).rpartition(".")[0], token_of(alice).rpartition(".")[2]
    for token in (mine, f"{mine}.", f"{mine}.{other}"):
        refused(token)


def test_a5_no_header_brings_a_key_or_a_connection(claims, signed, write, refused, subtests):
    """A key out of the header would verify a token that its sender has signed himself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/key"
        for header in (
            {"jku": url},
            {"x5u": url},
            {"jwk": {"kty": "oct", "k": encoded("x" * 32)}},
            {"kid": "../../dev/null"},
            {"kid": "' OR 1=1 --"},
            {"kid": 1},
            {"crit": ["exp"]},
            {"b64": False},
            {"zip": "DEF"},
        ):
            with subtests.test(header=header):
                for key in ("x" * 32, "\0" * 32):
                    refused(signed_text(json.dumps(json.loads(HEADER) | header), json.dumps(claims), key))
                assert write(signed(claims, **header)).status_code in (201, 401)
                with pytest.raises(BlockingIOError):
                    listener.accept()


@pytest.mark.parametrize("size", [0, 1, 31])
def test_a7_a_short_key_does_not_start(size):
    with pytest.raises(config.ConfigError, match=r"^SECRET_KEY: "):
        config.load({"SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz"[:size], "DATA_DIR": "/nonexistent"})


def test_a8_garbage_is_an_invalid_token(refused, subtests):
    for garbage in (
        *(
            "x",
            ".",
            "..",
            "a.b.c",
            "a.b.c.d",
            "a.b.c.d.e",
            "a.b.c.d.e.f",
            "!!!.???.***",
            "null",
            "\x00",
            "Bearer",
            "a b",
        ),
        *("\xe9\xff.\xe9.\xe9", "A" * 8000, encoded(b"\xff\xfe") + ".e30.", encoded("null") + ".e30."),
        encoded("[" * 5900) + ".e30.",
        f"{encoded(HEADER)}.{encoded('[' * 5000)}.{'A' * 43}",
        f"{encoded(HEADER)}.{encoded('[1]')}.{'A' * 43}",
        f"{encoded(json.dumps({'alg': 'HS256', 'typ': chr(0xD800)}))}.e30.{'A' * 43}",
    ):
        with subtests.test(garbage=garbage[:12]):
            refused(garbage)


def test_a8_no_token_is_a_missing_one_and_only_bearer_is_a_scheme(client, claims, signed, sql, subtests):
    missing, invalid = (("", "Bearer", "bearer   "), ("Basic", "Digest", "Token", "JWT", "Bearer:"))
    cases = [(header, "missing_token") for header in missing]
    cases += [(f"{scheme} {signed(claims)}", "invalid_token") for scheme in invalid]
    for header, code in cases:
        with subtests.test(header=header[:12]):
            with nothing_written(sql):
                answer = client.post(POSTS, json={"title": "t", "content": "c"}, headers={"Authorization": header})
            assert_refused(answer, POSTS, 401)
            assert answer.json["code"] == code
            assert ("error=" in answer.headers["WWW-Authenticate"]) == (code == "invalid_token")


@pytest.mark.parametrize("text", ["\ud800", "a.\ud800.b", "\x00", "\udcff" * 100, "١.٢.٣", "A" * 8193, "[" * 10**5])
def test_a9_what_is_no_token_is_an_invalid_one_wherever_it_comes_from(text, app):
    """In JSON a lone surrogate can stand in it."""
    with app.app_context(), pytest.raises(Unauthorized) as caught:
        tokens.read(text, ["v1"])
    assert caught.value.code == "invalid_token"


def test_a10_a_revoked_token_is_revoked_in_every_spelling(claims, signed, refused, sql):
    token = signed(claims)
    sql("UPDATE sessions SET revoked_at = created_at")
    refused(token, "revoked_token")
    for spelling in (f"{token}=", f"{token}==", token.replace(".", "=."), f" {token}", f"{token} "):
        refused(spelling, "revoked_token", "invalid_token")


def test_a12_the_last_of_two_equal_names_wins_because_only_we_can_sign_them(app, alice, claims, write, refused):
    del claims["sub"]
    key, rest = app.config["SECRET_KEY"], json.dumps(claims)[1:-1]
    assert write(signed_text(HEADER, f'{{"sub": "999", {rest}, "sub": "{alice.id}"}}', key)).status_code == 201
    refused(signed_text(HEADER, f'{{"sub": "{alice.id}", {rest}, "sub": "999"}}', key), "revoked_token")


def test_b1_no_claim_may_be_missing(claims, signed, refused, subtests):
    for name in tokens.REQUIRED:
        with subtests.test(name=name):
            refused(signed({other: value for other, value in claims.items() if other != name}))


def test_b2_a_token_ends_when_it_says_with_ten_seconds_for_clocks(claims, signed, write, refused):
    for seconds in (3600, -7):
        assert write(signed(claims | times(ends_in=seconds))).status_code == 201
    for seconds in (-12, -3600):
        refused(signed(claims | times(ends_in=seconds)), "expired_token")


def times(ends_in: int) -> dict[str, int]:
    ends = int(time.time()) + ends_in
    return {"exp": ends, "iat": ends - 7200, "nbf": ends - 7200}


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_b3_a_token_of_the_future_waits_but_for_clocks_that_differ(name, claims, signed, write, refused):
    assert write(signed(claims | {name: int(time.time()) + 5})).status_code == 201
    refused(signed(claims | {name: int(time.time()) + 60}))


def test_b4_issuer_and_audience_are_ours(claims, signed, refused, subtests):
    issuers = ({"iss": issuer} for issuer in ("https://evil.example", ["broadsheet"], ""))
    audiences = ({"aud": audience} for audience in ("v3", ["v3", "v4"], [], {"v1": 1}, [1], ""))
    for wrong in (*issuers, *audiences):
        with subtests.test(**wrong):
            refused(signed(claims | wrong))


def test_b5_no_other_kind_of_token_is_an_access_token(claims, signed, refused, subtests):
    for typ in ("JWT", "rt+jwt", "reset+jwt", "at+jwt ", "AT+JWT", "", None, 1, ["at+jwt"]):
        with subtests.test(typ=typ):
            refused(signed(claims, typ=typ))
    for audience in ("refresh", "reset", "verify"):
        with subtests.test(audience=audience):
            refused(signed(claims | {"aud": audience}))


def test_b5_a_token_for_v1_opens_v1_alone_and_one_for_v2_both(app, alice, token_of, write):
    assert write(token_of(alice, "v2")).status_code == 201
    with app.app_context(), pytest.raises(Unauthorized):
        tokens.read(token_of(alice, "v1"), ["v2"])


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_b6_a_time_is_a_whole_number_of_seconds(name, claims, signed, refused, subtests):
    texts = ("abc", "9999999999", "1e400", "")
    for value in (*texts, float("inf"), float("nan"), [], [9999999999], {}, True, None, HUGE, -HUGE, 1.5, -1):
        with subtests.test(value=str(value)):
            refused(signed(claims | {name: value}), "invalid_token", "expired_token")


def test_b6_a_lifetime_that_we_never_give_is_refused(app, claims, signed, write, refused):
    longest = app.config["V1_TOKEN_HOURS"] * 3600
    assert write(signed(claims | {"exp": claims["iat"] + longest})).status_code == 201
    refused(signed(claims | {"exp": claims["iat"] + longest + 60}))
    refused(signed(claims | {"iat": 0}))


def test_b6_a_subject_is_an_id_and_a_session_is_one_of_ours(claims, signed, refused, subtests):
    subjects = (1, None, [], "", "0x1", "-1", "1 ", "١", "1" * 19, "1" * 5000, "1\x00", "\ud800", "me")
    sessions = (1, None, [], "", "\x00" * 32, "\ud800" * 32, "A" * 32, "a" * 33, "' OR 1=1 --")
    for wrong in (*({"sub": sub} for sub in subjects), *({"jti": jti} for jti in sessions)):
        with subtests.test(wrong=ascii(wrong)[:40]):
            refused(signed(claims | wrong))
    for unknown in ({"sub": "0"}, {"sub": "9" * 18}, {"jti": "0" * 32}):
        with subtests.test(unknown=unknown):
            refused(signed(claims | unknown), "revoked_token")


def test_b8_a_role_is_read_from_the_database(claims, signed, client, sql):
    for forged in ({"role": "admin"}, {"is_admin": True}, {"scope": "admin"}, {"roles": ["admin"]}):
        with nothing_written(sql):
            token = signed(claims | forged)
            answer = client.delete("/api/v1/posts/all", headers={"Authorization": f"Bearer {token}"})
        assert_refused(answer, POSTS, 403)


def test_b9_a_minted_token_says_ids_and_times_and_nothing_else(app):
    with app.app_context():
        minted = [tokens.mint(n, f"{n:032x}", "v1", now() + timedelta(hours=24)) for n in range(1, 1001)]
    for n, token in enumerate(minted, 1):
        header, payload = (base64.urlsafe_b64decode(part + "==").decode() for part in token.split(".")[:2])
        assert json.loads(header) == {"alg": "HS256", "typ": "at+jwt"}
        claims = json.loads(payload)
        assert set(claims) == set(tokens.REQUIRED)
        assert all(payload.count(f'"{name}"') == 1 for name in claims)
        assert (claims["sub"], claims["jti"], claims["aud"], claims["iss"]) == (str(n), f"{n:032x}", "v1", "broadsheet")
        assert claims["exp"] - claims["iat"] <= 24 * 3600


def test_b9_the_token_of_a_login_says_no_name_and_lives_a_day(client, make_user):
    make_user(username="zelda-the-writer", email="zelda@example.org", mobile="+49 170 1")
    answer = client.post("/api/v1/users/login", json={"username": "zelda-the-writer", "password": PASSWORD})
    payload = base64.urlsafe_b64decode(answer.json["token"].split(".")[1] + "==").decode()
    claims = json.loads(payload)
    assert "zelda" not in payload
    assert set(claims) == set(tokens.REQUIRED)
    assert claims["exp"] - claims["iat"] in range(24 * 3600 - 1, 24 * 3600 + 1)
