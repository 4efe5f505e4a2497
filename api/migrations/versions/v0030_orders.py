"""Keep orders to guards for alarms, and send guards who have no account."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("alarm_dispatch", **_as_it_is("alarm_dispatch")) as table:
        table.add_column(sa.Column("guard", sa.String(), nullable=True))
        table.drop_constraint("one_of_both", type_="check")
        table.create_check_constraint("one_of_both", "(service IS NULL) = (account IS NOT NULL OR guard IS NOT NULL)")
    op.create_table(
        "alarm_order",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("alarm", sa.String(), nullable=False),
        sa.Column("dispatch", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=True),
        sa.Column("words", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("behalf", sa.String(), nullable=True),
        sa.Column("unanswered_ms", sa.BigInteger(), nullable=True),
        sa.Column("offered", sa.String(), nullable=True),
        sa.Column("answer", sa.String(), nullable=True),
        sa.Column("answered_ms", sa.BigInteger(), nullable=True),
        sa.Column("answered_by", sa.String(), nullable=True),
        sa.Column("answered_behalf", sa.String(), nullable=True),
        sa.Column("declined_for", sa.Text(), nullable=True),
        sa.Column("check_in", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.String(), nullable=True),
        sa.CheckConstraint("answer IS NULL OR answer IN ('accepted', 'declined')", name="answer"),
        sa.CheckConstraint(
            "(answer IS NULL) = (answered_ms IS NULL) AND (answer IS NULL) = (answered_by IS NULL)", name="answered"
        ),
        sa.CheckConstraint("ended IS NULL OR ended IN ('declined', 'called_back', 'closed')", name="ended"),
        sa.CheckConstraint("(ended IS NULL) = (ended_ms IS NULL)", name="ended_ms"),
        sa.CheckConstraint("due_ms IS NULL OR (answer IS NULL AND ended IS NULL)", name="due"),
        sa.CheckConstraint("(check_in IS NULL) = (source IS NULL)", name="proof"),
        sa.ForeignKeyConstraint(["alarm"], ["alarm.id"]),
        sa.ForeignKeyConstraint(["dispatch"], ["alarm_dispatch.number"]),
        sa.ForeignKeyConstraint(["guard"], ["guard.id"]),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alarm_order_alarm", "alarm_order", ["alarm"], unique=False)
    op.create_index("ix_alarm_order_guard", "alarm_order", ["guard"], unique=False)
    op.create_index("ix_alarm_order_open", "alarm_order", ["ended_ms", "guard"], unique=False)
    op.create_index("ix_alarm_order_due", "alarm_order", ["due_ms"], unique=False)


def _as_it_is(name: str) -> dict[str, Any]:
    """A table with its checks, which Alembic does not read by itself where it makes a table anew."""
    bind = op.get_bind()
    table = sa.Table(name, sa.MetaData(), autoload_with=bind, resolve_fks=True)
    for check in sa.inspect(bind).get_check_constraints(name):
        if check["name"] not in {one.name for one in table.constraints}:
            table.append_constraint(sa.CheckConstraint(check["sqltext"], name=check["name"]))
    return {"copy_from": table}
