"""Let what a superior urged have ladders and deadlines of its own."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STAGES = "'acknowledge', 'answers', 'dispatch', 'arrive', 'resolve', 'urged'"


def upgrade() -> None:
    """Go forward."""
    for name in ("ladder", "deadline"):
        with op.batch_alter_table(name, **_as_it_is(name)) as table:
            table.drop_constraint("stage", type_="check")
            table.create_check_constraint("stage", f"stage IN ({STAGES})")


def _as_it_is(name: str) -> dict[str, Any]:
    """A table with its checks, which Alembic does not read by itself where it makes a table anew."""
    bind = op.get_bind()
    table = sa.Table(name, sa.MetaData(), autoload_with=bind, resolve_fks=True)
    for check in sa.inspect(bind).get_check_constraints(name):
        if check["name"] not in {one.name for one in table.constraints}:
            table.append_constraint(sa.CheckConstraint(check["sqltext"], name=check["name"]))
    return {"copy_from": table, "table_kwargs": {"sqlite_autoincrement": True}}
