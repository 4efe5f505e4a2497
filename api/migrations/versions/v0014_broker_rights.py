"""Keep accounts at the broker, keys of gateways and of units, and for which key a slice was sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "broker_account",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("seat", sa.String(), nullable=False),
        sa.Column("occupant", sa.String(), nullable=True),
        sa.Column("digest", sa.String(), nullable=True),
        sa.Column("by", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.CheckConstraint("role IN ('police', 'community', 'grid', 'household', 'gateway')", name="role"),
        sa.PrimaryKeyConstraint("station", "user"),
    )
    op.create_table(
        "gateway_key",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("public", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.CheckConstraint("length(public) = 64", name="public"),
        sa.PrimaryKeyConstraint("number"),
    )
    still = sa.text("to_ms IS NULL")
    op.create_index(
        "uq_gateway_key_still",
        "gateway_key",
        ["station", "gateway"],
        unique=True,
        sqlite_where=still,
        postgresql_where=still,
    )
    op.create_table(
        "unit_key",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["station", "unit"], ["unit.station", "unit.id"]),
        sa.PrimaryKeyConstraint("station", "unit"),
    )
    op.add_column("gateway_slice", sa.Column("sealing_key", sa.String(), nullable=True))
    op.add_column("gateway_slice", sa.Column("sealed_for", sa.String(), nullable=True))
