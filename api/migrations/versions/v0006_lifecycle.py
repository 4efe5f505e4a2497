# ruff: noqa: E501 - lists of words stand here as they were then, in one piece
"""Give alarms a whole life: states to the archive, who was sent, who answered, what was attached, what is left to do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHILDREN = ("alarm_event", "alarm_step")

CHECKS: Mapping[str, Mapping[str, str]] = {
    "alarm": {
        "acknowledged": "(acknowledged_ms IS NULL) = (acknowledged_by IS NULL) AND (state IN ('received', 'cancelled_by_household')) = (acknowledged_ms IS NULL)",
        "state": "state IN ('received', 'cancelled_by_household', 'acknowledged', 'verified', 'dispatched', 'on_the_way', 'on_scene', 'resolved', 'followed_up', 'archived')",
    },
    "alarm_event": {
        "part": "part IN ('press', 'duration', 'cancel', 'cancel_refused', 'answer', 'rung')",
    },
    "alarm_step": {
        "action": "action IN ('receive', 'cancel', 'answer', 'arrive', 'rung', 'acknowledge', 'call_back', 'verify', 'set_kind', 'dispatch', 'recall', 'recall_all', 'hand_over', 'number', 'on_the_way', 'on_scene', 'stand_back', 'transfer', 'accept', 'refuse', 'withdraw', 'join', 'report_up', 'urge', 'wrong_address', 'link', 'note', 'attach', 'resolve', 'follow_up', 'waive', 'file', 'archive', 'reopen')",
        "state": "state IN ('received', 'cancelled_by_household', 'acknowledged', 'verified', 'dispatched', 'on_the_way', 'on_scene', 'resolved', 'followed_up', 'archived')",
        "somebody": "officer IS NULL OR event IS NULL",
    },
}
ADDED: Mapping[str, str] = {
    "source": "source IN ('unit', 'phone', 'desk', 'unreadable')",
    "whereabouts": "whereabouts IS NULL OR whereabouts IN ('home', 'position', 'unknown')",
    "ring": "ring IS NULL OR ring IN ('ordered', 'rung', 'gateway_offline', 'no_gateway', 'shown', 'silent')",
    "outcome": "outcome IS NULL OR outcome IN ('real', 'false', 'test', 'drill', 'nothing_found')",
    "cause": "cause IS NULL OR cause IN ('child', 'pet', 'unit', 'mistake')",
    "satisfaction": "satisfaction IS NULL OR satisfaction BETWEEN 1 AND 5",
    "duress_alone": "kind != 'duress' OR incident IS NULL",
}


def upgrade() -> None:
    """Go forward."""
    with _children_aside():
        with op.batch_alter_table("alarm", **_as_it_is("alarm")) as alarm:
            alarm.add_column(sa.Column("source", sa.String(), nullable=False, server_default=sa.text("'unit'")))
            alarm.add_column(sa.Column("group_known", sa.Boolean(), nullable=False, server_default=sa.false()))
            alarm.add_column(sa.Column("consent", sa.Boolean(), nullable=False, server_default=sa.false()))
            alarm.add_column(sa.Column("excluded", sa.String(), nullable=False, server_default=sa.text("''")))
            alarm.add_column(sa.Column("incident", sa.String(), nullable=True))
            alarm.add_column(sa.Column("first_kind", sa.String(), nullable=True))
            alarm.add_column(sa.Column("raised_by", sa.String(), nullable=True))
            alarm.add_column(sa.Column("words", sa.String(), nullable=True))
            alarm.add_column(sa.Column("address", sa.String(), nullable=True))
            alarm.add_column(sa.Column("whereabouts", sa.String(), nullable=True))
            alarm.add_column(sa.Column("lat_e6", sa.Integer(), nullable=True))
            alarm.add_column(sa.Column("lon_e6", sa.Integer(), nullable=True))
            alarm.add_column(sa.Column("accuracy_m", sa.Integer(), nullable=True))
            alarm.add_column(sa.Column("ring", sa.String(), nullable=True))
            alarm.add_column(sa.Column("during_drill", sa.Boolean(), nullable=False, server_default=sa.false()))
            alarm.add_column(sa.Column("owner", sa.String(), nullable=True))
            alarm.add_column(sa.Column("checked_ms", sa.BigInteger(), nullable=True))
            alarm.add_column(sa.Column("dispatched_ms", sa.BigInteger(), nullable=True))
            alarm.add_column(sa.Column("on_the_way_ms", sa.BigInteger(), nullable=True))
            alarm.add_column(sa.Column("on_scene_ms", sa.BigInteger(), nullable=True))
            alarm.add_column(sa.Column("stood_back_ms", sa.BigInteger(), nullable=True))
            alarm.add_column(sa.Column("due_ms", sa.BigInteger(), nullable=True))
            alarm.add_column(sa.Column("police_number", sa.String(), nullable=True))
            alarm.add_column(sa.Column("resolved_ms", sa.BigInteger(), nullable=True))
            alarm.add_column(sa.Column("resolved_by", sa.String(), nullable=True))
            alarm.add_column(sa.Column("outcome", sa.String(), nullable=True))
            alarm.add_column(sa.Column("cause", sa.String(), nullable=True))
            alarm.add_column(sa.Column("followed_up_ms", sa.BigInteger(), nullable=True))
            alarm.add_column(sa.Column("followed_up_by", sa.String(), nullable=True))
            alarm.add_column(sa.Column("satisfaction", sa.Integer(), nullable=True))
            alarm.add_column(sa.Column("archived_ms", sa.BigInteger(), nullable=True))
            alarm.alter_column("gateway", existing_type=sa.String(), nullable=True)
            _exchange(alarm, "alarm")
            for name, words in ADDED.items():
                alarm.create_check_constraint(name, words)
        with op.batch_alter_table("alarm", **_as_it_is("alarm")) as alarm:
            for name in ("source", "group_known", "during_drill", "consent", "excluded"):
                alarm.alter_column(name, server_default=None)
        op.create_index("ix_alarm_group", "alarm", ["group", "number"])
        op.create_index("ix_alarm_incident", "alarm", ["incident"])
        op.create_index("ix_alarm_place", "alarm", ["place", "happened_ms", "incident"])
        with op.batch_alter_table("alarm_event", **_as_it_is("alarm_event")) as event:
            _exchange(event, "alarm_event")
        with op.batch_alter_table("alarm_step", **_as_it_is("alarm_step")) as step:
            step.add_column(sa.Column("behalf", sa.String(), nullable=True))
            step.add_column(sa.Column("reason", sa.String(), nullable=True))
            step.add_column(sa.Column("detail", sa.Text(), nullable=True))
            _exchange(step, "alarm_step")
    alarms = sa.table("alarm", *(sa.column(name) for name in ("group", "group_known", "owner", "acknowledged_by")))
    op.execute(sa.update(alarms).values(group_known=alarms.c.group.is_not(None), owner=alarms.c.acknowledged_by))
    op.create_table(
        "alarm_dispatch",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("team", sa.String(), nullable=True),
        sa.Column("service", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("on_the_way_ms", sa.BigInteger(), nullable=True),
        sa.Column("on_scene_ms", sa.BigInteger(), nullable=True),
        sa.Column("recalled_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("service IS NULL OR service IN ('119', '120')", name="service"),
        sa.CheckConstraint("(account IS NULL) != (service IS NULL)", name="one_of_both"),
        sa.ForeignKeyConstraint(
            ["alarm"],
            ["alarm.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("alarm_dispatch", schema=None) as batch_op:
        batch_op.create_index("ix_alarm_dispatch_account", ["account", "recalled_ms"], unique=False)
        batch_op.create_index(batch_op.f("ix_alarm_dispatch_alarm"), ["alarm"], unique=False)

    op.create_table(
        "alarm_transfer",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("receiver", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("answered_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("answer IS NULL OR answer IN ('accepted', 'refused', 'withdrawn')", name="answer"),
        sa.CheckConstraint("what IN ('transfer', 'join', 'report_up')", name="what"),
        sa.CheckConstraint("(answer IS NULL) = (answered_ms IS NULL)", name="answered"),
        sa.ForeignKeyConstraint(
            ["alarm"],
            ["alarm.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("alarm_transfer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alarm_transfer_alarm"), ["alarm"], unique=False)
        batch_op.create_index("ix_alarm_transfer_receiver", ["receiver", "answer"], unique=False)

    op.create_table(
        "alarm_answer",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("event", sa.String(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("answer IS NULL OR answer IN ('coming', 'watching', 'cannot')", name="answer"),
        sa.ForeignKeyConstraint(
            ["alarm"],
            ["alarm.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    with op.batch_alter_table("alarm_answer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alarm_answer_alarm"), ["alarm"], unique=False)

    op.create_table(
        "alarm_attachment",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(sha256) = 64 AND size > 0", name="file"),
        sa.ForeignKeyConstraint(
            ["alarm"],
            ["alarm.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("alarm", "sha256", name="uq_alarm_attachment_file"),
    )
    with op.batch_alter_table("alarm_attachment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alarm_attachment_alarm"), ["alarm"], unique=False)

    op.create_table(
        "alarm_errand",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=True),
        sa.Column("done_by", sa.String(), nullable=True),
        sa.Column("found", sa.String(), nullable=True),
        sa.CheckConstraint("what IN ('visit', 'address')", name="what"),
        sa.CheckConstraint("(done_ms IS NULL) = (done_by IS NULL)", name="done"),
        sa.ForeignKeyConstraint(
            ["alarm"],
            ["alarm.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("alarm_errand", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alarm_errand_alarm"), ["alarm"], unique=False)
        batch_op.create_index("ix_alarm_errand_open", ["done_ms", "number"], unique=False)

    op.create_table(
        "alarm_request",
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(digest) = 64", name="digest"),
        sa.PrimaryKeyConstraint("account", "key"),
    )
    with op.batch_alter_table("alarm_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_alarm_request_at_ms"), ["at_ms"], unique=False)


@contextmanager
def _children_aside() -> Iterator[None]:
    """Empty the tables that refer to alarms while theirs is made anew: a table with children is not dropped."""
    kept: dict[str, sa.Table] = {}
    for name in CHILDREN:
        child = sa.Table(name, sa.MetaData(), autoload_with=op.get_bind(), resolve_fks=False)
        aside = op.create_table(f"{name}_aside", *(sa.Column(column.name, column.type) for column in child.columns))
        op.execute(sa.insert(aside).from_select([*child.columns.keys()], sa.select(child)))
        op.execute(sa.delete(child))
        kept[name] = aside
    yield
    for name, aside in kept.items():
        columns = [*aside.columns]
        whole = sa.table(name, *(sa.column(column.name) for column in columns))
        op.execute(sa.insert(whole).from_select([column.name for column in columns], sa.select(*columns)))
        op.drop_table(aside.name)


def _as_it_is(name: str) -> dict[str, Any]:
    """A table with its checks, which Alembic does not read by itself where it makes a table anew."""
    bind = op.get_bind()
    table = sa.Table(name, sa.MetaData(), autoload_with=bind, resolve_fks=True)
    for check in sa.inspect(bind).get_check_constraints(name):
        if check["name"] not in {one.name for one in table.constraints}:
            table.append_constraint(sa.CheckConstraint(check["sqltext"], name=check["name"]))
    return {"copy_from": table, "table_kwargs": {"sqlite_autoincrement": name == "alarm"}}


def _exchange(batch: Any, table: str) -> None:
    for name, words in CHECKS[table].items():
        batch.drop_constraint(name, type_="check")
        batch.create_check_constraint(name, words)
