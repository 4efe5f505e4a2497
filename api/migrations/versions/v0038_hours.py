"""Let indexes of check-ins begin with the hour, and find old check-ins and the faults of a span by an index.

Nothing is copied: indexes are made and dropped.
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    hour = sa.text("(at_ms / 3600000)")
    for column in ("guard", "point", "tag"):
        op.create_index(f"ix_check_in_hour_{column}", "check_in", [hour, column], unique=False)
        op.drop_index(f"ix_check_in_{column}", "check_in")
    op.create_index("ix_check_in_server_ms", "check_in", ["server_ms"], unique=False)
    op.create_index("ix_fault_gateway", "fault", ["gateway", "cleared_ms"], unique=False)
