"""A blog as the well-known Flask tutorials write it: only as far as it takes to show their habit of caching.

Nothing in it is slow on purpose. The queries have their indexes, SQLite its WAL, and what is cached are plain dicts,
which Redis gives back faster than models.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import wraps

import jwt
from flask import Flask, g, request
from flask_bcrypt import Bcrypt
from flask_caching import Cache
from flask_restx import Api, Resource, abort, fields
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Index, event

bcrypt, cache, db = Bcrypt(), Cache(), SQLAlchemy()
api = Api(prefix="/api/v1")
SECRET = "a tutorial has it in its source, as here it is"
post_model = api.model(
    "Post",
    {
        "id": fields.Integer,
        "title": fields.String,
        "content": fields.String,
        "created_at": fields.DateTime,
        "user_id": fields.Integer,
        "category": fields.String,
    },
)


class User(db.Model):
    __tablename__ = "users"
    id = db.Column(db.Integer, primary_key=True)
    username = db.Column(db.String(80), unique=True, nullable=False)
    password = db.Column(db.String(72), nullable=False)


class Post(db.Model):
    __tablename__ = "posts"
    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(200), nullable=False)
    content = db.Column(db.Text, nullable=False)
    category = db.Column(db.String(50), nullable=False, default="general")
    created_at = db.Column(db.DateTime, nullable=False, default=lambda: datetime.now(UTC).replace(tzinfo=None))
    user_id = db.Column(db.Integer, db.ForeignKey("users.id"), nullable=False, index=True)
    __table_args__ = (
        Index("ix_posts_newest", db.desc("created_at"), db.desc("id")),
        Index("ix_posts_category", "category", db.desc("created_at"), db.desc("id")),
    )

    def to_dict(self):
        return {name: getattr(self, name) for name in post_model}


def login_required(view):
    @wraps(view)
    def guarded(*args, **kwargs):
        try:
            token = request.headers["Authorization"].removeprefix("Bearer ")
            g.user = db.session.get(User, int(jwt.decode(token, SECRET, algorithms=["HS256"])["sub"]))
        except (KeyError, jwt.PyJWTError):
            abort(401, "Invalid token")
        return view(*args, **kwargs)

    return guarded


@api.route("/users")
class UserList(Resource):
    def post(self):
        data = request.get_json()
        password = bcrypt.generate_password_hash(data["password"]).decode()
        user = User(username=data["username"], password=password)
        db.session.add(user)
        db.session.commit()
        return {"id": user.id, "username": user.username}, 201


@api.route("/users/login")
class Login(Resource):
    def post(self):
        data = request.get_json()
        user = User.query.filter_by(username=data["username"]).first()
        if user is None or not bcrypt.check_password_hash(user.password, data["password"]):
            abort(401, "Invalid credentials")
        claims = {"sub": str(user.id), "exp": datetime.now(UTC) + timedelta(hours=24)}
        return {"token": jwt.encode(claims, SECRET)}


@api.route("/posts")
class PostList(Resource):
    @api.marshal_list_with(post_model)
    @cache.cached(timeout=60, query_string=True)
    def get(self):
        query = Post.query.order_by(Post.created_at.desc(), Post.id.desc())
        if category := request.args.get("category"):
            query = query.filter_by(category=category)
        page = query.paginate(page=request.args.get("page", 1, type=int), per_page=20, error_out=False)
        return [post.to_dict() for post in page.items]

    @login_required
    @api.marshal_with(post_model, code=201)
    def post(self):
        data = request.get_json()
        post = Post(user_id=g.user.id, **{k: data[k] for k in ("title", "content", "category") if k in data})
        db.session.add(post)
        db.session.commit()
        cache.delete("view//api/v1/posts")
        return post, 201


@api.route("/posts/<int:id>")
class PostItem(Resource):
    @api.marshal_with(post_model)
    @cache.cached(timeout=60)
    def get(self, id):
        return db.get_or_404(Post, id).to_dict()

    @login_required
    @api.marshal_with(post_model)
    def put(self, id):
        post = _own_post(id)
        for name, value in request.get_json().items():
            if name in ("title", "content", "category"):
                setattr(post, name, value)
        db.session.commit()
        cache.delete("view//api/v1/posts")
        cache.delete(f"view//api/v1/posts/{id}")
        return post

    @login_required
    def delete(self, id):
        db.session.delete(_own_post(id))
        db.session.commit()
        cache.delete("view//api/v1/posts")
        cache.delete(f"view//api/v1/posts/{id}")
        return {"message": "Post deleted"}


def _own_post(id):
    post = db.get_or_404(Post, id)
    if post.user_id != g.user.id:
        abort(403, "You can only change your own posts")
    return post


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.update(
        SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1),
        CACHE_TYPE=os.environ.get("CACHE_TYPE", "RedisCache"),
        CACHE_REDIS_URL=os.environ.get("REDIS_URL"),
        CACHE_KEY_PREFIX="tutorial:",
        CACHE_NO_NULL_WARNING=True,
    )
    for extension in (db, bcrypt, cache, api):
        extension.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _as_broadsheet_does)
        db.create_all()
    return app


def _as_broadsheet_does(connection, record):
    for pragma in ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
