"""Keep inspections, training and joint meetings."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "meeting",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("companies", sa.String(), nullable=False),
        sa.Column("minutes", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_meeting_area", "meeting", ["station", "area", "at_ms"], unique=False)
    op.create_table(
        "training",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("point", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("to_ms > from_ms", name="span"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_training_area", "training", ["station", "area", "from_ms"], unique=False)
    op.create_table(
        "inspection",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("duty", sa.Integer(), nullable=True),
        sa.Column("point", sa.String(), nullable=True),
        sa.Column("witness", sa.String(), nullable=True),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("witness IS NULL OR witness != guard", name="witness"),
        sa.ForeignKeyConstraint(
            ["duty"],
            ["patrol_duty.number"],
        ),
        sa.ForeignKeyConstraint(
            ["guard"],
            ["guard.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_inspection_area", "inspection", ["station", "area", "at_ms"], unique=False)
    op.create_index("ix_inspection_guard", "inspection", ["guard", "at_ms"], unique=False)
    op.create_table(
        "meeting_task",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("meeting", sa.Integer(), nullable=False),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("done_by", sa.String(), nullable=True),
        sa.Column("found", sa.Text(), nullable=True),
        sa.CheckConstraint("(done_ms IS NULL) = (done_by IS NULL)", name="done"),
        sa.ForeignKeyConstraint(
            ["meeting"],
            ["meeting.number"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_meeting_task_meeting", "meeting_task", ["meeting"], unique=False)
    op.create_table(
        "training_guest",
        sa.Column("training", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("expected", sa.Boolean(), nullable=False),
        sa.Column("signed_ms", sa.BigInteger(), nullable=True),
        sa.Column("signed_by", sa.String(), nullable=True),
        sa.Column("check_in", sa.String(), nullable=True),
        sa.Column("mark", sa.Integer(), nullable=True),
        sa.Column("marked_by", sa.String(), nullable=True),
        sa.CheckConstraint("signed_by IS NULL OR signed_by IN ('tag', 'hand')", name="signed_by"),
        sa.CheckConstraint("(mark IS NULL) = (marked_by IS NULL)", name="marked"),
        sa.CheckConstraint("(signed_ms IS NULL) = (signed_by IS NULL)", name="signed"),
        sa.CheckConstraint("mark IS NULL OR mark BETWEEN 0 AND 100", name="mark"),
        sa.ForeignKeyConstraint(
            ["guard"],
            ["guard.id"],
        ),
        sa.ForeignKeyConstraint(
            ["training"],
            ["training.number"],
        ),
        sa.PrimaryKeyConstraint("training", "guard"),
    )
    op.create_table(
        "inspection_item",
        sa.Column("inspection", sa.Integer(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.CheckConstraint(
            "item IN ('off_post', 'asleep_or_drunk', 'dress', 'gear', 'certificate', 'gear_broken')", name="item"
        ),
        sa.ForeignKeyConstraint(
            ["inspection"],
            ["inspection.number"],
        ),
        sa.PrimaryKeyConstraint("inspection", "item"),
    )
    op.create_table(
        "inspection_photo",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("inspection", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("type IN ('image/jpeg', 'image/png', 'image/webp')", name="type"),
        sa.CheckConstraint("length(sha256) = 64 AND size > 0", name="file"),
        sa.ForeignKeyConstraint(
            ["inspection"],
            ["inspection.number"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("inspection", "sha256", name="uq_inspection_photo_file"),
    )
    op.create_index("ix_inspection_photo_inspection", "inspection_photo", ["inspection"], unique=False)
