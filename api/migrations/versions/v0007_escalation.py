"""Keep who is on duty, which desks are attended and what was handed over."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "duty_shift",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("deputy_of", sa.String(), nullable=True),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("weekdays", sa.String(), nullable=False),
        sa.Column("starts_min", sa.Integer(), nullable=False),
        sa.Column("lasts_min", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("starts_min >= 0 AND starts_min < 1440", name="starts"),
        sa.CheckConstraint("lasts_min > 0 AND lasts_min <= 1440", name="lasts"),
        sa.CheckConstraint("length(weekdays) BETWEEN 1 AND 7", name="weekdays"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        sa.CheckConstraint("deputy_of IS NULL OR deputy_of != account", name="deputy"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_duty_shift_account", "duty_shift", ["account"])
    op.create_index("ix_duty_shift_role", "duty_shift", ["role", "area", "to_ms"])
    op.create_table(
        "duty_leave",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("stand_in", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("to_ms >= from_ms", name="span"),
        sa.CheckConstraint("stand_in IS NULL OR stand_in != account", name="stand_in"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_duty_leave_account", "duty_leave", ["account", "to_ms"])
    op.create_table(
        "live_desk",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("beats > 0", name="beats"),
        sa.PrimaryKeyConstraint("station", "name"),
    )
    op.create_table(
        "handover",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("giver", sa.String(), nullable=False),
        sa.Column("taker", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("gave_ms", sa.BigInteger(), nullable=True),
        sa.Column("took_ms", sa.BigInteger(), nullable=True),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("giver != taker", name="two"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.CheckConstraint("(done_ms IS NULL) OR (gave_ms IS NOT NULL AND took_ms IS NOT NULL)", name="done"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_handover_station", "handover", ["station", "number"])


def downgrade() -> None:
    """Go back."""
    for table in ("handover", "live_desk", "duty_leave", "duty_shift"):
        op.drop_table(table)
