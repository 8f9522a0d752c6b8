"""v2's view of the cache, for admins."""

from marshmallow import fields, validate

from app.schemas.base import BIGGEST_ID, Text, WholeNumber
from app.schemas.v2 import SchemaV2

WRITES = ("insert", "update", "delete")
MOST_TAGS = 100


class LeaseV2(SchemaV2):
    """The page of this host."""

    host = fields.String(metadata={"example": "web-1"})
    agent = fields.Integer(allow_none=True, metadata={"description": "its process", "example": 4711})
    checked_milliseconds_ago = fields.Float(allow_none=True, metadata={"example": 3.2})
    lease_milliseconds = fields.Float(metadata={"example": 40.0})
    hosts = fields.String(metadata={"example": "many"})


class NearV2(SchemaV2):
    """What the process that answers keeps."""

    process = fields.Integer(metadata={"example": 4712})
    entries = fields.Integer(metadata={"example": 120})
    bytes = fields.Integer(metadata={"example": 1_200_000})
    most_bytes = fields.Integer(metadata={"example": 67_108_864})
    addresses = fields.Integer(metadata={"description": "spellings of paths and queries", "example": 130})
    tokens = fields.Integer(metadata={"description": "verified tokens", "example": 12})


class FarV2(SchemaV2):
    """What all share; the whole of that Redis, where it has more than ours."""

    backend = fields.String(metadata={"example": "RedisCache"})
    answers = fields.Boolean(allow_none=True, metadata={"description": "null: nobody asked", "example": True})
    entries = fields.Integer(allow_none=True, metadata={"example": 900})
    bytes = fields.Integer(allow_none=True, metadata={"example": 9_000_000})


class RouteHitsV2(SchemaV2):
    """How often a cached route was asked, by all processes of this host since they started."""

    route = fields.String(metadata={"example": "/api/v2/posts"})
    requests = fields.Integer(metadata={"example": 1000})
    hits = fields.Integer(metadata={"example": 990})
    hit_ratio = fields.Float(allow_none=True, metadata={"example": 0.99})
    outcomes = fields.Dict(keys=fields.String(), values=fields.Integer(), metadata={"example": {"hit near": 990}})


class CacheV2(SchemaV2):
    """The state of the cache."""

    mode = fields.String(metadata={"example": "direct"})
    faults = fields.List(fields.String(), metadata={"description": "what keeps it from its best", "example": []})
    lease = fields.Nested(LeaseV2, allow_none=True)
    near = fields.Nested(NearV2)
    far = fields.Nested(FarV2)
    slots = fields.Integer(metadata={"description": "generations that there are", "example": 8000})
    routes = fields.List(fields.Nested(RouteHitsV2))


class WriteQueryV2(SchemaV2):
    """A write that nobody does."""

    table = Text(low=1, high=60, required=True, metadata={"example": "posts"})
    event = fields.String(load_default="update", validate=validate.OneOf(WRITES), metadata={"example": "update"})
    columns = Text(high=500, load_default="", metadata={"description": "changed; none: all", "example": "title,draft"})
    id = WholeNumber(low=1, high=BIGGEST_ID, load_default=None, metadata={"description": "of the row", "example": 17})


class EffectsV2(SchemaV2):
    """What it would make stale."""

    tags = fields.List(fields.String(), metadata={"example": ["posts", "post:17"]})
    routes = fields.List(fields.String(), metadata={"description": "that cache by such tags"})


class PurgeV2(SchemaV2):
    """Which entries to make stale: those that depend on one of these."""

    tags = fields.List(
        Text(low=1, high=60),
        required=True,
        validate=validate.Length(1, MOST_TAGS),
        metadata={"example": ["posts", "post:17"]},
    )


class PurgedV2(SchemaV2):
    """How much has moved."""

    slots = fields.Integer(metadata={"example": 2})
    generations = fields.Dict(
        keys=fields.String(), values=fields.String(allow_none=True), metadata={"description": "the present ones"}
    )
