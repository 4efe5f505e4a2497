"""Keep calls for help of people on patrol, and who near was told."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "help_call",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("guard", sa.String(), nullable=True),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("duty", sa.Boolean(), nullable=False),
        sa.Column("point", sa.String(), nullable=True),
        sa.Column("seen_ms", sa.BigInteger(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["alarm"], ["alarm.id"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("account", "key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_help_call_account", "help_call", ["account", "at_ms"], unique=False)
    op.create_index("ix_help_call_alarm", "help_call", ["alarm"], unique=False)
    op.create_index("ix_help_call_company", "help_call", ["company"], unique=False)
    op.create_table(
        "help_told",
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["alarm"], ["alarm.id"]),
        sa.PrimaryKeyConstraint("alarm", "guard"),
    )
    op.create_index("ix_help_told_account", "help_told", ["account"], unique=False)
