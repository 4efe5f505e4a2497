"""Keep residents' complaints."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "complaint",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("way", sa.String(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("by", sa.String(), nullable=True),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("taken_ms", sa.BigInteger(), nullable=True),
        sa.Column("taken_by", sa.String(), nullable=True),
        sa.Column("answered_ms", sa.BigInteger(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("finding", sa.String(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("about IN ('grid_worker', 'community', 'officer', 'leader', 'other')", name="about"),
        sa.CheckConstraint("way IN ('board', 'account', 'phone')", name="way"),
        sa.CheckConstraint("finding IS NULL OR finding IN ('founded', 'partly', 'unfounded')", name="finding"),
        sa.CheckConstraint("(taken_ms IS NULL) = (taken_by IS NULL)", name="taken"),
        sa.CheckConstraint(
            "(answered_ms IS NULL) = (answered_by IS NULL) AND (answered_ms IS NULL) = (finding IS NULL)",
            name="answered",
        ),
        sa.CheckConstraint("version > 0 AND due_ms > made_ms", name="version"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("code", name="uq_complaint_code"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_complaint_area", "complaint", ["area", "made_ms"], unique=False)
