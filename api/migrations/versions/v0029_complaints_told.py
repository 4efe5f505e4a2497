"""Let complaints say who was told of them and when they climb, and some deliveries be nobody else's to read."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. Of what was there nobody was told; what is not answered climbs when it is overdue."""
    op.add_column("complaint", sa.Column("told", sa.String(), nullable=True))
    op.add_column("complaint", sa.Column("climbs_ms", sa.BigInteger(), nullable=True))
    op.execute("UPDATE complaint SET told = 'received' WHERE answered_ms IS NULL")
    op.execute("UPDATE complaint SET climbs_ms = due_ms WHERE answered_ms IS NULL")
    op.create_index("ix_complaint_climbs", "complaint", ["station", "climbs_ms"], unique=False)
    op.add_column("delivery", sa.Column("private", sa.Boolean(), nullable=False, server_default=sa.false()))
