"""Keep who is on duty and what was handed over, ladders with their deadlines, channels with their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STAGES = "'acknowledge', 'answers', 'dispatch', 'arrive', 'resolve'"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "duty_shift",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("deputy_of", sa.String(), nullable=True),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("weekdays", sa.String(), nullable=False),
        sa.Column("starts_min", sa.Integer(), nullable=False),
        sa.Column("lasts_min", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("starts_min >= 0 AND starts_min < 1440", name="starts"),
        sa.CheckConstraint("lasts_min > 0 AND lasts_min <= 1440", name="lasts"),
        sa.CheckConstraint("length(weekdays) BETWEEN 1 AND 7", name="weekdays"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        sa.CheckConstraint("deputy_of IS NULL OR deputy_of != account", name="deputy"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_duty_shift_account", "duty_shift", ["account"])
    op.create_index("ix_duty_shift_role", "duty_shift", ["role", "area", "to_ms"])
    op.create_table(
        "duty_leave",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("stand_in", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("to_ms >= from_ms", name="span"),
        sa.CheckConstraint("stand_in IS NULL OR stand_in != account", name="stand_in"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_duty_leave_account", "duty_leave", ["account", "to_ms"])
    op.create_table(
        "live_desk",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("beats > 0", name="beats"),
        sa.PrimaryKeyConstraint("station", "name"),
    )
    op.create_table(
        "handover",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("giver", sa.String(), nullable=False),
        sa.Column("taker", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("sheet", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("gave_ms", sa.BigInteger(), nullable=True),
        sa.Column("took_ms", sa.BigInteger(), nullable=True),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("giver != taker", name="two"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.CheckConstraint("(done_ms IS NULL) OR (gave_ms IS NOT NULL AND took_ms IS NOT NULL)", name="done"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_handover_station", "handover", ["station", "number"])
    op.create_table(
        "ladder",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("rungs", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.CheckConstraint(f"stage IN ({STAGES})", name="stage"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("station", "stage", "kind", "area", "version", name="uq_ladder_version"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "deadline",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("rung", sa.Text(), nullable=False),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("remaining_s", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(f"stage IN ({STAGES})", name="stage"),
        sa.CheckConstraint("outcome IN ('running', 'told', 'passed', 'skipped', 'settled', 'enough')", name="outcome"),
        sa.CheckConstraint("cause IN ('timer', 'nobody', 'undeliverable')", name="cause"),
        sa.CheckConstraint("(outcome = 'running') = (done_ms IS NULL)", name="done"),
        sa.CheckConstraint("level >= 0 AND round >= 0 AND people >= 0", name="counts"),
        sa.ForeignKeyConstraint(["alarm"], ["alarm.id"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("alarm", "stage", "round", "level", name="uq_deadline_level"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deadline_running", "deadline", ["station", "outcome", "number"])
    op.create_table(
        "notify_host",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station", "host"),
    )
    op.create_table(
        "notify_channel",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("sort", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("police", sa.Boolean(), nullable=False),
        sa.Column("quiet_from_min", sa.Integer(), nullable=True),
        sa.Column("quiet_to_min", sa.Integer(), nullable=True),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("sort IN ('apprise', 'webhook')", name="sort"),
        sa.CheckConstraint(
            "(quiet_from_min IS NULL) = (quiet_to_min IS NULL)"
            " AND (quiet_from_min IS NULL OR quiet_from_min BETWEEN 0 AND 1439)"
            " AND (quiet_to_min IS NULL OR quiet_to_min BETWEEN 0 AND 1439)",
            name="quiet",
        ),
        sa.CheckConstraint("version > 0", name="version"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_notify_channel_account", "notify_channel", ["station", "account"])
    op.create_table(
        "delivery",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("notice", sa.Text(), nullable=False),
        sa.Column("police", sa.Boolean(), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("escalation", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("claimed_ms", sa.BigInteger(), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'failed', 'undeliverable')", name="state"),
        sa.CheckConstraint("(state IN ('sent', 'undeliverable')) = (done_ms IS NOT NULL)", name="done"),
        sa.CheckConstraint("tries >= 0", name="tries"),
        sa.CheckConstraint("length(id) = 32", name="id"),
        sa.ForeignKeyConstraint(["channel"], ["notify_channel.id"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_delivery_due", "delivery", ["station", "state", "due_ms"])
    op.create_index("ix_delivery_account", "delivery", ["account", "made_ms"])
    op.create_index("ix_delivery_channel", "delivery", ["channel", "done_ms"])
    op.create_index("ix_delivery_escalation", "delivery", ["escalation"])
