"""Keep photos of hazards and incidents."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "matter_photo",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("matter", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(sha256) = 64 AND size > 0", name="file"),
        sa.CheckConstraint("type IN ('image/jpeg', 'image/png', 'image/webp')", name="type"),
        sa.ForeignKeyConstraint(["matter"], ["matter.number"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("matter", "sha256", name="uq_matter_photo_file"),
    )
    op.create_index("ix_matter_photo_matter", "matter_photo", ["matter"], unique=False)
