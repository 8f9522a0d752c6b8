"""Tokens that are not ours, or not what they say (HARDENING A and B).

What is done to a token is done to each kind: v1's access tokens, v2's, and refresh tokens.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

import config
from app import tokens
from app.errors import Unauthorized
from app.models.base import now
from tests.factories import PASSWORD
from tests.hardening.answers import assert_refused, nothing_written

POSTS, USERS, REFRESH = "/api/v1/posts", "/api/v1/users", "/api/v2/auth/refresh"
DOORS = {"v1": POSTS, "v2": "/api/v2/posts", "refresh": REFRESH}  # by audience, where such a token is taken
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


@pytest.fixture(params=DOORS)
def audience(request) -> str:
    """The kind of token that the test is about."""
    kind: str = request.param
    return kind


@pytest.fixture
def header(audience) -> str:
    """The header that such a token has."""
    return json.dumps({"typ": tokens.REFRESH if audience == "refresh" else tokens.ACCESS, "alg": "HS256"})


@pytest.fixture
def claims(alice, token_of, audience) -> dict[str, Any]:
    """The claims of a good token of a living session."""
    return dict(jwt.decode(token_of(alice, audience), options={"verify_signature": False}))


@pytest.fixture
def signed(app, header) -> Callable[..., str]:
    """signed(claims, name=header field …): a token under our own key, as a bug in minting would make it."""

    def sign(claims: Any, **changed: Any) -> str:
        return signed_text(json.dumps(json.loads(header) | changed), json.dumps(claims), app.config["SECRET_KEY"])

    return sign


@pytest.fixture
def write(client, audience) -> Callable[[str], Any]:
    """write(token): the answer to a post written with it, or to trading it for new tokens."""
    new = {"title": "t", "content": "c"}

    def send(token: str) -> Any:
        if audience == "refresh":
            return client.post(REFRESH, json={"refresh_token": token})
        return client.post(DOORS[audience], json=new, headers={"Authorization": f"Bearer {token}"})

    return send


@pytest.fixture
def taken(write) -> Callable[[str], bool]:
    """taken(token): whether it is good."""
    return lambda token: write(token).status_code in (200, 201)


@pytest.fixture
def refused(client, write, sql, audience) -> Callable[..., None]:
    """refused(token): 401 as RFC 6750 wants it, at every door that takes a token, and nothing written."""
    admin = {"username": "mallory", "password": PASSWORD, "role": "admin"}

    def check(token: str, *codes: str) -> None:
        shown = {"Authorization": f"Bearer {token}"}
        more = {
            "v1": lambda: [client.post(USERS, json=admin, headers=shown)],
            "v2": lambda: [client.get("/api/v2/me", headers=shown)],
            "refresh": list,
        }
        with nothing_written(sql):
            answers = [write(token), *more[audience]()]
        for answer in answers:
            assert_refused(answer, DOORS[audience], 401)
            assert answer.json["code"] in (codes or ("invalid_token",))
            assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="broadsheet", error="invalid_token"')

    return check


def test_what_these_tests_sign_is_good_until_they_spoil_it(claims, signed, taken):
    assert taken(signed(claims))


def test_a1_no_algorithm_is_none(claims, header, signed, refused, subtests):
    for alg in ("none", "None", "NoNe", "nOnE", "NONE", "", None):
        with subtests.test(alg=alg):
            unsigned = f"{encoded(json.dumps(json.loads(header) | {'alg': alg}))}.{encoded(json.dumps(claims))}"
            refused(unsigned)
            refused(f"{unsigned}.")
            refused(f"{unsigned}.{signed(claims).rpartition('.')[2]}")


@pytest.mark.parametrize("alg", ["HS384", "HS512"])
def test_a2_another_algorithm_is_refused_however_well_it_signs(
    alg, claims, header, app, signed, taken, refused, monkeypatch
):
    """With a key that is long enough for it: PyJWT refuses a shorter one by itself."""
    key = app.config["SECRET_KEY"] * 2
    monkeypatch.setitem(app.config, "SECRET_KEY", key)
    assert taken(signed(claims))
    refused(signed_text(header.replace("HS256", alg), json.dumps(claims), key, alg))
    refused(signed_text(header, json.dumps(claims), key, alg))


@pytest.mark.parametrize("key", [PUBLIC_KEY, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChHJMkMqLQcZ7MzxWvNYhcVK0v0B"])
def test_a3_a_public_key_is_no_secret(key, claims, header, refused):
    with pytest.raises(config.ConfigError, match=r"^SECRET_KEY: "):
        config.load({"SECRET_KEY": key})
    refused(signed_text(header, json.dumps(claims), key))


def test_a4_a_flipped_bit_is_seen_in_each_part(claims, signed, refused):
    parts = signed(claims).split(".")
    for number, part in enumerate(parts):
        data = bytearray(base64.urlsafe_b64decode(part + "=="))
        for at in (0, len(data) // 2, len(data) - 1):
            data[at] ^= 1
            refused(".".join([*parts[:number], encoded(bytes(data)), *parts[number + 1 :]]))
            data[at] ^= 1


def test_a4_a_signature_belongs_to_its_token(alice, audience, claims, signed, token_of, refused):
    mine, other = signed(claims).rpartition(".")[0], token_of(alice, audience).rpartition(".")[2]
    for token in (mine, f"{mine}.", f"{mine}.{other}"):
        refused(token)


def test_a5_no_header_brings_a_key_or_a_connection(claims, header, signed, write, refused, subtests):
    """A key out of the header would verify a token that its sender has signed himself."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/key"
        for forged in (
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
            with subtests.test(header=forged):
                for key in ("x" * 32, "\0" * 32):
                    refused(signed_text(json.dumps(json.loads(header) | forged), json.dumps(claims), key))
                assert write(signed(claims, **forged)).status_code in (200, 201, 401)
                with pytest.raises(BlockingIOError):
                    listener.accept()


@pytest.mark.parametrize("size", [0, 1, 31])
def test_a7_a_short_key_does_not_start(size):
    with pytest.raises(config.ConfigError, match=r"^SECRET_KEY: "):
        config.load({"SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz"[:size], "DATA_DIR": "/nonexistent"})


def test_a8_garbage_is_an_invalid_token(header, refused, subtests):
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
        f"{encoded(header)}.{encoded('[' * 5000)}.{'A' * 43}",
        f"{encoded(header)}.{encoded('[1]')}.{'A' * 43}",
        f"{encoded(json.dumps({'alg': 'HS256', 'typ': chr(0xD800)}))}.e30.{'A' * 43}",
    ):
        with subtests.test(garbage=garbage[:12]):
            refused(garbage)


@pytest.mark.parametrize("audience", ["v1", "v2"], indirect=True)
def test_a8_no_token_is_a_missing_one_and_only_bearer_is_a_scheme(audience, client, claims, signed, sql, subtests):
    missing, invalid = (("", "Bearer", "bearer   "), ("Basic", "Digest", "Token", "JWT", "Bearer:"))
    cases = [(shown, "missing_token") for shown in missing]
    cases += [(f"{scheme} {signed(claims)}", "invalid_token") for scheme in invalid]
    new, path = {"title": "t", "content": "c"}, DOORS[audience]
    for shown, code in cases:
        with subtests.test(header=shown[:12]):
            with nothing_written(sql):
                answer = client.post(path, json=new, headers={"Authorization": shown})
            assert_refused(answer, path, 401)
            assert answer.json["code"] == code
            assert ("error=" in answer.headers["WWW-Authenticate"]) == (code == "invalid_token")


@pytest.mark.parametrize("text", ["\ud800", "a.\ud800.b", "\x00", "\udcff" * 100, "١.٢.٣", "A" * 8193, "[" * 10**5])
def test_a9_what_is_no_token_is_an_invalid_one_wherever_it_comes_from(text, app):
    """In JSON a lone surrogate can stand in it."""
    for read in (lambda: tokens.read(text, ["v1", "v2"]), lambda: tokens.read_refresh(text)):
        with app.app_context(), pytest.raises(Unauthorized) as caught:
            read()
        assert caught.value.code == "invalid_token"


def test_a10_a_revoked_token_is_revoked_in_every_spelling(claims, signed, refused, sql):
    token = signed(claims)
    sql("UPDATE sessions SET revoked_at = created_at")
    refused(token, "revoked_token")
    for spelling in (f"{token}=", f"{token}==", token.replace(".", "=."), f" {token}", f"{token} "):
        refused(spelling, "revoked_token", "invalid_token")


def test_a12_the_last_of_two_equal_names_wins_because_only_we_can_sign_them(app, alice, claims, header, taken, refused):
    del claims["sub"]
    key, rest = app.config["SECRET_KEY"], json.dumps(claims)[1:-1]
    assert taken(signed_text(header, f'{{"sub": "999", {rest}, "sub": "{alice.id}"}}', key))
    refused(signed_text(header, f'{{"sub": "{alice.id}", {rest}, "sub": "999"}}', key), "revoked_token")


def test_b1_no_claim_may_be_missing(claims, signed, refused, subtests):
    for name in claims:
        with subtests.test(name=name):
            refused(signed({other: value for other, value in claims.items() if other != name}))


def test_b2_a_token_ends_when_it_says_with_ten_seconds_for_clocks(claims, signed, taken, refused):
    for seconds in (600, -7):
        assert taken(signed(claims | times(ends_in=seconds)))
    for seconds in (-12, -3600):
        refused(signed(claims | times(ends_in=seconds)), "expired_token")


def times(ends_in: int) -> dict[str, int]:
    ends = int(time.time()) + ends_in
    return {"exp": ends, "iat": ends - 800, "nbf": ends - 800}


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_b3_a_token_of_the_future_waits_but_for_clocks_that_differ(name, claims, signed, taken, refused):
    assert taken(signed(claims | {name: int(time.time()) + 5}))
    refused(signed(claims | {name: int(time.time()) + 60}))


FOREIGN = {"v1": ("refresh",), "v2": ("v1", "refresh"), "refresh": ("v1", "v2")}


def test_b4_issuer_and_audience_are_ours(audience, claims, signed, refused, subtests):
    """v2's access tokens alone are good in both versions."""
    issuers = ({"iss": issuer} for issuer in ("https://evil.example", ["broadsheet"], ""))
    theirs = ("v3", ["v3", "v4"], [audience], [], {audience: 1}, [1], "", *FOREIGN[audience])
    for wrong in (*issuers, *({"aud": foreign} for foreign in theirs)):
        with subtests.test(**wrong):
            refused(signed(claims | wrong))


def test_b5_no_other_kind_of_token_is_of_this_kind(header, claims, signed, refused, subtests):
    ours = json.loads(header)["typ"]
    others = {"at+jwt", "rt+jwt"} - {ours}
    for typ in (*others, "JWT", "reset+jwt", f"{ours} ", ours.upper(), "", None, 1, [ours]):
        with subtests.test(typ=typ):
            refused(signed(claims, typ=typ))
    for foreign in ("reset", "verify"):
        with subtests.test(audience=foreign):
            refused(signed(claims | {"aud": foreign}))


@pytest.mark.parametrize("audience", ["v1"], indirect=True)
def test_b5_a_token_for_v1_opens_v1_alone_and_one_for_v2_both(audience, app, alice, token_of, taken):
    assert taken(token_of(alice, "v2"))
    with app.app_context(), pytest.raises(Unauthorized):
        tokens.read(token_of(alice, "v1"), ["v2"])


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_b6_a_time_is_a_whole_number_of_seconds(name, claims, signed, refused, subtests):
    texts = ("abc", "9999999999", "1e400", "")
    for value in (*texts, float("inf"), float("nan"), [], [9999999999], {}, True, None, HUGE, -HUGE, 1.5, -1):
        with subtests.test(value=str(value)):
            refused(signed(claims | {name: value}), "invalid_token", "expired_token")


def test_b6_a_lifetime_that_we_never_give_is_refused(app, audience, claims, signed, taken, refused):
    hour, lifetimes = 3600, app.config["ACCESS_TOKEN_LIFETIMES"]
    refresh = app.config["REFRESH_TOKEN_DAYS"] * 24 * hour
    longest = refresh if audience == "refresh" else int(lifetimes[audience].total_seconds())
    assert taken(signed(claims | {"exp": claims["iat"] + longest}))
    refused(signed(claims | {"exp": claims["iat"] + longest + 60}))
    refused(signed(claims | {"iat": 0}))


@pytest.mark.parametrize("audience", ["refresh"], indirect=True)
def test_b6_a_rotation_is_a_number(audience, claims, signed, refused, subtests):
    for rotation in (-1, "0", None, 0.0, True, False, [], [0], {}, float("nan"), "", -HUGE):
        with subtests.test(rotation=str(rotation)):
            refused(signed(claims | {"rot": rotation}))


def test_b6_a_subject_is_an_id_and_a_session_is_one_of_ours(claims, signed, refused, subtests):
    subjects = (1, None, [], "", "0x1", "-1", "1 ", "١", "1" * 19, "1" * 5000, "1\x00", "\ud800", "me")
    sessions = (1, None, [], "", "\x00" * 32, "\ud800" * 32, "A" * 32, "a" * 33, "' OR 1=1 --")
    for wrong in (*({"sub": sub} for sub in subjects), *({"jti": jti} for jti in sessions)):
        with subtests.test(wrong=ascii(wrong)[:40]):
            refused(signed(claims | wrong))
    for unknown in ({"sub": "0"}, {"sub": "9" * 18}, {"jti": "0" * 32}):
        with subtests.test(unknown=unknown):
            refused(signed(claims | unknown), "revoked_token")


@pytest.mark.parametrize("audience", ["v1", "v2"], indirect=True)
def test_b8_a_role_is_read_from_the_database(audience, claims, signed, client, sql):
    method, path = {"v1": ("DELETE", "/api/v1/posts/all"), "v2": ("GET", "/api/v2/admin/users")}[audience]
    for forged in ({"role": "admin"}, {"is_admin": True}, {"scope": "admin"}, {"roles": ["admin"]}):
        with nothing_written(sql):
            shown = {"Authorization": f"Bearer {signed(claims | forged)}"}
            answer = client.open(path, method=method, headers=shown)
        assert_refused(answer, path, 403)


@pytest.mark.parametrize("audience", ["v1", "v2"], indirect=True)
def test_b9_a_minted_token_says_ids_and_times_and_nothing_else(app, audience):
    longest = app.config["ACCESS_TOKEN_LIFETIMES"][audience]
    with app.app_context():
        minted = [tokens.mint(n, f"{n:032x}", audience, now() + longest) for n in range(1, 1001)]
    for n, token in enumerate(minted, 1):
        said, payload = (base64.urlsafe_b64decode(part + "==").decode() for part in token.split(".")[:2])
        assert json.loads(said) == {"alg": "HS256", "typ": "at+jwt"}
        claims = json.loads(payload)
        assert set(claims) == set(tokens.REQUIRED)
        assert all(payload.count(f'"{name}"') == 1 for name in claims)
        assert (claims["sub"], claims["jti"]) == (str(n), f"{n:032x}")
        assert (claims["aud"], claims["iss"]) == (audience, "broadsheet")
        assert claims["exp"] - claims["iat"] <= longest.total_seconds()


def test_b9_the_token_of_a_login_says_no_name_and_lives_a_day(client, make_user):
    make_user(username="zelda-the-writer", email="zelda@example.org", mobile="+49 170 1")
    answer = client.post("/api/v1/users/login", json={"username": "zelda-the-writer", "password": PASSWORD})
    payload = base64.urlsafe_b64decode(answer.json["token"].split(".")[1] + "==").decode()
    claims = json.loads(payload)
    assert "zelda" not in payload
    assert set(claims) == set(tokens.REQUIRED)
    assert claims["exp"] - claims["iat"] in range(24 * 3600 - 1, 24 * 3600 + 1)
