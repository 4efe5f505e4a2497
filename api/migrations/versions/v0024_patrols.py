"""Keep what is to be patrolled, rounds, and what became of each visit."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "checkpoint",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=True),
        sa.Column("reader", sa.String(), nullable=True),
        sa.Column("dwell_min", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.CheckConstraint("dwell_min >= 0", name="dwell"),
        sa.CheckConstraint("(gateway IS NULL) = (reader IS NULL)", name="reader"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_checkpoint_area", "checkpoint", ["station", "area", "to_ms"], unique=False)
    op.create_index("ix_checkpoint_reader", "checkpoint", ["gateway", "reader", "to_ms"], unique=False)
    op.create_table(
        "patrol_leg",
        sa.Column("from_point", sa.String(), nullable=False),
        sa.Column("to_point", sa.String(), nullable=False),
        sa.Column("least_s", sa.Integer(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("least_s > 0 AND from_point != to_point", name="least"),
        sa.ForeignKeyConstraint(["from_point"], ["checkpoint.id"]),
        sa.ForeignKeyConstraint(["to_point"], ["checkpoint.id"]),
        sa.PrimaryKeyConstraint("from_point", "to_point"),
    )
    op.create_table(
        "patrol_route",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("order", sa.String(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.CheckConstraint("\"order\" IN ('timed', 'ordered', 'free')", name="order"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_patrol_route_area", "patrol_route", ["station", "area", "to_ms"], unique=False)
    op.create_table(
        "patrol_route_visit",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("nth", sa.Integer(), nullable=False),
        sa.Column("point", sa.String(), nullable=False),
        sa.Column("after_min", sa.Integer(), nullable=True),
        sa.Column("buffer_min", sa.Integer(), nullable=False),
        sa.Column("extended_min", sa.Integer(), nullable=False),
        sa.Column("optional", sa.Boolean(), nullable=False),
        sa.Column("dwell_min", sa.Integer(), nullable=False),
        sa.CheckConstraint("after_min IS NULL OR after_min >= 0", name="after"),
        sa.CheckConstraint("nth > 0 AND buffer_min >= 0 AND extended_min >= 0 AND dwell_min >= 0", name="minutes"),
        sa.ForeignKeyConstraint(["point"], ["checkpoint.id"]),
        sa.ForeignKeyConstraint(["route"], ["patrol_route.id"]),
        sa.PrimaryKeyConstraint("route", "nth"),
    )
    op.create_index("ix_patrol_route_visit_point", "patrol_route_visit", ["point"], unique=False)
    op.create_table(
        "patrol_shift",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("starts_min", sa.Integer(), nullable=False),
        sa.Column("lasts_min", sa.Integer(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.CheckConstraint("lasts_min > 0 AND lasts_min <= 1440", name="lasts"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        sa.CheckConstraint("starts_min >= 0 AND starts_min < 1440", name="starts"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_patrol_shift_area", "patrol_shift", ["station", "area", "to_ms"], unique=False)
    op.create_table(
        "patrol_plan",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("shift", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("begins_min", sa.String(), nullable=False),
        sa.Column("lasts_min", sa.Integer(), nullable=False),
        sa.Column("weekdays", sa.String(), nullable=False),
        sa.Column("holidays", sa.String(), nullable=False),
        sa.Column("month_days", sa.Integer(), nullable=False),
        sa.Column("from_day", sa.String(), nullable=True),
        sa.Column("to_day", sa.String(), nullable=True),
        sa.Column("temporary", sa.Boolean(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.CheckConstraint("holidays IN ('also', 'only', 'never')", name="holidays"),
        sa.CheckConstraint("lasts_min > 0 AND lasts_min <= 1440", name="lasts"),
        sa.CheckConstraint("month_days BETWEEN 1 AND 2147483647", name="month_days"),
        sa.CheckConstraint("to_ms IS NULL OR to_ms >= from_ms", name="span"),
        sa.CheckConstraint("length(weekdays) BETWEEN 1 AND 7", name="weekdays"),
        sa.ForeignKeyConstraint(["route"], ["patrol_route.id"]),
        sa.ForeignKeyConstraint(["shift"], ["patrol_shift.id"]),
        sa.ForeignKeyConstraint(["station", "company"], ["company.station", "company.id"]),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patrol_plan_route", "patrol_plan", ["route", "to_ms"], unique=False)
    op.create_table(
        "patrol_day",
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("counts_as", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("counts_as BETWEEN 0 AND 7", name="counts_as"),
        sa.PrimaryKeyConstraint("day"),
    )
    op.create_table(
        "patrol_round",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("station", sa.String(), nullable=False),
        sa.Column("plan", sa.Integer(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("area", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("order", sa.String(), nullable=False),
        sa.Column("starts_ms", sa.BigInteger(), nullable=False),
        sa.Column("ends_ms", sa.BigInteger(), nullable=False),
        sa.Column("opens_ms", sa.BigInteger(), nullable=False),
        sa.Column("closes_ms", sa.BigInteger(), nullable=False),
        sa.Column("legs", sa.Text(), nullable=False),
        sa.Column("evaluated_ms", sa.BigInteger(), nullable=True),
        sa.Column("evaluations", sa.Integer(), nullable=False),
        sa.Column("again_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(evaluated_ms IS NULL) = (evaluations = 0)", name="evaluated"),
        sa.CheckConstraint("\"order\" IN ('timed', 'ordered', 'free')", name="order"),
        sa.CheckConstraint("ends_ms > starts_ms AND closes_ms >= opens_ms", name="span"),
        sa.ForeignKeyConstraint(["plan"], ["patrol_plan.number"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id", name="uq_patrol_round_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patrol_round_again", "patrol_round", ["again_ms"], unique=False)
    op.create_index("ix_patrol_round_area", "patrol_round", ["station", "area", "starts_ms"], unique=False)
    op.create_index("ix_patrol_round_day", "patrol_round", ["day", "plan"], unique=False)
    op.create_index("ix_patrol_round_due", "patrol_round", ["evaluated_ms", "closes_ms"], unique=False)
    op.create_table(
        "patrol_round_guard",
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("guard", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["round"], ["patrol_round.number"]),
        sa.PrimaryKeyConstraint("round", "guard"),
    )
    op.create_index("ix_patrol_round_guard_guard", "patrol_round_guard", ["guard"], unique=False)
    op.create_table(
        "patrol_visit",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("nth", sa.Integer(), nullable=False),
        sa.Column("point", sa.String(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=True),
        sa.Column("buffer_ms", sa.BigInteger(), nullable=False),
        sa.Column("extended_ms", sa.BigInteger(), nullable=False),
        sa.Column("optional", sa.Boolean(), nullable=False),
        sa.Column("dwell_ms", sa.BigInteger(), nullable=False),
        sa.Column("opens_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("closes_ms", sa.BigInteger(), nullable=False),
        sa.Column("looked_ms", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("check_in", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.CheckConstraint("opens_ms <= due_ms AND due_ms <= closes_ms", name="bands"),
        sa.CheckConstraint(
            "outcome IN ('on_time', 'early', 'late', 'missed', 'wrong_order', 'too_fast', 'excused', 'pending')",
            name="outcome",
        ),
        sa.ForeignKeyConstraint(["round"], ["patrol_round.number"]),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("round", "nth", name="uq_patrol_visit_nth"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patrol_visit_due", "patrol_visit", ["looked_ms", "closes_ms"], unique=False)
    op.create_index("ix_patrol_visit_point", "patrol_visit", ["point", "closes_ms"], unique=False)
    op.create_index("ix_patrol_visit_round", "patrol_visit", ["round"], unique=False)
    op.create_table(
        "patrol_exception",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("detected_ms", sa.BigInteger(), nullable=False),
        sa.Column("cleared_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("cleared_ms IS NULL OR cleared_ms >= detected_ms", name="cleared"),
        sa.CheckConstraint(
            "outcome IN ('on_time', 'early', 'late', 'missed', 'wrong_order', 'too_fast', 'excused', 'pending')",
            name="outcome",
        ),
        sa.ForeignKeyConstraint(["round"], ["patrol_round.number"]),
        sa.ForeignKeyConstraint(["visit"], ["patrol_visit.number"]),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patrol_exception_round", "patrol_exception", ["round"], unique=False)
    op.create_index("ix_patrol_exception_visit", "patrol_exception", ["visit", "cleared_ms"], unique=False)
    op.create_table(
        "patrol_rescore",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.String(), nullable=False),
        sa.Column("before_check_in", sa.String(), nullable=True),
        sa.Column("after", sa.String(), nullable=False),
        sa.Column("after_check_in", sa.String(), nullable=True),
        sa.CheckConstraint(
            "after IN ('on_time', 'early', 'late', 'missed', 'wrong_order', 'too_fast', 'excused', 'pending')",
            name="after",
        ),
        sa.CheckConstraint(
            "before IN ('on_time', 'early', 'late', 'missed', 'wrong_order', 'too_fast', 'excused', 'pending')",
            name="before",
        ),
        sa.ForeignKeyConstraint(["round"], ["patrol_round.number"]),
        sa.ForeignKeyConstraint(["visit"], ["patrol_visit.number"]),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_patrol_rescore_round", "patrol_rescore", ["round"], unique=False)
