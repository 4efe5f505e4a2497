"""Keep whose neighbours' sirens an officer quieted, and which alarms sounded at nobody's because of it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "quieting",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.CheckConstraint("until_ms > from_ms AND until_ms - from_ms <= 259200000", name="span"),
        sa.CheckConstraint("to_ms IS NULL OR (to_ms >= from_ms AND to_ms <= until_ms)", name="period"),
        sa.CheckConstraint("lifted_by IS NULL OR to_ms IS NOT NULL", name="lifted"),
        sa.ForeignKeyConstraint(["station", "place"], ["place.station", "place.id"]),
        sa.PrimaryKeyConstraint("number"),
    )
    still = sa.text("to_ms IS NULL")
    op.create_index(
        "uq_quieting_still",
        "quieting",
        ["station", "place"],
        unique=True,
        sqlite_where=still,
        postgresql_where=still,
    )
    op.create_index("ix_quieting_place", "quieting", ["station", "place"])
    op.add_column("alarm", sa.Column("quiet", sa.Boolean(), nullable=False, server_default=sa.false()))
