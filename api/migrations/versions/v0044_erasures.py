"""Know which households were erased, so that a restored backup does not bring them back."""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "erasure",
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("occupant", sa.String(), nullable=False),
        sa.Column("erased_ms", sa.BigInteger(), nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("place", "occupant"),
    )
