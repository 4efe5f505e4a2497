"""Keep long works: who asked for what, how far it is, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

KINDS = "'import_trial', 'import', 'points', 'report_alarms', 'report_cards', 'report_points'"
STATES = "'waiting', 'running', 'done', 'failed', 'given_up', 'broken'"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "long_work",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("same", sa.String(), nullable=False),
        sa.Column("heavy", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("begun_ms", sa.BigInteger(), nullable=True),
        sa.Column("beat_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("stop", sa.Boolean(), nullable=False),
        sa.Column("reach", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.CheckConstraint(f"kind IN ({KINDS})", name="kind"),
        sa.CheckConstraint(f"state IN ({STATES})", name="state"),
        sa.CheckConstraint("(state IN ('waiting', 'running')) = (ended_ms IS NULL)", name="ended"),
        sa.CheckConstraint("part BETWEEN 0 AND 1000 AND done >= 0 AND total >= 0", name="part"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_long_work_state", "long_work", ["station", "state"], unique=False)
    op.create_index("ix_long_work_by", "long_work", ["by", "number"], unique=False)
    op.create_index("ix_long_work_ended_ms", "long_work", ["ended_ms"], unique=False)
    op.create_table(
        "long_work_file",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("work", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("octets", sa.Integer(), nullable=False),
        sa.Column("kept_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("role IN ('asked', 'made')", name="role"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("work", "role"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_long_work_file_kept_ms", "long_work_file", ["kept_ms"], unique=False)
