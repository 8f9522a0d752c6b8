"""Who did what one is told of, and indexes for those who operate the outbox."""

import sqlalchemy as sa
from alembic import op

from app.caching import triggers

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WAITING = sa.text("done_at IS NULL AND dead_at IS NULL")
DEAD = sa.text("dead_at IS NOT NULL")
BY_SOMEBODY = sa.text("actor_id IS NOT NULL")


def upgrade() -> None:
    # Not by batch_alter_table: on SQLite it drops the old table and its triggers.
    id_type = "INTEGER" if op.get_bind().dialect.name == "sqlite" else "BIGINT"
    reference = "CONSTRAINT fk_notifications_actor_id REFERENCES users (id) ON DELETE SET NULL"
    op.execute(f"ALTER TABLE notifications ADD COLUMN actor_id {id_type} {reference}")
    _index("ix_notifications_actor_id", "notifications", ["actor_id"], BY_SOMEBODY)
    _index("ix_outbox_oldest", "outbox", ["created_at"], WAITING)
    _index("ix_outbox_dead", "outbox", ["id"], DEAD)


def downgrade() -> None:
    triggers.remove(op.get_bind())  # they speak of a column that goes
    for name in ("oldest", "dead"):
        op.drop_index(f"ix_outbox_{name}", "outbox")
    op.drop_index("ix_notifications_actor_id", "notifications")
    op.drop_column("notifications", "actor_id")


def _index(name: str, table: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
