"""A handler's contract, as decorators: what comes in, what goes out. Each documents itself in Swagger."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import orjson
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin, OpenAPIConverter
from flask import Response, request
from flask_restx import Namespace
from marshmallow import ValidationError
from werkzeug.http import http_date, parse_options_header

from app.caching import Validated
from app.caching.entry import etag_of
from app.errors import FieldError, Invalid, Malformed, UnsupportedMediaType
from app.schemas.base import Schema
from app.services.computed import Computed
from app.services.page import Page

View = Callable[..., Any]
DEEPEST = 32  # levels of nesting in a body
CODES = {"Missing data for required field.": "required", "Unknown field.": "unknown"}  # marshmallow's messages

_plugin = MarshmallowPlugin(
    schema_name_resolver=lambda schema: type(schema).__name__ if isinstance(schema, Schema) else schema.__name__
)
_spec = APISpec("Broadsheet", "1", "2.0", plugins=[_plugin])


def _in_ecma(converter: OpenAPIConverter, field: Any, ret: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A pattern in ECMA 262, Swagger's dialect: it begins anywhere, where marshmallow's does not, and has no Z."""
    pattern = ret.get("pattern", "")
    return {"pattern": "^" + pattern.removeprefix("^")[:-2] + "$"} if pattern.endswith("\\Z") else {}


def _note_nullable(converter: OpenAPIConverter, field: Any, ret: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Clients ignore what stands beside a `$ref`: what may be null says so where it is defined."""
    if "$ref" in ret and ret.pop("x-nullable", False):
        _nullable.add(ret["$ref"].rpartition("/")[2])
    return {}


assert isinstance(_plugin.converter, OpenAPIConverter)
_plugin.converter.add_attribute_function(_in_ecma)
_plugin.converter.add_attribute_function(_note_nullable)
_nullable: set[str] = set()


def query(ns: Namespace, schema: Schema) -> Callable[[View], View]:
    """Validate the query string; the handler gets it as `query`.

    :raises Invalid: by the name of each parameter; one that is given twice is wrong.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            arguments = _load(schema, request.args.to_dict(), _repeated(schema))
            return view(*args, query=Validated(arguments, _text(schema, arguments)), **kwargs)

        checked.takes_query = bool(schema.fields)  # type: ignore[attr-defined]
        return ns.doc(params=_parameters(schema))(checked)

    return decorate


def body(ns: Namespace, schema: Schema) -> Callable[[View], View]:
    """Validate the JSON body; the handler gets it as `data`.

    :raises UnsupportedMediaType, Malformed, Invalid: each wrong field by its name.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            return view(*args, data=_load(schema, _json()), **kwargs)

        checked.takes_body = True  # type: ignore[attr-defined]
        return ns.expect(model_of(ns, schema), validate=False)(checked)

    return decorate


def returns(
    ns: Namespace, schema: Schema | None, status: int = 200, *, under: str | None = None
) -> Callable[[View], View]:
    """Write the answer of what the handler returns: a model, a `Page`, a `Computed`, a dict; without a schema it is
    empty. `under`: the path below which stands what was made (by default the request's own).

    Body, `Location` (201, 202), `Link` and `X-Total-Count` (lists), `Last-Modified`: nothing else writes them.
    """
    model = model_of(ns, schema) if schema else None

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def answer(*args: Any, **kwargs: Any) -> Response:
            only = None
            if "fields" in (query := kwargs.get("query", {})):  # a matter of the answer alone
                only, kwargs["query"] = query["fields"], {k: v for k, v in query.items() if k != "fields"}
            result = view(*args, **kwargs)
            if schema is None:
                response = Response(status=status, headers={"Cache-Control": "no-store"})
                del response.headers["Content-Type"]  # there is no content
                return response
            return _answer(result, schema, status, only, under)

        shown = [model] if schema and schema.many else model
        return ns.response(status, HTTPStatus(status).phrase, shown)(answer)

    return decorate


def model_of(ns: Namespace, schema: Schema) -> Any:
    """The schema as RESTX wants it, with all that it nests."""
    name = type(schema).__name__
    if name not in _spec.components.schemas:
        _spec.components.schema(name, schema=type(schema))
    for defined, definition in _spec.to_dict()["definitions"].items():
        if defined not in ns.models:
            ns.schema_model(defined, definition | ({"x-nullable": True} if defined in _nullable else {}))
    return ns.models[name]


def content_of(schema: Schema, thing: Any) -> bytes:
    """The body in which the thing is answered."""
    return _json_of(schema.dump(thing))


def _json_of(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def _parameters(schema: Schema) -> dict[str, dict[str, Any]]:
    converter = _plugin.converter
    assert isinstance(converter, OpenAPIConverter)
    listed = converter.schema2parameters(schema, location="query")
    return {parameter.pop("name"): _as_parameter(parameter) for parameter in listed}


def _as_parameter(described: dict[str, Any]) -> dict[str, Any]:
    """Swagger 2.0 knows no null in a query, no list where a text is meant, and no example outside of a body."""
    described.pop("x-nullable", None)
    if "example" in described:
        described["x-example"] = described.pop("example")
    if isinstance(described.get("default", ""), (str, int)):
        return described
    return {name: value for name, value in described.items() if name != "default"}


def _text(schema: Schema, arguments: dict[str, Any]) -> str:
    """The arguments as a query string, each in one spelling, without those that are as they are by default."""
    loaded = {name: (field, arguments.get(field.attribute or name)) for name, field in schema.fields.items()}
    given = {name: _wire(value) for name, (field, value) in loaded.items() if value != field.load_default}
    return urlencode(sorted(given.items()))


def _wire(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _repeated(schema: Schema) -> tuple[FieldError, ...]:
    repeated = [name for name, values in request.args.lists() if len(values) > 1 and name in schema.fields]
    return tuple(FieldError(name, "repeated", "Must be given once") for name in repeated)


def _json() -> Any:
    """The body, parsed strictly (RFC 8259): UTF-8, no NaN, no lone surrogate, bounded nesting."""
    media_type, options = parse_options_header(request.headers.get("Content-Type", "").lower())
    json_like = media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
    if not json_like or options.get("charset", "utf-8") not in ("utf-8", "utf8"):
        raise UnsupportedMediaType
    try:
        data = orjson.loads(request.get_data())
    except orjson.JSONDecodeError as error:
        raise Malformed(f"Request must be JSON: {error}".partition(": line")[0]) from None
    _check_depth(data)
    if not isinstance(data, dict):
        raise Malformed("Request must be a JSON object")
    return data


def _check_depth(data: Any) -> None:
    level, depth = [data], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise Malformed(f"Request must be JSON nested at most {DEEPEST} levels")
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]


def _load(schema: Schema, data: Any, wrong: tuple[FieldError, ...] = ()) -> dict[str, Any]:
    """The data as the schema loads it. `wrong`: what is known to be wrong already; all is named at once."""
    try:
        loaded: dict[str, Any] = schema.load(data)
    except ValidationError as error:  # RESTX would send its `.data`, passwords and all, back to the caller
        known = {e.field for e in wrong}
        errors = (*wrong, *(e for e in _field_errors(error.normalized_messages()) if e.field not in known))
        message = None
        if schema.missing and any(e.field in schema.missing[0] and not data.get(e.field) for e in errors):
            message = schema.missing[1]
        raise Invalid(message, errors=errors) from None
    if wrong:
        raise Invalid(errors=wrong)
    return loaded


def _field_errors(messages: Any, path: str = "") -> list[FieldError]:
    """Marshmallow's tree of messages as a list by dotted path."""
    if isinstance(messages, dict):
        prefix = f"{path}." if path else ""
        paths = {
            name: f"{prefix}{name}" if name != "_schema" else path for name in messages
        }  # marshmallow's «all of it»
        return [e for name, below in messages.items() for e in _field_errors(below, paths[name])]
    return [FieldError(path, CODES.get(message, "invalid"), message) for message in messages]


def _answer(result: Any, schema: Schema, status: int, only: tuple[str, ...] | None, under: str | None) -> Response:
    response = Response(status=status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"  # `@cache.cached` says otherwise of what it serves
    if isinstance(result, Page):
        _link(response, result)
        if schema.many:
            result = result.items
        else:
            total = {} if result.total is None else {"total": result.total}
            links = {"limit": result.limit, "next": _place(result.next), "prev": _place(result.prev)} | total
            result = {"items": result.items, "page": links}
    elif isinstance(result, Computed):  # `@cache.cached` keeps it for so long, and says how old it is
        vars(response).update(timeout=result.timeout, computed_at=result.computed_at.timestamp())
        result = result.content
    elif status in (201, 202):
        response.headers["Location"] = f"{under or request.path.rstrip('/')}/{result.id}"
    if changed := getattr(result, "updated_at", None):
        response.headers["Last-Modified"] = http_date(changed)
    content = schema.dump(result)
    if only is not None:
        content = _sparse(content, only)
    response.set_data(_json_of(content))
    if request.method in ("GET", "HEAD"):
        response.headers["ETag"] = etag_of(response.get_data())
    return response


def _sparse(content: Any, only: tuple[str, ...]) -> Any:
    """Of a thing, or of each in a page, these fields alone."""
    if "items" in content and "page" in content:
        return content | {"items": [_sparse(item, only) for item in content["items"]]}
    return {name: value for name, value in content.items() if name in only}


def _link(response: Response, page: Page) -> None:
    """RFC 8288; relative to the request, so that no forged Host is ever repeated."""
    first: dict[str, Any] = {"page": None, "cursor": None}
    links = {"first": first, "prev": page.prev, "next": page.next}
    targets = [f'<{_relative(change)}>; rel="{rel}"' for rel, change in links.items() if change is not None]
    response.headers["Link"] = ", ".join(targets)
    if page.total is not None:
        response.headers["X-Total-Count"] = str(page.total)


def _relative(change: dict[str, Any]) -> str:
    arguments = request.args.to_dict() | change
    kept = urlencode(sorted((name, str(value)) for name, value in arguments.items() if value is not None))
    path = request.path.rstrip("/")  # one spelling, since one entry serves both
    return f"{path}?{kept}" if kept else path


def _place(change: dict[str, Any] | None) -> str | None:
    return str(change["cursor"]) if change else None
