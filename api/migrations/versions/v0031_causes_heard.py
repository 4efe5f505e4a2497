"""Keep up to where was heard what may excuse rounds that were judged, and find duties by their time."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

KINDS = {
    "duty": "patrol_duty_member",
    "leave": "guard_leave",
    "excuse": "guard_excuse",
    "suspension": "patrol_suspension",
    "fault": "fault_step",
}


def upgrade() -> None:
    """Go forward. What is there already was known to whoever judged."""
    op.create_table(
        "patrol_heard",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("number >= 0", name="number"),
        sa.PrimaryKeyConstraint("kind"),
    )
    for kind, table in KINDS.items():
        op.execute(f"INSERT INTO patrol_heard SELECT '{kind}', COALESCE(MAX(number), 0) FROM {table}")  # noqa: S608
    op.create_index("ix_patrol_duty_member_to_ms", "patrol_duty_member", ["to_ms"], unique=False)
