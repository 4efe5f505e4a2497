
"""Add drills, absences, warnings and tips."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "away",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("by", sa.String(), nullable=True),
        sa.CheckConstraint("to_ms IS NULL OR from_ms < to_ms", name="span"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_away_place", "away", ["place", "from_ms"], unique=False)
    op.create_table(
        "drill",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("group", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("announced_ms", sa.BigInteger(), nullable=False),
        sa.Column("begins_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=False),
        sa.Column("ordered_ms", sa.BigInteger(), nullable=True),
        sa.Column("called_off_ms", sa.BigInteger(), nullable=True),
        sa.Column("called_off_by", sa.String(), nullable=True),
        sa.CheckConstraint("(called_off_ms IS NULL) = (called_off_by IS NULL)", name="called_off"),
        sa.CheckConstraint("announced_ms < begins_ms AND begins_ms < ends_ms", name="announced"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_drill_span", "drill", ["group", "begins_ms", "ends_ms"], unique=False)
    op.create_index(op.f("ix_drill_station"), "drill", ["station"], unique=False)
    op.create_table(
        "tip",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_ms", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=True),
        sa.CheckConstraint("kind IN ('warning', 'tip')", name="kind"),
        sa.CheckConstraint("(withdrawn_ms IS NULL) = (withdrawn_by IS NULL)", name="withdrawn"),
        sa.CheckConstraint("from_ms < expires_ms", name="ends"),
        sa.CheckConstraint("length(title) > 0 AND length(title) <= 120", name="title"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tip_expires_ms"), "tip", ["expires_ms"], unique=False)
    op.create_index(op.f("ix_tip_station"), "tip", ["station"], unique=False)
    op.create_table(
        "drill_unit",
        sa.Column("drill", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["drill"],
            ["drill.number"],
        ),
        sa.PrimaryKeyConstraint("drill", "unit"),
    )
    op.create_index(op.f("ix_drill_unit_unit"), "drill_unit", ["unit"], unique=False)
    op.create_table(
        "tip_area",
        sa.Column("tip", sa.Integer(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tip"],
            ["tip.number"],
        ),
        sa.PrimaryKeyConstraint("tip", "area"),
    )
    op.create_table(
        "tip_read",
        sa.Column("tip", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("read_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tip"],
            ["tip.number"],
        ),
        sa.PrimaryKeyConstraint("tip", "place"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("tip_read")
    op.drop_table("tip_area")
    op.drop_table("drill_unit")
    op.drop_table("tip")
    op.drop_table("drill")
    op.drop_table("away")
