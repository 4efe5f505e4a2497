"""Keep the heads of the audit chain that gateways say they were told."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "audit_witness",
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("said_ms", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("explained_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("length(digest) = 64", name="digest"),
        sa.CheckConstraint("seq > 0", name="order"),
        sa.CheckConstraint("why IN ('', 'cut_off', 'missing', 'other_history')", name="why"),
        sa.PrimaryKeyConstraint("gateway"),
    )
