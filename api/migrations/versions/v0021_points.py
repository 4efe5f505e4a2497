"""Keep points: facts, ledger, flags, steps, balances, months, rules and their trials."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "points_fact",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("place_in_line", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(), nullable=True),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("colour", sa.String(), nullable=True),
        sa.Column("night", sa.Boolean(), nullable=False),
        sa.Column("duty", sa.Boolean(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("occurred_ms", sa.BigInteger(), nullable=False),
        sa.Column("heard_ms", sa.BigInteger(), nullable=False),
        sa.Column("happenings", sa.Text(), nullable=False),
        sa.Column("newest", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("station", "key", "revision", name="uq_points_fact_revision"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_points_fact_guard", "points_fact", ["guard", "occurred_ms"], unique=False)
    op.create_index("ix_points_fact_time", "points_fact", ["station", "occurred_ms"], unique=False)
    op.create_table(
        "points_entry",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(), nullable=True),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("points_tenths", sa.Integer(), nullable=False),
        sa.Column("occurred_ms", sa.BigInteger(), nullable=False),
        sa.Column("booked_ms", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("reason_zh", sa.Text(), nullable=False),
        sa.Column("reason_en", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("reverses", sa.String(), nullable=True),
        sa.Column("fact", sa.String(), nullable=True),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=True),
        sa.Column("colour", sa.String(), nullable=True),
        sa.Column("night", sa.Boolean(), nullable=False),
        sa.CheckConstraint("guard IS NOT NULL OR company IS NOT NULL", name="whose"),
        sa.ForeignKeyConstraint(["reverses"], ["points_entry.id"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id", name="uq_points_entry_id"),
        sa.UniqueConstraint("reverses", name="uq_points_entry_reverses"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_points_entry_guard", "points_entry", ["guard", "occurred_ms"], unique=False)
    op.create_index("ix_points_entry_company", "points_entry", ["company", "number"], unique=False)
    op.create_index("ix_points_entry_month", "points_entry", ["station", "month", "number"], unique=False)
    op.create_index("ix_points_entry_fact", "points_entry", ["fact"], unique=False)
    op.create_index("ix_points_entry_time", "points_entry", ["station", "occurred_ms"], unique=False)
    op.create_table(
        "points_flag",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(), nullable=True),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("points_tenths", sa.Integer(), nullable=False),
        sa.Column("occurred_ms", sa.BigInteger(), nullable=False),
        sa.Column("raised_ms", sa.BigInteger(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("reason_zh", sa.Text(), nullable=False),
        sa.Column("reason_en", sa.Text(), nullable=False),
        sa.Column("fact", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("colour", sa.String(), nullable=True),
        sa.Column("night", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id", name="uq_points_flag_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_points_flag_fact", "points_flag", ["fact"], unique=False)
    op.create_index("ix_points_flag_station", "points_flag", ["station", "number"], unique=False)
    op.create_table(
        "points_step",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "action IN ('appealed', 'upheld', 'rejected', 'confirmed', 'dismissed', 'withdrawn')", name="action"
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("about", "action", name="uq_points_step_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "points_balance",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("points_tenths", sa.Integer(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("station", "owner", "month"),
    )
    op.create_table(
        "points_month",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("month", sa.String(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("points_tenths", sa.Integer(), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_by", sa.String(), nullable=False),
        sa.CheckConstraint("length(previous) = 64 AND length(digest) = 64", name="digest"),
        sa.PrimaryKeyConstraint("station", "month"),
    )
    op.create_table(
        "points_rules",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint("version > 0", name="version"),
        sa.PrimaryKeyConstraint("station", "version"),
    )
    op.create_table(
        "points_trial",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_points_trial_digest", "points_trial", ["station", "digest"], unique=False)
