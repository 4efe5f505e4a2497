"""Let an inspection find that a guard damaged a checkpoint."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

ITEMS = "'off_post', 'asleep_or_drunk', 'dress', 'gear', 'certificate', 'gear_broken', 'point_damaged'"


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("inspection_item", **_as_it_is("inspection_item")) as table:
        table.drop_constraint("item", type_="check")
        table.create_check_constraint("item", f"item IN ({ITEMS})")


def _as_it_is(name: str) -> dict[str, Any]:
    """A table with its checks, which Alembic does not read by itself where it makes a table anew."""
    bind = op.get_bind()
    table = sa.Table(name, sa.MetaData(), autoload_with=bind, resolve_fks=True)
    for check in sa.inspect(bind).get_check_constraints(name):
        if check["name"] not in {one.name for one in table.constraints}:
            table.append_constraint(sa.CheckConstraint(check["sqltext"], name=check["name"]))
    return {"copy_from": table}
