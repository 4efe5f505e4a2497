"""Keep roll-calls and spot calls."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "roll_call",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("way", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("seed", sa.String(), nullable=True),
        sa.Column("seed_digest", sa.String(), nullable=True),
        sa.Column("many", sa.Integer(), nullable=False),
        sa.Column("committed_ms", sa.BigInteger(), nullable=False),
        sa.Column("called_ms", sa.BigInteger(), nullable=True),
        sa.Column("until_ms", sa.BigInteger(), nullable=True),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("ends_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(way = 'draw') = (seed IS NOT NULL)", name="seed"),
        sa.CheckConstraint("(way = 'spot') = (until_ms IS NOT NULL)", name="spot"),
        sa.CheckConstraint("way IN ('draw', 'hand', 'spot')", name="way"),
        sa.CheckConstraint("(seed IS NULL) = (seed_digest IS NULL)", name="seed_digest"),
        sa.CheckConstraint("called_ms IS NULL OR called_ms >= committed_ms", name="committed"),
        sa.CheckConstraint("ends_ms IS NULL OR called_ms IS NOT NULL", name="ended"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_roll_call_area", "roll_call", ["station", "area", "number"], unique=False)
    op.create_table(
        "roll_called",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("call", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("duty", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.Column("second_due_ms", sa.BigInteger(), nullable=True),
        sa.Column("second_ms", sa.BigInteger(), nullable=True),
        sa.Column("missed_ms", sa.BigInteger(), nullable=True),
        sa.Column("answered_ms", sa.BigInteger(), nullable=True),
        sa.Column("over", sa.String(), nullable=True),
        sa.Column("typed_by", sa.String(), nullable=True),
        sa.Column("check_in", sa.String(), nullable=True),
        sa.Column("claimed", sa.String(), nullable=True),
        sa.Column("last_check_in", sa.String(), nullable=True),
        sa.Column("last_point", sa.String(), nullable=True),
        sa.Column("last_ms", sa.BigInteger(), nullable=True),
        sa.Column("contradicts", sa.Boolean(), nullable=False),
        sa.CheckConstraint("(state = 'answered') = (answered_ms IS NOT NULL)", name="answered"),
        sa.CheckConstraint("(state = 'waiting') = (due_ms IS NOT NULL)", name="due"),
        sa.CheckConstraint("over IS NULL OR over IN ('reader', 'phone', 'radio')", name="over"),
        sa.CheckConstraint("state IN ('waiting', 'answered', 'missed')", name="state"),
        sa.CheckConstraint("(answered_ms IS NULL) = (over IS NULL)", name="answered_over"),
        sa.CheckConstraint("(second_ms IS NULL) = (second_due_ms IS NULL)", name="second"),
        sa.ForeignKeyConstraint(
            ["call"],
            ["roll_call.number"],
        ),
        sa.ForeignKeyConstraint(
            ["duty"],
            ["patrol_duty.number"],
        ),
        sa.ForeignKeyConstraint(
            ["guard"],
            ["guard.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("call", "guard", name="uq_roll_called_guard"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_roll_called_call", "roll_called", ["call"], unique=False)
    op.create_index("ix_roll_called_due", "roll_called", ["due_ms"], unique=False)
    op.create_index("ix_roll_called_guard", "roll_called", ["guard", "state"], unique=False)
    op.create_table(
        "roll_candidate",
        sa.Column("call", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["call"],
            ["roll_call.number"],
        ),
        sa.ForeignKeyConstraint(
            ["guard"],
            ["guard.id"],
        ),
        sa.PrimaryKeyConstraint("call", "guard"),
    )
