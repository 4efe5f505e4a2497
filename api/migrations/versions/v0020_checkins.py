"""Keep check-ins, the tags by which they are known, and the tags that nobody knows."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "check_in",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=True),
        sa.Column("reader", sa.String(), nullable=True),
        sa.Column("tag", sa.String(), nullable=True),
        sa.Column("guard", sa.String(), nullable=True),
        sa.Column("point", sa.String(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("device_ms", sa.BigInteger(), nullable=True),
        sa.Column("server_ms", sa.BigInteger(), nullable=False),
        sa.Column("skew_ms", sa.BigInteger(), nullable=True),
        sa.Column("flags", sa.String(), nullable=False),
        sa.CheckConstraint(
            "source IN ('fixed_reader', 'wand', 'nfc_phone', 'qr', 'position', 'witness', 'radio')", name="source"
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id", name="uq_check_in_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_check_in_guard", "check_in", ["guard", "at_ms"], unique=False)
    op.create_index("ix_check_in_point", "check_in", ["point", "at_ms"], unique=False)
    op.create_index("ix_check_in_tag", "check_in", ["tag", "at_ms"], unique=False)
    op.create_table(
        "checkpoint_tag",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("low24", sa.String(), nullable=True),
        sa.Column("point", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.CheckConstraint("length(tag) IN (6, 8, 10, 14, 20)", name="tag"),
        sa.CheckConstraint("(to_ms IS NULL) = (ended IS NULL)", name="ended_then"),
        sa.CheckConstraint("ended IS NULL OR ended IN ('lost', 'moved', 'broken')", name="ended"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    for column in ("tag", "low24", "point"):
        op.create_index(f"ix_checkpoint_tag_{column}", "checkpoint_tag", [column], unique=False)
    still = sa.text("to_ms IS NULL")
    op.create_index(
        "uq_checkpoint_tag_still", "checkpoint_tag", ["tag"], unique=True, sqlite_where=still, postgresql_where=still
    )
    op.create_table(
        "unknown_tag",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=True),
        sa.Column("reader", sa.String(), nullable=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("settled", sa.String(), nullable=True),
        sa.Column("settled_ms", sa.BigInteger(), nullable=True),
        sa.Column("settled_by", sa.String(), nullable=True),
        sa.CheckConstraint("why IN ('not_enrolled', 'not_then', 'ambiguous', 'lost', 'unreadable')", name="why"),
        sa.CheckConstraint("settled IS NULL OR settled IN ('enrolled', 'dismissed')", name="settled"),
        sa.CheckConstraint("times > 0 AND last_ms >= first_ms", name="times"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("tag", "why", name="uq_unknown_tag"),
        sqlite_autoincrement=True,
    )
