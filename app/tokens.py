"""PyJWT: mint and read access tokens (RFC 8725, RFC 9068)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from flask import current_app

from app.errors import Unauthorized
from app.models.base import now

ALGORITHM = "HS256"
ISSUER = "broadsheet"
TYPE = "at+jwt"
LEEWAY = timedelta(seconds=10)
REQUIRED = ["iss", "aud", "sub", "exp", "iat", "nbf", "jti"]
SESSION_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
LONGEST = 8192  # characters: a token of ours has under 400


@dataclass(frozen=True)
class AccessToken:
    """A token whose signature and claims have been checked; whether its session still lives has not."""

    user_id: int
    session_id: str


def mint(user_id: int, session_id: str, audience: str, expires_at: datetime) -> str:
    """Sign an access token for one audience. It carries ids only: roles are read from the database at each request."""
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
    return jwt.encode(claims, _key(), ALGORITHM, headers={"typ": TYPE})


def read(token: str, audiences: Collection[str]) -> AccessToken:
    """Check signature, type and every claim.

    :raises Unauthorized: `expired_token` or `invalid_token`.
    """
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
    return _checked(decoded["header"], decoded["payload"])


def _checked(header: dict[str, Any], claims: dict[str, Any]) -> AccessToken:
    """What PyJWT does not look at: the type, the kinds of the claims, a lifetime that we never give."""
    times = [claims["iat"], claims["nbf"], claims["exp"]]
    kinds_right = all(type(t) is int and t >= 0 for t in times) and SESSION_ID.fullmatch(claims["jti"])
    longest = timedelta(hours=current_app.config["V1_TOKEN_HOURS"]).total_seconds()
    subject = claims["sub"]
    if header.get("typ") != TYPE or not kinds_right or claims["exp"] - claims["iat"] > longest + 1:
        raise _invalid()
    if not (subject.isascii() and subject.isdigit() and len(subject) < 19):
        raise _invalid()
    return AccessToken(int(subject), claims["jti"])


def _key() -> str:
    key: str = current_app.config["SECRET_KEY"]
    return key


def _invalid() -> Unauthorized:
    return Unauthorized("Invalid token", code="invalid_token")
