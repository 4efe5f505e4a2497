"""Keep staggered plans, with the seed that is told when the duty is over."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "stagger",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("colour", sa.String(), nullable=False),
        sa.Column("starts_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=False),
        sa.Column("limit_ms", sa.BigInteger(), nullable=False),
        sa.Column("apart_ms", sa.BigInteger(), nullable=False),
        sa.Column("others", sa.Text(), nullable=False),
        sa.Column("shifts", sa.Text(), nullable=False),
        sa.Column("passes", sa.Text(), nullable=False),
        sa.Column("widest_ms", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("starts_ms < ends_ms", name="span"),
        sa.CheckConstraint("widest_ms <= limit_ms", name="kept"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_stagger_area", "stagger", ["station", "area", "number"], unique=False)
