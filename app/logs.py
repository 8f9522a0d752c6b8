"""How events are logged: a line for a person, or a JSON object for a machine; one line for each event.

Each carries the id of the request that it is about, in the web process, in the relay and in the worker.
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.config import dictConfig
from typing import Any

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class JSONFormatter(logging.Formatter):
    """One JSON object for each event; a traceback is one of its strings, what is in `extra["fields"]` stands beside."""

    def format(self, record: logging.LogRecord) -> str:
        """The object as text."""
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str)  # orjson would refuse a lone surrogate, and the event be lost


class TextFormatter(logging.Formatter):
    """`14:17:00.123 INFO app.relay: relay started`, then the id of the request, where there is one.

    Line breaks in a message are shown as such, never made.
    """

    default_time_format = "%H:%M:%S"
    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """The line without a traceback."""
        line = super().formatMessage(record).replace("\n", "\\n").replace("\r", "\\r")
        return f"{line} [{about}]" if (about := request_id.get()) else line

    def formatException(self, ei: Any) -> str:  # noqa: N802  (logging's name)
        """A traceback, each line indented: what an exception says cannot pass for a line of the log."""
        return "\n".join(f"    {line}" for line in super().formatException(ei).splitlines())


def configure(level: str, format: str) -> None:
    """Log to standard error, which whoever started the process collects."""
    # Nobody is told from which line or thread, and to find that out costs each hit (Python's logging HOWTO).
    logging._srcfile, logging.logThreads = None, False
    formatter = JSONFormatter if format == "json" else TextFormatter
    dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": formatter}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"level": level, "handlers": ["stderr"]},
            "loggers": {"alembic": {"level": "WARNING"}, "flask-limiter": {"level": "ERROR"}},
        }
    )
