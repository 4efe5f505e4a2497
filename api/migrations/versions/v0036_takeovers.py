"""Let a company ask for a guard of another one."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "guard_takeover",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=False),
        sa.Column("service_number", sa.String(), nullable=True),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("guard", sa.String(), nullable=True),
        sa.CheckConstraint("decision IS NULL OR decision IN ('confirmed', 'refused')", name="decision"),
        sa.CheckConstraint(
            "(decision IS NULL) = (decided_ms IS NULL) AND (decision IS NULL) = (decided_by IS NULL)", name="decided"
        ),
        sa.CheckConstraint("guard IS NULL OR decision = 'confirmed'", name="guard"),
        sa.ForeignKeyConstraint(["guard"], ["guard.id"]),
        sa.ForeignKeyConstraint(["station", "company"], ["company.station", "company.id"]),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_guard_takeover_company", "guard_takeover", ["station", "company", "number"], unique=False)
