"""FastAPI with the same query as v1's list of posts, as its own tutorial writes it: a session for each request, models
of Pydantic, no cache.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

URL = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://", 1)
engine = create_engine(URL)
begin = sessionmaker(engine)


class Base(DeclarativeBase):
    pass


class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    content: Mapped[str]
    category: Mapped[str]
    created_at: Mapped[datetime]
    user_id: Mapped[int]


class PostOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    title: str
    content: str
    created_at: datetime
    user_id: int
    category: str


def session() -> Iterator[Session]:
    with begin() as opened:
        yield opened


def listed(
    response: Response,
    session: Annotated[Session, Depends(session)],
    page: Annotated[int, Query(ge=1, le=1000)] = 1,
    category: str | None = None,
) -> list[Post]:
    where = [] if category is None else [Post.category == category]
    response.headers["X-Total-Count"] = str(session.scalar(select(func.count()).select_from(Post).where(*where)))
    newest = select(Post).where(*where).order_by(Post.created_at.desc(), Post.id.desc())
    return list(session.scalars(newest.limit(20).offset(20 * (page - 1))))


def create_app() -> FastAPI:
    app = FastAPI()
    app.get("/api/v1/posts", response_model=list[PostOut])(listed)
    return app
