"""Let codes of checkpoints be ended, and check-ins come by a code on a screen and by a wired button."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

SOURCES = "'fixed_reader', 'wand', 'nfc_phone', 'qr_screen', 'qr', 'position', 'button', 'witness', 'radio'"


def upgrade() -> None:
    """Go forward. What no row is about has its first code still."""
    with op.batch_alter_table("check_in", **_as_it_is("check_in")) as table:
        table.drop_constraint("source", type_="check")
        table.create_check_constraint("source", f"source IN ({SOURCES})")
    op.create_table(
        "checkpoint_code",
        sa.Column("point", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.CheckConstraint("version BETWEEN 2 AND 9999", name="version"),
        sa.PrimaryKeyConstraint("point", "version"),
    )


def _as_it_is(name: str) -> dict[str, Any]:
    """A table with its checks, which Alembic does not read by itself where it makes a table anew."""
    bind = op.get_bind()
    table = sa.Table(name, sa.MetaData(), autoload_with=bind, resolve_fks=True)
    for check in sa.inspect(bind).get_check_constraints(name):
        if check["name"] not in {one.name for one in table.constraints}:
            table.append_constraint(sa.CheckConstraint(check["sqltext"], name=check["name"]))
    return {"copy_from": table, "table_kwargs": {"sqlite_autoincrement": True}}
