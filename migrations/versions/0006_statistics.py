"""What was counted of the posts, and who asked for it to be counted anew."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from app.caching import triggers

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
COMPARABLE = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "statistics",
        sa.Column("id", ID, nullable=False),
        sa.Column("part", sa.String(length=20), nullable=False),
        sa.Column("numbers", COMPARABLE, nullable=False),
        sa.Column("computed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statistics")),
        sa.UniqueConstraint("part", name=op.f("uq_statistics_part")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "statistics_refreshes",
        sa.Column("id", ID, nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=True),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("scope IN ('all', 'expired')", name=op.f("ck_statistics_refreshes_scope")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statistics_refreshes")),
        sa.UniqueConstraint("scope", "open", name=op.f("uq_statistics_refreshes_scope_open")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    triggers.remove(op.get_bind())  # they speak of tables that go
    op.drop_table("statistics_refreshes")
    op.drop_table("statistics")
