"""/metrics, outside the versions: for Prometheus."""

from __future__ import annotations

import hmac
import ipaddress
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flask import Flask, Response, current_app, request

from app import metrics as counters
from app.errors import NotFound, Unauthorized, Unavailable
from app.services import outbox

if TYPE_CHECKING:
    from prometheus_client import Metric


def init_app(app: Flask) -> None:
    """Show the sums, and let each answer be counted under its route."""
    os.environ.setdefault(counters.FOLDER, app.config["METRICS_DIR"])
    app.add_url_rule("/metrics", view_func=metrics)
    app.before_request(_name_route)


class Outbox:
    """The state of the outbox, as Prometheus' registry asks for it: of now, and of no process."""

    def collect(self) -> Iterator[Metric]:
        """The number of messages, and the age of the oldest that waits."""
        from prometheus_client.core import GaugeMetricFamily

        by = ("event", "subscriber")
        messages = GaugeMetricFamily("broadsheet_outbox_messages", "Messages of the outbox.", labels=("state", *by))
        lag = GaugeMetricFamily("broadsheet_outbox_lag_seconds", "Age of the oldest that waits for it.", labels=by)
        for tally in outbox.tallies():
            lag.add_metric([tally.event, tally.subscriber], tally.lag_seconds)
            for state, number in tally.states.items():
                messages.add_metric([state, tally.event, tally.subscriber], number)
        yield from (messages, lag)
        waits = "Age of the oldest that waits."
        yield GaugeMetricFamily("broadsheet_outbox_oldest_seconds", waits, value=outbox.oldest_seconds())


def metrics() -> Response:
    """The sums of all web processes, and the state of the outbox: for this machine, or by METRICS_TOKEN."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    _check()
    try:
        registry = counters.summed()
    except OSError as error:
        raise Unavailable(f"METRICS_DIR: {error.strerror}") from error
    registry.register(Outbox())
    content = generate_latest(registry)
    return Response(content, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def _check() -> None:
    """Who asks is on this machine or, where it is set, has the token.

    :raises NotFound, Unauthorized:
    """
    token = current_app.config["METRICS_TOKEN"]
    if token is None:
        if not ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback:  # noqa: S104
            raise NotFound("There is no such page")
    elif not hmac.compare_digest(f"Bearer {token}".encode(), request.headers.get("Authorization", "").encode()):
        raise Unauthorized("METRICS_TOKEN is needed", code="invalid_token")


def _name_route() -> None:
    request.environ[counters.ROUTE] = request.url_rule.rule if request.url_rule else "-"
