"""Profiles, follows, tags of posts, rotating refresh tokens, the inbox, who put a post into the trash."""

import sqlalchemy as sa
from alembic import op

from app.caching import triggers

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
LIVE = sa.text("deleted_at IS NULL")
IN_TRASH = sa.text("deleted_at IS NOT NULL")
INBOX = sa.text("channel = 'inbox'")
UNREAD = sa.text("channel = 'inbox' AND read_at IS NULL")
PROFILE = (("display_name", 80), ("bio", 2000), ("avatar_url", 2048))


def upgrade() -> None:
    # Not by batch_alter_table: on SQLite it drops the old table, which deletes its rows, and theirs who refer to them.
    for name, length in PROFILE:
        check = f"CONSTRAINT ck_users_{name}_length CHECK (length({name}) <= {length})"
        op.execute(f"ALTER TABLE users ADD COLUMN {name} VARCHAR({length}) {check}")
    op.create_index("ix_users_email", "users", [sa.text("lower(email)")])
    id_type = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    reference = "CONSTRAINT fk_posts_deleted_by REFERENCES users (id) ON DELETE SET NULL"
    op.execute(f"ALTER TABLE posts ADD COLUMN deleted_by {id_type} {reference}")
    _index("ix_posts_live_by_change", "posts", [sa.text("updated_at DESC"), sa.text("id DESC")], LIVE)
    _index("ix_posts_live_by_title", "posts", ["title", "id"], LIVE)
    _index("ix_posts_trash", "posts", ["deleted_at", "id"], IN_TRASH)
    op.add_column("sessions", sa.Column("rotation", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("rotated_at", TIME, nullable=True))
    _index("ix_notifications_inbox", "notifications", ["user_id", "id"], INBOX)
    _index("ix_notifications_unread", "notifications", ["user_id", "id"], UNREAD)
    op.create_table(
        "post_tags",
        sa.Column("id", ID, nullable=False),
        sa.Column("post_id", ID, nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.CheckConstraint("length(name) <= 50", name=op.f("ck_post_tags_name_length")),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name=op.f("fk_post_tags_post_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_post_tags")),
        sa.UniqueConstraint("post_id", "name", name=op.f("uq_post_tags_post_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_post_tags_name_post_id", "post_tags", ["name", "post_id"])
    op.create_table(
        "follows",
        sa.Column("id", ID, nullable=False),
        sa.Column("follower_id", ID, nullable=False),
        sa.Column("followed_id", ID, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("follower_id <> followed_id", name=op.f("ck_follows_not_oneself")),
        sa.ForeignKeyConstraint(["follower_id"], ["users.id"], name=op.f("fk_follows_follower_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["followed_id"], ["users.id"], name=op.f("fk_follows_followed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follows")),
        sa.UniqueConstraint("follower_id", "followed_id", name=op.f("uq_follows_follower_id_followed_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_follows_followed_id_id", "follows", ["followed_id", "id"])
    op.create_index("ix_follows_follower_id_id", "follows", ["follower_id", "id"])


def downgrade() -> None:
    triggers.remove(op.get_bind())  # they speak of columns that go
    op.drop_table("follows")
    op.drop_table("post_tags")
    for name in ("inbox", "unread"):
        op.drop_index(f"ix_notifications_{name}", "notifications")
    for name in ("rotation", "rotated_at"):
        op.drop_column("sessions", name)
    for name in ("live_by_change", "live_by_title", "trash"):
        op.drop_index(f"ix_posts_{name}", "posts")
    op.drop_column("posts", "deleted_by")
    op.drop_index("ix_users_email", "users")
    for name, _ in PROFILE:
        op.drop_column("users", name)


def _index(name: str, table: str, columns: list[object], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
