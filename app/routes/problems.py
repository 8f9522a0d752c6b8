"""Errors on the wire: one `render`, called by RESTX's handler, by Flask's and by the edge."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask, Response, request
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException

from app import errors
from app.errors import Problem

log = logging.getLogger(__name__)
V1 = "/api/v1/"
REQUEST_ID = "broadsheet.request_id"  # the environ's key
V1_STATUS = {415: 400, 422: 400}
READ_ONLY_OR_ENDED = ("25006", "25P03")  # a standby after a fail-over; a transaction that idled too long
KEPT_HEADERS = ("Allow", "Retry-After")


def render(error: Exception, path: str, request_id: str) -> Response:
    """The answer for an error: v1's plain shape below its path, problem details (RFC 9457) everywhere else."""
    problem = _problem(error)
    status = problem.status
    if path.startswith(V1):
        status = 400 if isinstance(problem, errors.Taken) else V1_STATUS.get(status, status)
        content, mimetype = _plain(problem, status), "application/json"
    else:
        content, mimetype = _details(problem, request_id), "application/problem+json"
    response = Response(orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE), status, mimetype=mimetype)
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(problem.headers)
    return response


def init_app(app: Flask) -> None:
    """Render what happens outside RESTX's routes."""
    app.register_error_handler(Exception, handle)


def handle(error: Exception) -> Response:
    """For Flask and RESTX: the answer in the present request."""
    return render(error, request.path, request.environ.get(REQUEST_ID, ""))


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return _from_http(error)
    if isinstance(error, (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)):
        log.error("the database does not answer: %s", error)
        return errors.Unavailable()
    if isinstance(error, exc.InternalError) and getattr(error.orig, "sqlstate", None) in READ_ONLY_OR_ENDED:
        return errors.Unavailable()
    if isinstance(error, exc.DataError):
        log.warning("the database refuses a value: %s", error)
        return errors.Invalid("A value is out of range")
    log.error("unhandled", exc_info=error)
    return Problem()


def _from_http(error: HTTPException) -> Problem:
    problem = Problem(HTTPStatus(error.code or 500).phrase)
    problem.status = error.code or 500
    problem.code = problem.message.lower().replace(" ", "_")
    given = dict(error.get_headers())
    problem.headers |= {name: given[name] for name in KEPT_HEADERS if name in given}
    return problem


def _plain(problem: Problem, status: int) -> dict[str, Any]:
    content: dict[str, Any] = {"error": HTTPStatus(status).phrase, "message": problem.message}
    if problem.errors:
        by_field: dict[str, list[str]] = {}
        for one in problem.errors:
            by_field.setdefault(one.field, []).append(one.message)
        content["errors"] = by_field
    if status == 401:
        content["code"] = problem.code
    return content


def _details(problem: Problem, request_id: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "type": f"urn:broadsheet:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.message,
        "code": problem.code,
        "request_id": request_id,
    }
    if problem.errors:
        content["errors"] = [{"field": e.field, "code": e.code, "message": e.message} for e in problem.errors]
    return content
