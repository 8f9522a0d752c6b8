"""The far cache: entries in Redis, for other processes and for a warm restart. It is never asked what is current."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import orjson
import redis
from cachelib.serializers import BaseSerializer
from flask import Flask
from flask_caching.backends.rediscache import RedisCache

log = logging.getLogger(__name__)
TIMEOUT_SECONDS = 0.1
BREAKER_SECONDS = 2.0
SEAL_BYTES = 16


class Sealed(BaseSerializer):
    """Bytes as they are, anything else as JSON, under a seal: nothing that Redis holds is ever executed, and what we
    did not put there is a miss.
    """

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(f"far cache {secret}".encode()).digest()

    def dumps(self, value: Any, *_: Any, **__: Any) -> bytes:
        """The seal, a byte that says which, the value."""
        if type(value) is int:  # INCRBY counts on plain digits
            return str(value).encode()
        data = b"b" + value if isinstance(value, bytes) else b"j" + orjson.dumps(value)
        return self._seal(data) + data

    def loads(self, value: bytes | None, *_: Any, **__: Any) -> Any:  # type: ignore[override]
        """What `dumps` made, or None."""
        if not value:
            return None
        if value.isdigit():
            return int(value[:19])
        data = value[SEAL_BYTES:]
        if not hmac.compare_digest(value[:SEAL_BYTES], self._seal(data)):
            return None
        return data[1:] if data[:1] == b"b" else orjson.loads(data[1:])

    def _seal(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=self._key, digest_size=SEAL_BYTES).digest()


class Breaker:
    """Lets nothing through for a while after a failure, so that a slow Redis costs one timeout, not one a request."""

    def __init__(self) -> None:
        self._open_until = 0.0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether nothing is let through just now."""
        return time.monotonic() < self._open_until

    def call(self, work: Callable[[], Any], otherwise: Any) -> Any:
        """The work's value, or `otherwise` when Redis does not answer or did not a moment ago."""
        if self.is_open:
            return otherwise
        try:
            return work()
        except redis.ResponseError as error:  # it answers: a key is of another type, or its memory is full
            log.warning("the cache's Redis refuses: %s", error)
            return otherwise
        except redis.RedisError as error:
            with self._lock:
                if time.monotonic() >= self._open_until:
                    log.warning("the cache's Redis does not answer, going on without it: %s", error)
                self._open_until = time.monotonic() + BREAKER_SECONDS
            return otherwise


class FarCache(RedisCache):
    """Flask-Caching's RedisCache without pickle, with short waits, and with faults that are misses.

    `clear()` begins a new namespace: the old keys are evicted in time, nothing else in that Redis is touched.
    """

    def __init__(self, client: redis.Redis, prefix: str, secret: str, **options: Any) -> None:
        super().__init__(host=client, key_prefix=cast(Any, self._prefix), **options)  # cachelib takes a function
        self._base = prefix
        self._client = client
        self._breaker = Breaker()
        self.serializer = Sealed(secret)  # type: ignore[assignment]

    @classmethod
    def factory(cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> FarCache:
        """What Flask-Caching calls."""
        client = redis.from_url(
            config["CACHE_REDIS_URL"],
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
        )
        return cls(client, config["CACHE_KEY_PREFIX"], app.config["SECRET_KEY"], **kwargs)

    @property
    def is_away(self) -> bool:
        """Whether it does not answer."""
        return self._breaker.is_open

    def state(self) -> dict[str, Any]:
        """Whether Redis answers, and how many keys and bytes the whole of it holds."""

        def ask() -> dict[str, Any]:
            memory = self._client.info("memory")
            return {"answers": True, "entries": self._client.dbsize(), "bytes": memory["used_memory"]}

        nothing = {"answers": False, "entries": None, "bytes": None}
        return self._breaker.call(ask, nothing)  # type: ignore[no-any-return]

    def clear(self) -> bool:
        """Forget everything that was kept through this prefix."""
        fresh = secrets.token_hex(4)
        return bool(self._breaker.call(lambda: self._client.set(f"{self._base}namespace", fresh), False))

    def get_many(self, *keys: str) -> list[Any]:
        """The values, None for what is not there."""
        return [self.get(key) for key in keys]

    def set_many(self, mapping: dict[str, Any], timeout: Any = None) -> list[Any]:
        """Keep all; the keys that were kept."""
        return [key for key, value in mapping.items() if self.set(key, value, timeout)]

    def delete_many(self, *keys: str) -> list[Any]:
        """Forget all; the keys that are gone."""
        return [key for key in keys if self.delete(key)]

    def _prefix(self) -> str:
        namespace = self._client.get(f"{self._base}namespace")
        return self._base + (namespace.decode("ascii", "replace") + ":" if isinstance(namespace, bytes) else "")


def _guarded(name: str, otherwise: Any) -> Callable[..., Any]:
    inherited = getattr(RedisCache, name)

    def method(self: FarCache, *args: Any, **kwargs: Any) -> Any:
        return self._breaker.call(lambda: inherited(self, *args, **kwargs), otherwise)

    method.__doc__ = inherited.__doc__
    return method


# What each operation answers while Redis is away.
for _name, _otherwise in {
    "get": None,
    "has": False,
    "set": False,
    "add": False,
    "delete": False,
    "inc": None,
    "dec": None,
    "unlink": 0,
}.items():
    setattr(FarCache, _name, _guarded(_name, _otherwise))
