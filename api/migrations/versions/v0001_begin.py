# ruff: noqa: E501 - lists of words stand here as they were then, in one piece
"""Begin with inbox, alarms and what is owed."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "alarm",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=True),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("group", sa.String(), nullable=True),
        sa.Column("door", sa.Integer(), nullable=True),
        sa.Column("label", sa.String(), nullable=True),
        sa.Column("unit", sa.String(), nullable=True),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("clock", sa.String(), nullable=False),
        sa.Column("age_ms", sa.BigInteger(), nullable=False),
        sa.Column("happened_ms", sa.BigInteger(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("presses", sa.Integer(), nullable=False),
        sa.Column("cancelled_ms", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_ms", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(acknowledged_ms IS NULL) = (acknowledged_by IS NULL) AND (state != 'acknowledged') = (acknowledged_ms IS NULL)",
            name="acknowledged",
        ),
        sa.CheckConstraint("clock IN ('synced', 'unsynced')", name="clock"),
        sa.CheckConstraint("kind != 'duress' OR cancelled_ms IS NULL", name="duress_stays"),
        sa.CheckConstraint(
            "kind IN ('panic', 'help', 'medical', 'fire', 'intrusion', 'duress', 'tamper', 'test', 'drill', 'unverified')",
            name="kind",
        ),
        sa.CheckConstraint("mark IS NULL OR mark IN ('test', 'drill')", name="mark"),
        sa.CheckConstraint("state IN ('received', 'cancelled_by_household', 'acknowledged')", name="state"),
        sa.CheckConstraint("age_ms >= 0 AND presses > 0 AND version > 0", name="counts"),
        sa.CheckConstraint("length(id) = 36", name="id"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("alarm", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alarm_key"), ["key"], unique=False)
        batch_op.create_index("ix_alarm_state", ["state", "number"], unique=False)
        batch_op.create_index(batch_op.f("ix_alarm_unit"), ["unit"], unique=False)

    op.create_table(
        "dead_letter",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("event", sa.String(), nullable=True),
        sa.Column("gateway", sa.String(), nullable=True),
        sa.Column("epoch", sa.String(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(digest) = 64", name="digest"),
        sa.CheckConstraint("length(payload) <= 65536", name="bounded"),
        sa.CheckConstraint("tries > 0 AND times > 0", name="counts"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("digest"),
    )
    with op.batch_alter_table("dead_letter", schema=None) as batch_op:
        batch_op.create_index("ix_dead_letter_order", ["gateway", "epoch", "seq"], unique=False)

    op.create_table(
        "fault",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("cleared_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("times > 0", name="counts"),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("fault", schema=None) as batch_op:
        batch_op.create_index("ix_fault_open", ["code", "gateway", "about", "cleared_ms"], unique=False)

    op.create_table(
        "gap",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("found_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("reason IN ('', 'pruned')", name="reason"),
        sa.CheckConstraint("first >= 1 AND last >= first", name="range"),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("gap", schema=None) as batch_op:
        batch_op.create_index("ix_gap_order", ["gateway", "epoch", "first"], unique=False)

    op.create_table(
        "gateway",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("session", sa.String(), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=True),
        sa.Column("epoch", sa.String(), nullable=True),
        sa.Column("head", sa.BigInteger(), nullable=True),
        sa.Column("low", sa.BigInteger(), nullable=True),
        sa.Column("queued", sa.BigInteger(), nullable=True),
        sa.Column("clock", sa.String(), nullable=True),
        sa.Column("faults", sa.String(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.Column("command_counter", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("command_counter >= 0", name="counter"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "gateway_epoch",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("highest", sa.BigInteger(), nullable=False),
        sa.Column("checked", sa.BigInteger(), nullable=False),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("highest >= 0 AND checked >= 1", name="order"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("gateway", "epoch", name="uq_gateway_epoch"),
    )
    op.create_table(
        "inbox",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("copy", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "event IN ('press', 'duration', 'cancel', 'answer', 'sounded', 'silenced', 'reset', 'alert', 'unverified', 'test', 'tamper', 'restore', 'fault', 'fault_restored', 'epoch_opened', 'pruned', 'check_in', 'hello', 'heartbeat')",
            name="event",
        ),
        sa.CheckConstraint("length(digest) = 64", name="digest"),
        sa.CheckConstraint("length(epoch) = 16", name="epoch"),
        sa.CheckConstraint("length(id) = 36", name="id"),
        sa.CheckConstraint("seq > 0 AND copy >= 0", name="order"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("gateway", "epoch", "seq", "copy", name="uq_inbox_order"),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_inbox_received_ms"), ["received_ms"], unique=False)

    op.create_table(
        "outgoing",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("command_to", sa.String(), nullable=True),
        sa.Column("alarm", sa.String(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("happened_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.Column("listened", sa.Boolean(), nullable=True),
        sa.Column("sent_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'sent') = (sent_ms IS NOT NULL)", name="sent"),
        sa.CheckConstraint("state IN ('waiting', 'sent')", name="state"),
        sa.CheckConstraint("tries >= 0", name="counts"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("outgoing", schema=None) as batch_op:
        batch_op.create_index("ix_outgoing_state", ["state", "number"], unique=False)

    op.create_table(
        "rejection",
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("times > 0", name="counts"),
        sa.PrimaryKeyConstraint("gateway", "reason"),
    )
    op.create_table(
        "station",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("alive_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("generation > 0", name="rises"),
        sa.CheckConstraint("id = 1", name="one_row"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "alarm_event",
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("part IN ('press', 'duration', 'cancel', 'cancel_refused')", name="part"),
        sa.ForeignKeyConstraint(
            ["alarm"],
            ["alarm.id"],
        ),
        sa.ForeignKeyConstraint(
            ["event"],
            ["inbox.id"],
        ),
        sa.PrimaryKeyConstraint("event"),
    )
    with op.batch_alter_table("alarm_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alarm_event_alarm"), ["alarm"], unique=False)
        batch_op.create_index("ix_alarm_event_key", ["key"], unique=False)

    op.create_table(
        "alarm_step",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("officer", sa.String(), nullable=True),
        sa.Column("event", sa.String(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("action IN ('receive', 'cancel', 'acknowledge')", name="action"),
        sa.CheckConstraint("state IN ('received', 'cancelled_by_household', 'acknowledged')", name="state"),
        sa.CheckConstraint("(officer IS NULL) != (event IS NULL)", name="somebody"),
        sa.ForeignKeyConstraint(
            ["alarm"],
            ["alarm.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("alarm_step", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alarm_step_alarm"), ["alarm"], unique=False)
