"""Remember which plans a staggered plan became."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "stagger_plan",
        sa.Column("plan", sa.Integer(), nullable=False),
        sa.Column("stagger", sa.Integer(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["plan"], ["patrol_plan.number"]),
        sa.ForeignKeyConstraint(["stagger"], ["stagger.number"]),
        sa.PrimaryKeyConstraint("plan"),
    )
    op.create_index("ix_stagger_plan_stagger", "stagger_plan", ["stagger"], unique=False)
