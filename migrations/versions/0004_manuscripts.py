"""Drafts, summaries, bylines, old addresses, and what was imported."""

import sqlalchemy as sa
from alembic import op

from app.caching import triggers

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
NEWEST, CHANGED = ([sa.text(f"{by} DESC"), sa.text("id DESC")] for by in ("created_at", "updated_at"))
LIVE_INDEXES = {
    "live": NEWEST,
    "live_by_user": ["user_id", *NEWEST],
    "live_by_category": ["category", *NEWEST],
    "live_by_change": CHANGED,
    "live_by_title": ["title", "id"],
}


def upgrade() -> None:
    for name, length in (("summary", 1000), ("byline", 500)):
        check = f"CONSTRAINT ck_posts_{name}_length CHECK (length({name}) <= {length})"
        op.execute(f"ALTER TABLE posts ADD COLUMN {name} VARCHAR({length}) {check}")
    op.add_column("posts", sa.Column("draft", sa.Boolean(), nullable=False, server_default=sa.false()))
    _index_live("draft = 0", "NOT draft")
    op.create_table(
        "post_aliases",
        sa.Column("id", ID, nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.CheckConstraint("length(path) <= 500", name=op.f("ck_post_aliases_path_length")),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_post_aliases_post_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_post_aliases")),
        sa.UniqueConstraint("path", name=op.f("uq_post_aliases_path")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_post_aliases_post_id", "post_aliases", ["post_id"])
    op.create_table(
        "imported",
        sa.Column("id", ID, nullable=False),
        sa.Column("source", sa.String(length=500), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("imported_at", TIME, nullable=False),
        sa.CheckConstraint("length(source) <= 500", name=op.f("ck_imported_source_length")),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_imported_post_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imported")),
        sa.UniqueConstraint("source", name=op.f("uq_imported_source")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_imported_post_id", "imported", ["post_id"])


def downgrade() -> None:
    triggers.remove(op.get_bind())  # they speak of columns that go
    _index_live()
    op.drop_table("imported")
    op.drop_table("post_aliases")
    for name in ("draft", "byline", "summary"):
        op.drop_column("posts", name)


def _index_live(*more: str) -> None:
    """The indexes of what everybody sees, anew."""
    sqlite, postgresql = (sa.text(" AND ".join(["deleted_at IS NULL", *word])) for word in ([more[:1], more[1:]]))
    for name, columns in LIVE_INDEXES.items():
        op.drop_index(f"ix_posts_{name}", "posts")
        op.create_index(f"ix_posts_{name}", "posts", columns, sqlite_where=sqlite, postgresql_where=postgresql)
