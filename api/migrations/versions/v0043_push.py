"""Push to browsers: channels of another sort, and the station's key for push services."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("notify_channel", **_as_it_is("notify_channel")) as table:
        table.add_column(sa.Column("endpoint", sa.String(), nullable=True))
        table.add_column(sa.Column("session", sa.String(), nullable=True))
        table.add_column(sa.Column("renewed_ms", sa.BigInteger(), nullable=True))
        table.drop_constraint("sort", type_="check")
        table.create_check_constraint("sort", "sort IN ('apprise', 'webhook', 'push')")
        table.create_check_constraint(
            "push", "(sort = 'push') = (endpoint IS NOT NULL) AND (endpoint IS NULL) = (renewed_ms IS NULL)"
        )
    op.create_index("ix_notify_channel_endpoint", "notify_channel", ["endpoint"], unique=False)
    op.create_table(
        "push_key",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("public", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station"),
    )


def _as_it_is(name: str) -> dict[str, Any]:
    """A table with its checks, which Alembic does not read by itself where it makes a table anew."""
    bind = op.get_bind()
    table = sa.Table(name, sa.MetaData(), autoload_with=bind, resolve_fks=True)
    for check in sa.inspect(bind).get_check_constraints(name):
        if check["name"] not in {one.name for one in table.constraints}:
            table.append_constraint(sa.CheckConstraint(check["sqltext"], name=check["name"]))
    return {"copy_from": table}
