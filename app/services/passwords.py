"""Passwords: which are good enough, and their hashes."""

from __future__ import annotations

from functools import cache

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.extensions import bcrypt

COMMONEST = 3000
COMMON = frozenset(FREQUENCY_LISTS["passwords"][:COMMONEST])


def fault(password: str, username: str) -> str | None:
    """Why the password is too easy to guess (ASVS 5.0 V6.2.4), or None."""
    if password.casefold() in COMMON:
        return "is one of the most common passwords"
    if password.casefold() == username.casefold():
        return "must not be the username"
    return None


def hash_of(password: str) -> str:
    """A bcrypt hash of all of it, however long (`BCRYPT_HANDLE_LONG_PASSWORDS`)."""
    return str(bcrypt.generate_password_hash(password), "ascii")


def matches(password: str, password_hash: str | None) -> bool:
    """Whether the hash is the password's. Without a hash it is False and takes as long, so that time tells nothing."""
    right = bool(bcrypt.check_password_hash(password_hash or _nobody(), password))
    return right and password_hash is not None


@cache
def _nobody() -> str:
    return hash_of("nobody has this password")
