"""Keep guards, their employment and cards, and duty lists."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "guard",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("force", sa.String(), nullable=False),
        sa.Column("service_number", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("force IN ('guard', 'police', 'grid_worker', 'volunteer')", name="force"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account", name="uq_guard_account"),
        sa.UniqueConstraint("station", "service_number", name="uq_guard_service_number"),
    )
    op.create_index("ix_guard_station", "guard", ["station"], unique=False)
    op.create_table(
        "patrol_duty",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=True),
        sa.Column("shift", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("called_off_ms", sa.BigInteger(), nullable=True),
        sa.Column("called_off_by", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("(called_off_ms IS NULL) = (called_off_by IS NULL)", name="called_off"),
        sa.CheckConstraint("to_ms > from_ms", name="span"),
        sa.CheckConstraint("version > 0", name="version"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patrol_duty_area", "patrol_duty", ["station", "area", "to_ms"], unique=False)
    op.create_table(
        "patrol_suspension",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("ordered_by", sa.String(), nullable=False),
        sa.Column("ordered_ms", sa.BigInteger(), nullable=False),
        sa.Column("lifted_ms", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.CheckConstraint("cause IN ('weather', 'emergency')", name="cause"),
        sa.CheckConstraint("(lifted_ms IS NULL) = (lifted_by IS NULL)", name="lifted"),
        sa.CheckConstraint("to_ms >= from_ms", name="span"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patrol_suspension_area", "patrol_suspension", ["station", "area", "to_ms"], unique=False)
    op.create_table(
        "guard_card",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("low24", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.String(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.CheckConstraint("ended IS NULL OR ended IN ('returned', 'lost')", name="ended"),
        sa.CheckConstraint("(to_ms IS NULL) = (ended IS NULL)", name="ended_ms"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        sa.ForeignKeyConstraint(
            ["guard"],
            ["guard.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_guard_card_guard", "guard_card", ["guard"], unique=False)
    op.create_index("ix_guard_card_low24", "guard_card", ["low24", "from_ms"], unique=False)
    op.create_index("ix_guard_card_tag", "guard_card", ["tag", "from_ms"], unique=False)
    op.create_index(
        "uq_guard_card_still",
        "guard_card",
        ["station", "tag"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "guard_employment",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.CheckConstraint("to_ms IS NULL OR to_ms > from_ms", name="span"),
        sa.ForeignKeyConstraint(
            ["guard"],
            ["guard.id"],
        ),
        sa.ForeignKeyConstraint(
            ["station", "company"],
            ["company.station", "company.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_guard_employment_company", "guard_employment", ["station", "company", "from_ms"], unique=False)
    op.create_index("ix_guard_employment_guard", "guard_employment", ["guard", "from_ms"], unique=False)
    op.create_index(
        "uq_guard_employment_still",
        "guard_employment",
        ["guard"],
        unique=True,
        sqlite_where=sa.text("to_ms IS NULL"),
        postgresql_where=sa.text("to_ms IS NULL"),
    )
    op.create_table(
        "guard_excuse",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("cause IN ('suspended', 'spot_call', 'alarm', 'leave')", name="cause"),
        sa.CheckConstraint("to_ms > from_ms", name="span"),
        sa.ForeignKeyConstraint(
            ["guard"],
            ["guard.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("guard", "evidence", name="uq_guard_excuse_evidence"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_guard_excuse_guard", "guard_excuse", ["guard", "to_ms"], unique=False)
    op.create_table(
        "guard_leave",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("stand_in", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("stand_in IS NULL OR stand_in != guard", name="stand_in"),
        sa.CheckConstraint("to_ms >= from_ms", name="span"),
        sa.ForeignKeyConstraint(
            ["guard"],
            ["guard.id"],
        ),
        sa.ForeignKeyConstraint(
            ["stand_in"],
            ["guard.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_guard_leave_guard", "guard_leave", ["guard", "to_ms"], unique=False)
    op.create_table(
        "guard_phone_out",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("instead", sa.String(), nullable=False),
        sa.Column("witness", sa.String(), nullable=True),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("told_by", sa.String(), nullable=False),
        sa.Column("told_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(instead = 'witness') = (witness IS NOT NULL)", name="witness"),
        sa.CheckConstraint("instead IN ('reader', 'radio', 'witness')", name="instead"),
        sa.CheckConstraint("to_ms > from_ms", name="span"),
        sa.CheckConstraint("witness IS NULL OR witness != guard", name="two"),
        sa.ForeignKeyConstraint(
            ["guard"],
            ["guard.id"],
        ),
        sa.ForeignKeyConstraint(
            ["witness"],
            ["guard.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_guard_phone_out_guard", "guard_phone_out", ["guard", "to_ms"], unique=False)
    op.create_table(
        "patrol_duty_member",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("duty", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("listed_to_ms", sa.BigInteger(), nullable=False),
        sa.Column("came", sa.String(), nullable=False),
        sa.Column("went", sa.String(), nullable=True),
        sa.Column("instead_of", sa.Integer(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("came IN ('listed', 'stand_in', 'swap', 'relief')", name="came"),
        sa.CheckConstraint(
            "went IS NULL OR went IN ('leave', 'stand_in', 'swap', 'relief', 'called_off')", name="went"
        ),
        sa.CheckConstraint("to_ms >= from_ms AND listed_to_ms >= to_ms", name="span"),
        sa.CheckConstraint("went IS NOT NULL OR to_ms = listed_to_ms", name="ended"),
        sa.ForeignKeyConstraint(
            ["duty"],
            ["patrol_duty.number"],
        ),
        sa.ForeignKeyConstraint(
            ["guard"],
            ["guard.id"],
        ),
        sa.ForeignKeyConstraint(
            ["instead_of"],
            ["patrol_duty_member.number"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patrol_duty_member_duty", "patrol_duty_member", ["duty"], unique=False)
    op.create_index("ix_patrol_duty_member_guard", "patrol_duty_member", ["guard", "to_ms"], unique=False)
    op.create_table(
        "patrol_relief",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("duty", sa.Integer(), nullable=False),
        sa.Column("giver", sa.String(), nullable=False),
        sa.Column("taker", sa.String(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("giver != taker", name="two"),
        sa.ForeignKeyConstraint(
            ["duty"],
            ["patrol_duty.number"],
        ),
        sa.ForeignKeyConstraint(
            ["giver"],
            ["guard.id"],
        ),
        sa.ForeignKeyConstraint(
            ["taker"],
            ["guard.id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patrol_relief_duty", "patrol_relief", ["duty"], unique=False)
