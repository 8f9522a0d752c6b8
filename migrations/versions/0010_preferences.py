"""What a user wants to be told, where and when; digests."""

import sqlalchemy as sa
from alembic import op

from app.caching import triggers

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
HELD = sa.text("held")
IN_A_DIGEST = sa.text("digest_id IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "notification_preferences",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=11), nullable=False),
        sa.Column("quiet_from", sa.String(length=5), nullable=True),
        sa.Column("quiet_until", sa.String(length=5), nullable=True),
        sa.CheckConstraint(
            "digest IN ('immediately', 'daily', 'weekly')", name=op.f("ck_notification_preferences_digest")
        ),
        sa.CheckConstraint(
            "(quiet_from IS NULL) = (quiet_until IS NULL)", name=op.f("ck_notification_preferences_quiet_hours")
        ),
        _user("notification_preferences"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_notification_preferences")),
    )
    op.create_table(
        "notification_switches",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        _user("notification_switches"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_switches")),
        sa.UniqueConstraint("user_id", "kind", "channel", name=op.f("uq_notification_switches_user_id_kind_channel")),
        sqlite_autoincrement=True,
    )
    _make_mutes()
    op.create_table(
        "digests",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        _user("digests"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_digests")),
        sa.UniqueConstraint("user_id", "day", name=op.f("uq_digests_user_id_day")),
        sqlite_autoincrement=True,
    )
    op.add_column("notifications", sa.Column("held", sa.Boolean(), nullable=False, server_default=sa.false()))
    # Not by batch_alter_table: on SQLite it drops the old table and its triggers.
    id_type = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    reference = "CONSTRAINT fk_notifications_digest_id REFERENCES digests (id) ON DELETE SET NULL"
    op.execute(f"ALTER TABLE notifications ADD COLUMN digest_id {id_type} {reference}")
    _index("ix_notifications_held", ["user_id", "created_at"], HELD)
    _index("ix_notifications_digest_id", ["digest_id"], IN_A_DIGEST)


def _make_mutes() -> None:
    op.create_table(
        "notification_mutes",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("author_id", ID, nullable=True),
        sa.Column("post_id", ID, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.CheckConstraint("(author_id IS NULL) <> (post_id IS NULL)", name=op.f("ck_notification_mutes_one")),
        _user("notification_mutes"),
        _user("notification_mutes", "author_id"),
        sa.ForeignKeyConstraint(
            ["post_id"], ["posts.id"], name=op.f("fk_notification_mutes_post_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification_mutes")),
        sa.UniqueConstraint("user_id", "author_id", name=op.f("uq_notification_mutes_user_id_author_id")),
        sa.UniqueConstraint("user_id", "post_id", name=op.f("uq_notification_mutes_user_id_post_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notification_mutes_author_id", "notification_mutes", ["author_id"])
    op.create_index("ix_notification_mutes_post_id", "notification_mutes", ["post_id"])


def downgrade() -> None:
    triggers.remove(op.get_bind())  # they speak of tables and columns that go
    for column in ("digest_id", "held"):
        op.drop_index(f"ix_notifications_{column}", "notifications")
        op.drop_column("notifications", column)
    for table in ("digests", "notification_mutes", "notification_switches", "notification_preferences"):
        op.drop_table(table)


def _user(table: str, column: str = "user_id") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], ["users.id"], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE")


def _index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "notifications", columns, sqlite_where=where, postgresql_where=where)
