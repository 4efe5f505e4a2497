"""Keep what whoever installs a unit heard of its siren."""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. Of units that hang already nobody said it."""
    op.add_column("installation", sa.Column("siren", sa.Boolean(), nullable=True))
    op.add_column("installation", sa.Column("siren_ms", sa.BigInteger(), nullable=True))
    op.add_column("installation", sa.Column("siren_by", sa.String(), nullable=True))
