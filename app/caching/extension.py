"""`cache`: Flask-Caching's object with a `cached()` that takes tags and is never stale (CACHE.md)."""

from __future__ import annotations

import functools
import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from flask import Flask, Response, current_app, request
from flask_caching import Cache

from app import metrics
from app.auth import PRINCIPALS, assume, current_session_id, current_user_id
from app.caching import audit, clean
from app.caching.coherence import Coherence
from app.caching.entry import AGELESS, LARGEST_BODY, PUBLIC, Entry, age_of, entry_of, etag_of, unchanged
from app.caching.far import FarCache
from app.caching.flight import Result
from app.caching.front import ADDRESS_BYTES, Address
from app.caching.generations import Generations
from app.caching.observer import OBSERVING
from app.caching.tags import Family, Member, Tag, When, slots_of
from app.caching.variant import key_of, text_of, variant_of
from app.caching.warming import WARMING, warm
from app.services.atomic import begin_read

log = logging.getLogger(__name__)
PRINCIPAL = "principal"  # the argument by which a tag names who asks
Refusal = str  # why an answer was not kept, as Cache-Status says it


class CoherentCache(Cache):
    """Keeps finished answers under the generations that the database had before they were computed.

    Nothing is ever deleted: a write moves generations in its own transaction, and what was kept under old ones is not
    asked for again.
    """

    def init_app(self, app: Flask, config: dict[str, Any] | None = None) -> None:
        """Bind to the app. The far cache is Flask-Caching's backend, `CACHE_TYPE`."""
        super().init_app(app, config)
        coherence = app.extensions["coherence"] = Coherence(app)
        app.extensions[PRINCIPALS] = coherence.principals
        app.after_request(warm)

    def cached(  # type: ignore[override]
        self,
        timeout: int | None = None,
        *,
        tags: Tag | Iterable[Tag],
        private: bool = False,
        unless: Callable[[], bool] | None = None,
        response_filter: Callable[[Response], bool] | None = None,
        make_cache_key: Callable[..., str] | None = None,
    ) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
        """Cache a GET handler that makes its answer of public data, or, `private`, for who asks alone (behind a guard).
        Stands inside `@query`, whose arguments make the key with the path's, and outside `@returns`. Keeps 200s alone.

        :param timeout: seconds, for hygiene; a `CachedResponse`'s own wins. By default `CACHE_DEFAULT_TIMEOUT`.
        :param tags: what the answer depends on; any change of it makes it stale at once.
        :param unless: called at each request; true: go past the cache.
        :param response_filter: given the answer; false: do not keep it.
        :param make_cache_key: given the handler's arguments; the variant's name in place of the arguments' own.
        """
        every = (tags,) if isinstance(tags, (Family, Member, When)) else tuple(tags)

        def decorate(view: Callable[..., Response]) -> Callable[..., Response]:
            @functools.wraps(view)
            def answer(resource: Any, **arguments: Any) -> Response:
                owner = current_user_id() if private else None
                flat = arguments | arguments.get("query", {}) | {PRINCIPAL: owner}
                on = tuple(tag for tag in every if not isinstance(tag, When) or tag.applies(flat))
                fill = functools.partial(_fill, view, resource, arguments, on, private)
                if OBSERVING in request.environ or (unless is not None and unless()):
                    return _owned(_serve(fill()[0], "fwd=bypass"), private)
                keep = functools.partial(self._kept, timeout, response_filter, owner)
                variant = make_cache_key(**arguments) if make_cache_key else variant_of(arguments)
                response = self._answer(key_of(request.endpoint, owner, variant), owner, slots_of(on, flat), fill, keep)
                _remember_address(response, resource, private, variant, unless is None and make_cache_key is None)
                return _owned(response, private)

            answer.tags, answer.private = every, private  # type: ignore[attr-defined]
            return answer

        return decorate

    def far_state(self) -> dict[str, Any]:
        """What the far cache says of itself; other backends than ours say nothing."""
        if isinstance(self.cache, FarCache):
            return {"backend": "RedisCache"} | self.cache.state()
        return {"backend": type(self.cache).__name__, "answers": None, "entries": None, "bytes": None}

    def _answer(
        self,
        key: str,
        owner: int | None,
        slots: tuple[int, ...],
        fill: Callable[[], tuple[Response, Refusal | None]],
        keep: Callable[..., Entry | None],
    ) -> Response:
        """CACHE.md, «Reads note generations before they look»: the steps have its numbers."""
        coherence: Coherence = current_app.extensions["coherence"]
        generations = coherence.current(slots)
        if generations is None:
            return _serve(fill()[0], "fwd=bypass; detail=generations")
        former = coherence.near.get(key)  # 2
        if former is not None and former.fits(key, owner, slots, generations):
            return _serve_hit(former, "near")
        far_key = f"{key}:{coherence.release}:{_digest(generations)}"
        look_far = functools.partial(self._look_far, far_key, key, owner, slots, generations)
        entry = None if WARMING in request.environ else look_far()  # 3
        if entry is not None:
            return _serve_hit(entry, "far")

        def compute() -> Result:  # 4
            landed = coherence.near.get(key)
            if landed is not None and landed.fits(key, owner, slots, generations):  # a flight that ended since step 2
                return None, None, landed
            with self._alone(far_key) as waited:
                if waited and (landed := look_far()) is not None:
                    return None, None, landed
                response, refusal = fill()
                return response, refusal, None if refusal else keep(response, key, slots, generations, far_key)

        response, refusal, entry = coherence.flights.join((key, generations), compute)
        if response is None:
            assert entry is not None
            return _serve_entry(entry, "fwd=uri-miss; collapsed", "collapsed")
        why = "uri-miss" if former is None else "stale"
        if entry is None:
            return _serve(response, f"fwd={why}; detail={refusal or 'not-kept'}")
        return _serve_entry(entry, f"fwd={why}; stored", why)

    def _look_far(self, far_key: str, *asked: Any) -> Entry | None:
        """The entry that another process has kept, if it fits; kept near from now on."""
        entry = Entry.from_bytes(self._far("get", far_key))
        if entry is None or not entry.fits(*asked):
            return None
        current_app.extensions["coherence"].keep(entry)
        return entry

    def _alone(self, far_key: str) -> AbstractContextManager[bool]:
        """While one process computes, the others wait, if what it brings can be had from the far cache."""
        if isinstance(self.cache, FarCache) and not self.cache.is_away:
            return current_app.extensions["coherence"].runway.alone(far_key)  # type: ignore[no-any-return]
        return nullcontext(False)

    def _kept(
        self,
        timeout: int | None,
        response_filter: Callable[[Response], bool] | None,
        owner: int | None,
        response: Response,
        key: str,
        slots: tuple[int, ...],
        generations: Generations,
        far_key: str,
    ) -> Entry | None:
        """Keep an answer near and far, if it may be kept."""
        if response.status_code != 200 or "Set-Cookie" in response.headers or response.is_streamed:
            return None
        if len(response.get_data()) > LARGEST_BODY or (response_filter and not response_filter(response)):
            return None
        seconds = getattr(response, "timeout", None) or timeout or current_app.config["CACHE_DEFAULT_TIMEOUT"]
        entry = entry_of(response, key, owner, slots, generations, seconds)
        current_app.extensions["coherence"].keep(entry)
        self._far("set", far_key, entry.to_bytes(), timeout=int(seconds))
        return entry

    def _far(self, operation: str, *arguments: Any, **options: Any) -> Any:
        """Ask the far cache, whichever backend it is: its faults are misses."""
        try:
            return getattr(self.cache, operation)(*arguments, **options)
        except Exception as error:
            log.warning("the far cache does not answer: %s", error)
            return None


def _remember_address(response: Response, resource: Any, private: bool, variant: str, fixed: bool) -> None:
    """Let the front find it, unless a function decides at each request, or a stricter guard than a login."""
    handler = getattr(resource, "get", None)
    known = getattr(handler, "guard", "public") == ("login" if private else "public")
    if not fixed or response.status_code not in (200, 304) or not known:
        return
    audiences = getattr(handler, "audiences", None) if private else None
    rule, environ, endpoint = request.url_rule, request.environ, request.endpoint or ""
    address = Address(rule.rule if rule else "-", key_of(endpoint, None, variant), endpoint, variant, audiences)
    at = (environ["PATH_INFO"], environ.get("QUERY_STRING", ""))
    coherence: Coherence = current_app.extensions["coherence"]
    if coherence.addresses.get(at) != address:
        coherence.addresses.put(at, address, sum(map(len, at)) + len(variant) + ADDRESS_BYTES)


def _digest(generations: Generations) -> str:
    return hashlib.blake2b(repr(generations).encode(), digest_size=8).hexdigest()


def _fill(
    view: Callable[..., Response],
    resource: Any,
    arguments: dict[str, Any],
    tags: tuple[Tag, ...],
    private: bool,
) -> tuple[Response, Refusal | None]:
    """Compute the answer: in a request of its own, where there is no Authorization, cookie or other header that the
    view could see, only the principal that it is for; with a database session begun after the generations were noted.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    principal = (current_user_id(), current_session_id()) if private else None
    with app.app_context(), clean.get(app, request.path, text_of(arguments)):
        begin_read()
        if principal is not None:
            assume(*principal)
        with audit.tables_read() as tables:
            response = view(resource, **arguments)
    unknown = audit.undeclared(tables, tags)
    if unknown:
        log.error("%s reads %s and says no tag that they move: not kept", request.endpoint, ", ".join(unknown))
    return response, "undeclared" if unknown else None


def _owned(response: Response, private: bool) -> Response:
    """Says to whom the answer may be shown again."""
    if private and response.status_code in (200, 304):
        response.headers["Cache-Control"] = "private, no-cache"
        response.headers["Vary"] = "Authorization, Accept-Encoding"
    return response


def _serve_hit(entry: Entry, detail: str) -> Response:
    return _serve_entry(entry, f"hit; ttl={int(entry.expires_at - time.time())}; detail={detail}", f"hit {detail}")


def _serve_entry(entry: Entry, status: str, outcome: str) -> Response:
    """What is kept, or 304."""
    answer = current_app.extensions["coherence"].answer(entry, request.headers.get("Accept-Encoding", ""))
    known = request.headers.get("If-None-Match")
    if known and unchanged(entry.etag, known):
        response = Response(status=304, headers=answer.not_modified)
        del response.headers["Content-Type"]
    else:
        response = Response(answer.body, headers=answer.headers)
    response.headers["Age"] = entry.age(time.time())[1]
    return _told(response, status, outcome)


def _serve(response: Response, status: str) -> Response:
    """An answer that was computed for this request, or 304."""
    if response.status_code != 200 or response.is_streamed:
        return response
    etag = response.headers.get("ETag") or etag_of(response.get_data())
    if (known := request.headers.get("If-None-Match")) and unchanged(etag, known):
        response.status_code = 304
        response.set_data(b"")
    response.headers["ETag"] = etag
    at = getattr(response, "computed_at", None)
    for name, value in (*PUBLIC, age_of(at, time.time()) if at else AGELESS):
        response.headers[name] = value
    return _told(response, status, status.partition(";")[0].removeprefix("fwd="))


def _told(response: Response, status: str, outcome: str) -> Response:
    """Says what the cache did, to the client (RFC 9211) and to the counters."""
    response.headers["Cache-Status"] = f"broadsheet; {status}"
    request.environ[metrics.OUTCOME] = outcome
    return response
