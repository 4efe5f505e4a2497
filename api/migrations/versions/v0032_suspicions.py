"""Remember whose check-ins are to be looked at for suspicions, and keep comments with the facts that they cite."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. What was checked in before is not looked at: nobody could say any more what he was doing."""
    op.create_table(
        "suspicion_due",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("heard_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_suspicion_due_guard", "suspicion_due", ["guard", "at_ms"], unique=False)
    op.create_table(
        "points_comment",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("period", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("edited_ms", sa.BigInteger(), nullable=False),
        sa.Column("edited_by", sa.String(), nullable=False),
        sa.Column("published_ms", sa.BigInteger(), nullable=True),
        sa.Column("published_by", sa.String(), nullable=True),
        sa.Column("corrects", sa.String(), nullable=True),
        sa.CheckConstraint("period IN ('day', 'week')", name="period"),
        sa.CheckConstraint("from_ms < to_ms AND version > 0", name="span"),
        sa.CheckConstraint("(published_ms IS NULL) = (published_by IS NULL)", name="published"),
        sa.ForeignKeyConstraint(["corrects"], ["points_comment.id"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("corrects", name="uq_points_comment_corrects"),
        sa.UniqueConstraint("id", name="uq_points_comment_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_points_comment_first",
        "points_comment",
        ["station", "area", "period", "from_ms"],
        unique=True,
        sqlite_where=sa.text("corrects IS NULL"),
        postgresql_where=sa.text("corrects IS NULL"),
    )
    op.create_table(
        "points_sentence",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("nth", sa.Integer(), nullable=False),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("zh", sa.Text(), nullable=True),
        sa.Column("en", sa.Text(), nullable=True),
        sa.Column("cites", sa.Text(), nullable=False),
        sa.Column("written_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["comment"], ["points_comment.id"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("comment", "nth", name="uq_points_sentence_nth"),
        sqlite_autoincrement=True,
    )
