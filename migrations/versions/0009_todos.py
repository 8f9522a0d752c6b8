"""Todos that recur, have an order, tags, subtasks, a post, and reminders."""

import sqlalchemy as sa
from alembic import op

from app.caching import triggers

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
UNTOLD = sa.text("told_at IS NULL")
OF_A_TODO = sa.text("todo_id IS NOT NULL")
MIDDLE, GAP = 2**50, 2**20


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    # Not by batch_alter_table: on SQLite it drops the old table and its triggers. The defaults are for the release
    # before, which writes while this one comes.
    for column in _columns(*(("INTEGER", "JSON", "DATETIME", "DATETIME") if sqlite else _POSTGRESQL)):
        op.execute(f"ALTER TABLE todos ADD COLUMN {column}")
    op.execute(f"UPDATE todos SET position = {MIDDLE} + id * {GAP}")  # noqa: S608
    op.create_index("ix_todos_user_id_position", "todos", ["user_id", "position", "id"])
    op.create_index("ix_todos_parent_id", "todos", ["parent_id"])
    op.create_index("ix_todos_post_id", "todos", ["post_id"])
    op.create_table(
        "todo_reminders",
        sa.Column("id", ID, nullable=False),
        sa.Column("todo_id", ID, nullable=False),
        sa.Column("remind_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("told_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["todo_id"], ["todos.id"], name=op.f("fk_todo_reminders_todo_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_todo_reminders")),
        sa.UniqueConstraint("todo_id", "remind_at", name=op.f("uq_todo_reminders_todo_id_remind_at")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_todo_reminders_untold", "todo_reminders", ["remind_at"], sqlite_where=UNTOLD, postgresql_where=UNTOLD
    )
    op.create_index("ix_todo_reminders_told_at", "todo_reminders", ["told_at"])
    id_type = "INTEGER" if sqlite else "BIGINT"
    reference = "CONSTRAINT fk_notifications_todo_id REFERENCES todos (id) ON DELETE CASCADE"
    op.execute(f"ALTER TABLE notifications ADD COLUMN todo_id {id_type} {reference}")
    op.create_index(
        "ix_notifications_todo_id", "notifications", ["todo_id"], sqlite_where=OF_A_TODO, postgresql_where=OF_A_TODO
    )


def downgrade() -> None:
    triggers.remove(op.get_bind())  # they speak of columns that go
    op.drop_index("ix_notifications_todo_id", "notifications")
    op.drop_column("notifications", "todo_id")
    op.drop_table("todo_reminders")
    for name in ("post_id", "parent_id", "user_id_position"):
        op.drop_index(f"ix_todos_{name}", "todos")
    for column in reversed(_columns(*_POSTGRESQL)):
        op.drop_column("todos", column.split()[0])


_POSTGRESQL = ("BIGINT", "JSONB", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP")


def _columns(id_type: str, json: str, time: str, local_time: str) -> list[str]:
    return [
        "time_zone VARCHAR(64) DEFAULT 'UTC' NOT NULL",
        "priority INTEGER CONSTRAINT ck_todos_priority CHECK (priority BETWEEN 1 AND 4)",
        f"position {id_type} DEFAULT {MIDDLE} NOT NULL",
        f"tags {json} DEFAULT '[]' NOT NULL",
        f"parent_id {id_type} CONSTRAINT fk_todos_parent_id REFERENCES todos (id) ON DELETE CASCADE",
        f"post_id {id_type} CONSTRAINT fk_todos_post_id REFERENCES posts (id) ON DELETE SET NULL",
        "required BOOLEAN DEFAULT false NOT NULL",
        f"remind_minutes_before {json} DEFAULT '[]' NOT NULL",
        f"recurrence {json}",
        f"series_start {local_time}",
        "occurrences_left INTEGER",
        "completed_count INTEGER DEFAULT 0 NOT NULL",
        f"last_done_at {time}",
    ]
