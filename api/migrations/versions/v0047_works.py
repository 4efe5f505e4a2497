"""Let the report of a year and the export of the register be long works."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

KINDS = "'import_trial', 'import', 'points', 'report_alarms', 'report_cards', 'report_points', 'report_year', 'export'"


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("long_work", **_as_it_is("long_work")) as table:
        table.drop_constraint("kind", type_="check")
        table.create_check_constraint("kind", f"kind IN ({KINDS})")


def _as_it_is(name: str) -> dict[str, Any]:
    """A table with its checks, which Alembic does not read by itself where it makes a table anew."""
    bind = op.get_bind()
    table = sa.Table(name, sa.MetaData(), autoload_with=bind, resolve_fks=True)
    for check in sa.inspect(bind).get_check_constraints(name):
        if check["name"] not in {one.name for one in table.constraints}:
            table.append_constraint(sa.CheckConstraint(check["sqltext"], name=check["name"]))
    return {"copy_from": table, "table_kwargs": {"sqlite_autoincrement": True}}
