"""Keep positions of guards on duty, and what was imported from wands."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "guard_position",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("server_ms", sa.BigInteger(), nullable=False),
        sa.Column("lat_e6", sa.Integer(), nullable=False),
        sa.Column("lon_e6", sa.Integer(), nullable=False),
        sa.Column("accuracy_m", sa.Integer(), nullable=True),
        sa.CheckConstraint("lat_e6 BETWEEN -90000000 AND 90000000", name="lat"),
        sa.CheckConstraint("lon_e6 BETWEEN -180000000 AND 180000000", name="lon"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("guard", "at_ms", name="uq_guard_position"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_guard_position_at_ms", "guard_position", ["at_ms"], unique=False)
    op.create_table(
        "wand_import",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("wand", sa.String(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.Column("first_serial", sa.BigInteger(), nullable=True),
        sa.Column("last_serial", sa.BigInteger(), nullable=True),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.Column("wrapped", sa.Boolean(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.CheckConstraint("kind IN ('spreadsheet', 'store')", name="kind"),
        sa.CheckConstraint("added >= 0 AND bad >= 0 AND missing >= 0 AND rows >= added", name="counts"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_wand_import_wand", "wand_import", ["wand", "last_serial"], unique=False)
    op.create_table(
        "wand_row",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("imported", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("cells", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["imported"], ["wand_import.number"]),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_wand_row_imported", "wand_row", ["imported"], unique=False)
