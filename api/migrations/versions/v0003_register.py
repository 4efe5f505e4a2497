# ruff: noqa: E501 - lists of words stand here as they were then, in one piece
"""Add the register: areas, places, occupants, units, and the slices of gateways."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "area_level",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tree", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("name_zh", sa.String(), nullable=False),
        sa.Column("name_en", sa.String(), nullable=False),
        sa.Column("meaning", sa.String(), nullable=False),
        sa.CheckConstraint(
            "meaning IN ('county', 'township', 'community', 'grid', 'group', 'command', 'station', 'police_grid', 'other')",
            name="meaning",
        ),
        sa.CheckConstraint("tree IN ('government', 'police')", name="tree"),
        sa.PrimaryKeyConstraint("station", "id"),
    )
    op.create_table(
        "company",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.PrimaryKeyConstraint("station", "id"),
    )
    op.create_table(
        "gateway_slice",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=True),
        sa.Column("runs_ms", sa.BigInteger(), nullable=True),
        sa.Column("drift", sa.Boolean(), nullable=False),
        sa.Column("sent_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("version >= 0", name="version"),
        sa.PrimaryKeyConstraint("station", "gateway"),
    )
    op.create_table(
        "installation_window",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.String(), nullable=True),
        sa.CheckConstraint("to_ms >= from_ms", name="period"),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "ix_installation_window_gateway", "installation_window", ["station", "gateway", "to_ms"], unique=False
    )
    op.create_table(
        "occupant",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("erased_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("erased_ms IS NULL OR name IS NULL", name="erased"),
        sa.PrimaryKeyConstraint("station", "id"),
    )
    op.create_table(
        "place",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.PrimaryKeyConstraint("station", "id"),
    )
    op.create_table(
        "register_state",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("station"),
    )
    op.create_table(
        "unit",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("sort", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=True),
        sa.Column("line", sa.String(), nullable=True),
        sa.Column("address", sa.Integer(), nullable=True),
        sa.Column("serial", sa.String(), nullable=False),
        sa.Column("silent", sa.Boolean(), nullable=False),
        sa.Column("volume", sa.Integer(), nullable=False),
        sa.Column("night_volume", sa.Integer(), nullable=False),
        sa.Column("strobe", sa.Boolean(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("sort IN ('native', 'contact', 'remote', 'zigbee')", name="sort"),
        sa.CheckConstraint("state IN ('stored', 'installed', 'lost', 'scrapped')", name="state"),
        sa.CheckConstraint("address IS NULL OR address BETWEEN 1 AND 65519", name="address"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.CheckConstraint("volume BETWEEN 0 AND 3 AND night_volume BETWEEN 0 AND 3", name="volume"),
        sa.PrimaryKeyConstraint("station", "id"),
    )
    op.create_table(
        "area",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.ForeignKeyConstraint(
            ["station", "level"],
            ["area_level.station", "area_level.id"],
        ),
        sa.PrimaryKeyConstraint("station", "id"),
    )
    op.create_table(
        "consent",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("occupant", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("how", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("how IN ('paper', 'phone', 'key')", name="how"),
        sa.CheckConstraint(
            "purpose IN ('medical_word', 'responder_notes', 'duress_key', 'contacts', 'position')", name="purpose"
        ),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "occupant"],
            ["occupant.station", "occupant.id"],
        ),
        sa.ForeignKeyConstraint(
            ["station", "place"],
            ["place.station", "place.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "uq_consent_still",
        "consent",
        ["station", "occupant", "place", "purpose"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "contact",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("occupant", sa.String(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("relation", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("rank BETWEEN 1 AND 9", name="rank"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "occupant"],
            ["occupant.station", "occupant.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "uq_contact_still",
        "contact",
        ["station", "occupant", "rank"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "exclusion",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("occupant", sa.String(), nullable=False),
        sa.Column("excluded", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("place != excluded", name="itself"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "occupant"],
            ["occupant.station", "occupant.id"],
        ),
        sa.ForeignKeyConstraint(
            ["station", "place"],
            ["place.station", "place.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "uq_exclusion_still",
        "exclusion",
        ["station", "occupant", "place", "excluded"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "installation",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("chirps", sa.Integer(), nullable=False),
        sa.Column("chirped_ms", sa.BigInteger(), nullable=True),
        sa.Column("read_ms", sa.BigInteger(), nullable=True),
        sa.Column("read_by", sa.String(), nullable=True),
        sa.CheckConstraint("(read_ms IS NULL) = (read_by IS NULL)", name="read"),
        sa.CheckConstraint("chirps >= 0 AND (chirps > 0) = (chirped_ms IS NOT NULL)", name="chirped"),
        sa.ForeignKeyConstraint(
            ["station", "unit"],
            ["unit.station", "unit.id"],
        ),
        sa.PrimaryKeyConstraint("station", "unit", "place"),
    )
    op.create_table(
        "occupancy",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("occupant", sa.String(), nullable=False),
        sa.Column("began", sa.String(), nullable=False),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("began IN ('moved_in', 'lent', 'swapped', 'returned')", name="began"),
        sa.CheckConstraint("ended IS NULL OR ended IN ('moved_out', 'lent', 'swapped', 'returned')", name="ended"),
        sa.CheckConstraint("(ended IS NULL) = (to_ms IS NULL)", name="ending"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "occupant"],
            ["occupant.station", "occupant.id"],
        ),
        sa.ForeignKeyConstraint(
            ["station", "place"],
            ["place.station", "place.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_occupancy_occupant", "occupancy", ["station", "occupant"], unique=False)
    op.create_index(
        "uq_occupancy_still",
        "occupancy",
        ["station", "place"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "place_detail",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("door", sa.Integer(), nullable=True),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("way_in", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("lat_e7", sa.BigInteger(), nullable=True),
        sa.Column("lon_e7", sa.BigInteger(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('household', 'shop', 'office')", name="kind"),
        sa.CheckConstraint("(lat_e7 IS NULL) = (lon_e7 IS NULL)", name="position"),
        sa.CheckConstraint("door IS NULL OR door BETWEEN 0 AND 9999", name="door"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "place"],
            ["place.station", "place.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "uq_place_detail_still",
        "place_detail",
        ["station", "place"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "responder_note",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("occupant", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("note IN ('deaf', 'oxygen', 'dog', 'alone', 'other')", name="note"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "occupant"],
            ["occupant.station", "occupant.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "uq_responder_note_still",
        "responder_note",
        ["station", "occupant", "note"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "unit_place",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("began", sa.String(), nullable=False),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("handed_ms", sa.BigInteger(), nullable=True),
        sa.Column("handed_by", sa.String(), nullable=True),
        sa.CheckConstraint("began IN ('installed', 'swapped', 'replaced', 'lent')", name="began"),
        sa.CheckConstraint(
            "ended IS NULL OR ended IN ('removed', 'swapped', 'replaced', 'lost', 'scrapped')", name="ended"
        ),
        sa.CheckConstraint("(ended IS NULL) = (to_ms IS NULL)", name="ending"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "place"],
            ["place.station", "place.id"],
        ),
        sa.ForeignKeyConstraint(
            ["station", "unit"],
            ["unit.station", "unit.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_unit_place_place", "unit_place", ["station", "place"], unique=False)
    op.create_index(
        "uq_unit_place_still",
        "unit_place",
        ["station", "unit"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "area_detail",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("outline", sa.Text(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('ordinary', 'dedicated')", name="kind"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "area"],
            ["area.station", "area.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "uq_area_detail_still",
        "area_detail",
        ["station", "area"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "area_parent",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=False),
        sa.Column("tree", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("tree IN ('government', 'police')", name="tree"),
        sa.CheckConstraint("area != parent", name="itself"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "area"],
            ["area.station", "area.id"],
        ),
        sa.ForeignKeyConstraint(
            ["station", "parent"],
            ["area.station", "area.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_area_parent_parent", "area_parent", ["station", "parent"], unique=False)
    op.create_index(
        "uq_area_parent_still",
        "area_parent",
        ["station", "area", "tree"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "board",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("grid", sa.String(), nullable=False),
        sa.Column("supervision_phone", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("entries", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.ForeignKeyConstraint(
            ["station", "grid"],
            ["area.station", "area.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "uq_board_still",
        "board",
        ["station", "grid"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "group_gateway",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("group", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "group"],
            ["area.station", "area.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "uq_group_gateway_still",
        "group_gateway",
        ["station", "group"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "place_group",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("group", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "group"],
            ["area.station", "area.id"],
        ),
        sa.ForeignKeyConstraint(
            ["station", "place"],
            ["place.station", "place.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("ix_place_group_group", "place_group", ["station", "group"], unique=False)
    op.create_index(
        "uq_place_group_still",
        "place_group",
        ["station", "place"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "team",
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sort", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=True),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("sort IN ('volunteers', 'patrol', 'emergency', 'guards')", name="sort"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.ForeignKeyConstraint(
            ["station", "area"],
            ["area.station", "area.id"],
        ),
        sa.ForeignKeyConstraint(
            ["station", "company"],
            ["company.station", "company.id"],
        ),
        sa.PrimaryKeyConstraint("station", "id"),
    )
    op.create_table(
        "team_member",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="period"),
        sa.ForeignKeyConstraint(
            ["station", "team"],
            ["team.station", "team.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "uq_team_member_still",
        "team_member",
        ["station", "team", "account"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
