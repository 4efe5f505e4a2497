"""Keep rewards from application to payment, and the fund they are paid from."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "reward",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.CheckConstraint("amount_fen > 0", name="amount"),
        sa.CheckConstraint("state IN ('applied', 'checked', 'approved', 'paid', 'refused')", name="state"),
        sa.ForeignKeyConstraint(["guard"], ["guard.id"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("station", "event", name="uq_reward_event"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "reward_step",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("reward", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('applied', 'checked', 'approved', 'paid', 'refused')", name="state"),
        sa.ForeignKeyConstraint(["reward"], ["reward.number"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("reward", "state", name="uq_reward_step_once"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "reward_fund",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("reward", sa.Integer(), nullable=True),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(amount_fen > 0) = (reward IS NULL)", name="way"),
        sa.CheckConstraint("(reward IS NULL) = (reference IS NOT NULL)", name="reference"),
        sa.ForeignKeyConstraint(["reward"], ["reward.number"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("reward", name="uq_reward_fund_reward"),
        sa.UniqueConstraint("station", "reference", name="uq_reward_fund_reference"),
        sqlite_autoincrement=True,
    )
