"""Keep the colours of areas, and good-person cards."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "area_colour",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("colour", sa.String(), nullable=False),
        sa.Column("afterwards", sa.String(), nullable=False),
        sa.Column("every_min", sa.Integer(), nullable=False),
        sa.Column("checks_month", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("alarms", sa.Integer(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("afterwards IN ('red', 'orange', 'yellow', 'blue')", name="afterwards"),
        sa.CheckConstraint("colour IN ('red', 'orange', 'yellow', 'blue')", name="colour"),
        sa.CheckConstraint("every_min BETWEEN 10 AND 1440 AND checks_month BETWEEN 0 AND 31", name="numbers"),
        sa.CheckConstraint("expires_ms > from_ms AND (to_ms IS NULL OR to_ms >= from_ms)", name="span"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_area_colour_area", "area_colour", ["station", "area", "from_ms"], unique=False)
    op.create_index(
        "uq_area_colour_still",
        "area_colour",
        ["station", "area"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "good_card",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("quarter", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("level IN ('first', 'second', 'third', 'fourth')", name="level"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        sa.ForeignKeyConstraint(
            ["guard"],
            ["guard.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_good_card_guard", "good_card", ["guard"], unique=False)
    op.create_index(
        "uq_good_card_still",
        "good_card",
        ["guard"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
