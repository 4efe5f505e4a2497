"""Keep what screens hear for a day; work faults off, and gather many that have one cause."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "feed_entry",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("eyes", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(id) = 32", name="id"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_feed_entry_at_ms", "feed_entry", ["at_ms"], unique=False)
    with op.batch_alter_table("fault", schema=None) as batch_op:
        batch_op.add_column(sa.Column("began_ms", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("areas", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("work", sa.String(), nullable=False, server_default="open"))
        batch_op.add_column(sa.Column("owner", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("owner_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("part_of", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("units", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("battery_until_ms", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
        batch_op.create_check_constraint("work", "work IN ('open', 'acknowledged', 'assigned', 'done')")
        batch_op.create_index("ix_fault_work", ["work", "number"], unique=False)
        batch_op.create_index(batch_op.f("ix_fault_part_of"), ["part_of"], unique=False)
    op.execute("UPDATE fault SET began_ms = first_ms, work = CASE WHEN cleared_ms IS NULL THEN 'open' ELSE 'done' END")
    with op.batch_alter_table("fault", schema=None) as batch_op:
        for name in ("began_ms", "areas", "work", "version"):
            batch_op.alter_column(name, server_default=None)
    op.create_table(
        "fault_step",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("fault", sa.Integer(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("assignee", sa.String(), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("asked", sa.String(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "act IN ('acknowledge', 'assign', 'note', 'done', 'began', 'restored', 'came_back')", name="act"
        ),
        sa.ForeignKeyConstraint(["fault"], ["fault.number"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("fault", "asked", name="uq_fault_step_asked"),
    )
    op.create_index("ix_fault_step_fault", "fault_step", ["fault"], unique=False)
