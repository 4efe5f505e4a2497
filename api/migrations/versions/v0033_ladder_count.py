"""Count all levels of the ladders by one number instead of writing what remains of each every 10 s."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. What runs keeps the seconds that were saved last."""
    op.create_table(
        "ladder_count",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("last", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("to_ms >= from_ms AND from_ms >= 0", name="span"),
        sa.PrimaryKeyConstraint("station", "last"),
    )
