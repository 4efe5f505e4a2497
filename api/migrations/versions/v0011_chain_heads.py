"""Keep the heads that gateways tell of their journals."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "chain_head",
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("told_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(digest) = 64", name="digest"),
        sa.CheckConstraint("seq > 0", name="order"),
        sa.PrimaryKeyConstraint("gateway", "epoch"),
    )
