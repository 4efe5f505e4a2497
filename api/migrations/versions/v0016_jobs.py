"""Let go of the one lease that was for everything, because from now on each job has its own: whoever held it ends."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.execute("DELETE FROM lease")
