# ruff: noqa: E501 - lists of words stand here as they were then, in one piece
"""Add drills, absences, warnings, matters, the admitted list and tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "admitted",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("department", sa.String(), nullable=False),
        sa.Column("authority", sa.String(), nullable=False),
        sa.Column("deadline_h", sa.Integer(), nullable=False),
        sa.Column("funds", sa.String(), nullable=False),
        sa.Column("approved_by", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("deadline_h BETWEEN 1 AND 8760", name="deadline"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "away",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("by", sa.String(), nullable=True),
        sa.CheckConstraint("to_ms IS NULL OR from_ms < to_ms", name="span"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_away_place", "away", ["place", "from_ms"], unique=False)
    op.create_table(
        "drill",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("group", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("announced_ms", sa.BigInteger(), nullable=False),
        sa.Column("begins_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=False),
        sa.Column("ordered_ms", sa.BigInteger(), nullable=True),
        sa.Column("called_off_ms", sa.BigInteger(), nullable=True),
        sa.Column("called_off_by", sa.String(), nullable=True),
        sa.CheckConstraint("(called_off_ms IS NULL) = (called_off_by IS NULL)", name="called_off"),
        sa.CheckConstraint("announced_ms < begins_ms AND begins_ms < ends_ms", name="announced"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_drill_span", "drill", ["group", "begins_ms", "ends_ms"], unique=False)
    op.create_index(op.f("ix_drill_station"), "drill", ["station"], unique=False)
    op.create_table(
        "matter",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("group", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("reported_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("acknowledged_ms", sa.BigInteger(), nullable=True),
        sa.Column("resolved_ms", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("satisfaction", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('hazard', 'incident')", name="kind"),
        sa.CheckConstraint(
            "outcome IS NULL OR outcome IN ('real', 'false', 'test', 'drill', 'nothing_found')", name="outcome"
        ),
        sa.CheckConstraint(
            "state IN ('received', 'cancelled_by_household', 'acknowledged', 'verified', 'dispatched', 'on_the_way', 'on_scene', 'resolved', 'followed_up', 'archived')",
            name="state",
        ),
        sa.CheckConstraint("satisfaction IS NULL OR satisfaction BETWEEN 1 AND 5", name="satisfaction"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_matter_by"), "matter", ["by"], unique=False)
    op.create_index("ix_matter_group", "matter", ["group", "number"], unique=False)
    op.create_index(op.f("ix_matter_station"), "matter", ["station"], unique=False)
    op.create_table(
        "tip",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_ms", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_by", sa.String(), nullable=True),
        sa.CheckConstraint("kind IN ('warning', 'tip')", name="kind"),
        sa.CheckConstraint("(withdrawn_ms IS NULL) = (withdrawn_by IS NULL)", name="withdrawn"),
        sa.CheckConstraint("from_ms < expires_ms", name="ends"),
        sa.CheckConstraint("length(title) > 0 AND length(title) <= 120", name="title"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_tip_expires_ms"), "tip", ["expires_ms"], unique=False)
    op.create_index(op.f("ix_tip_station"), "tip", ["station"], unique=False)
    op.create_table(
        "drill_unit",
        sa.Column("drill", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["drill"],
            ["drill.number"],
        ),
        sa.PrimaryKeyConstraint("drill", "unit"),
    )
    op.create_index(op.f("ix_drill_unit_unit"), "drill_unit", ["unit"], unique=False)
    op.create_table(
        "matter_step",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("matter", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "action IN ('receive', 'cancel', 'answer', 'arrive', 'rung', 'acknowledge', 'call_back', 'verify', 'set_kind', 'dispatch', 'recall', 'recall_all', 'hand_over', 'number', 'on_the_way', 'on_scene', 'stand_back', 'transfer', 'accept', 'refuse', 'withdraw', 'join', 'report_up', 'urge', 'wrong_address', 'link', 'note', 'attach', 'resolve', 'follow_up', 'waive', 'file', 'archive', 'reopen')",
            name="action",
        ),
        sa.CheckConstraint(
            "state IN ('received', 'cancelled_by_household', 'acknowledged', 'verified', 'dispatched', 'on_the_way', 'on_scene', 'resolved', 'followed_up', 'archived')",
            name="state",
        ),
        sa.ForeignKeyConstraint(
            ["matter"],
            ["matter.number"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(op.f("ix_matter_step_matter"), "matter_step", ["matter"], unique=False)
    op.create_table(
        "task",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("admitted", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("matter", sa.Integer(), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("assigned_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("found", sa.Text(), nullable=True),
        sa.Column("judged_ms", sa.BigInteger(), nullable=True),
        sa.Column("judged_by", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("(state = 'assigned') = (done_ms IS NULL)", name="done"),
        sa.CheckConstraint("state IN ('assigned', 'done', 'accepted')", name="state"),
        sa.CheckConstraint("due_ms > assigned_ms", name="due"),
        sa.ForeignKeyConstraint(
            ["admitted"],
            ["admitted.id"],
        ),
        sa.ForeignKeyConstraint(
            ["matter"],
            ["matter.number"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_task_station"), "task", ["station"], unique=False)
    op.create_index("ix_task_worker", "task", ["worker", "state"], unique=False)
    op.create_table(
        "tip_area",
        sa.Column("tip", sa.Integer(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tip"],
            ["tip.number"],
        ),
        sa.PrimaryKeyConstraint("tip", "area"),
    )
    op.create_table(
        "tip_read",
        sa.Column("tip", sa.Integer(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("read_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tip"],
            ["tip.number"],
        ),
        sa.PrimaryKeyConstraint("tip", "place"),
    )
