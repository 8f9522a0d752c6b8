"""PyJWT: mint and read access and refresh tokens (RFC 8725, RFC 9068)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from flask import current_app

from app.errors import NotFound, Unauthorized
from app.models.base import now

ALGORITHM = "HS256"
ISSUER = "broadsheet"
ACCESS, REFRESH, UNSUBSCRIBE = "at+jwt", "rt+jwt", "unsubscribe+jwt"  # the kinds, as the header `typ` tells them apart
REFRESH_AUDIENCE = "refresh"
LEEWAY = timedelta(seconds=10)
REQUIRED = ["iss", "aud", "sub", "exp", "iat", "nbf", "jti"]
SESSION_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
LONGEST = 8192  # characters: a token of ours has under 400


@dataclass(frozen=True)
class AccessToken:
    """A token whose signature and claims have been checked; whether its session still lives has not.

    :ivar expires_at: seconds since the epoch.
    """

    user_id: int
    session_id: str
    audience: str
    expires_at: int


@dataclass(frozen=True)
class RefreshToken:
    """A checked refresh token; whether its `rotation` is the session's present one has not been checked."""

    user_id: int
    session_id: str
    rotation: int


def mint(user_id: int, session_id: str, audience: str, expires_at: datetime) -> str:
    """Sign an access token for one audience. It carries ids only: roles are read from the database at each request."""
    return _signed(ACCESS, audience, user_id, session_id, expires_at)


def mint_refresh(user_id: int, session_id: str, rotation: int, expires_at: datetime) -> str:
    """Sign a refresh token. Nothing of it is stored: the session counts its `rotation`."""
    return _signed(REFRESH, REFRESH_AUDIENCE, user_id, session_id, expires_at, rot=rotation)


def read(token: str, audiences: Collection[str]) -> AccessToken:
    """Check signature, type and every claim.

    :raises Unauthorized: `expired_token` or `invalid_token`.
    """
    claims = _claims(token, ACCESS, audiences)
    _check_lifetime(claims, current_app.config["ACCESS_TOKEN_LIFETIMES"].get(claims["aud"], timedelta()))
    return AccessToken(int(claims["sub"]), claims["jti"], claims["aud"], claims["exp"])


def read_refresh(token: str) -> RefreshToken:
    """Check a refresh token.

    :raises Unauthorized: `expired_token` or `invalid_token`.
    """
    claims = _claims(token, REFRESH, [REFRESH_AUDIENCE])
    _check_lifetime(claims, timedelta(days=current_app.config["REFRESH_TOKEN_DAYS"]))
    if type(claims.get("rot")) is not int or claims["rot"] < 0:
        raise _invalid()
    return RefreshToken(int(claims["sub"]), claims["jti"], claims["rot"])


def mint_unsubscribe(user_id: int, kind: str) -> str:
    """Sign what lets its bearer switch off this kind of mail for this user, for ever and nothing else."""
    claims = {"iss": ISSUER, "aud": UNSUBSCRIBE, "sub": str(user_id), "kind": kind}
    return jwt.encode(claims, _key(), ALGORITHM, headers={"typ": UNSUBSCRIBE})


def read_unsubscribe(token: str) -> tuple[int, str]:
    """The user's id and the kind.

    :raises NotFound: it is none of ours.
    """
    try:
        options: Any = {"require": ["iss", "aud", "sub", "kind"], "enforce_minimum_key_length": True}
        claims = jwt.decode(token, _key(), algorithms=[ALGORITHM], issuer=ISSUER, audience=UNSUBSCRIBE, options=options)
        return int(claims["sub"]), str(claims["kind"])
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise NotFound from None


def _signed(kind: str, audience: str, user_id: int, session_id: str, expires_at: datetime, **more: int) -> str:
    issued = int(now().timestamp())
    claims = {
        "iss": ISSUER,
        "aud": audience,
        "sub": str(user_id),
        "iat": issued,
        "nbf": issued,
        "exp": int(expires_at.timestamp()),
        "jti": session_id,
    }
    return jwt.encode(claims | more, _key(), ALGORITHM, headers={"typ": kind})


def _claims(token: str, kind: str, audiences: Collection[str]) -> dict[str, Any]:
    if len(token) > LONGEST:
        raise _invalid()
    try:
        decoded = jwt.decode_complete(
            token,
            _key(),
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=list(audiences),
            leeway=LEEWAY,
            options={"require": REQUIRED, "enforce_minimum_key_length": True},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthorized("Token has expired", code="expired_token") from None
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):  # a claim of 10^30, a lone surrogate
        raise _invalid() from None
    claims: dict[str, Any] = decoded["payload"]
    if decoded["header"].get("typ") != kind or not _well_formed(claims):
        raise _invalid()
    return claims


def _check_lifetime(claims: dict[str, Any], longest: timedelta) -> None:
    """A token that lives longer than we ever say was minted by a fault."""
    if claims["exp"] - claims["iat"] > longest.total_seconds() + 1:
        raise _invalid()


def _well_formed(claims: dict[str, Any]) -> bool:
    """What PyJWT does not look at: the kinds of the claims."""
    times = [claims["iat"], claims["nbf"], claims["exp"]]
    subject = claims["sub"]
    return (
        all(type(t) is int and t >= 0 for t in times)
        and type(claims["aud"]) is str
        and SESSION_ID.fullmatch(claims["jti"]) is not None
        and subject.isascii()
        and subject.isdigit()
        and len(subject) < 19
    )


def _key() -> str:
    key: str = current_app.config["SECRET_KEY"]
    return key


def _invalid() -> Unauthorized:
    return Unauthorized("Invalid token", code="invalid_token")
