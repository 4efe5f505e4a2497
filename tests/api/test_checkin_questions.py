"""Questions of stored check-ins: what each answers, and that each goes by an index that begins with the hour."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pytest
from sqlalchemy import Connection, event, text
from sqlmodel import Session

from api.checkins import repository
from api.checkins.repository import HOURS_AT_ONCE, HOURS_LATELY
from api.checkins.rules import CheckIn, Source, same
from api.database import Database
from api.faults import repository as faults
from api.ingest.models import Fault

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
NOW: Final = 1_800_000_000_000
READER: Final = ("gw1", "r1")
GUARDS: Final = 100
HOURS: Final = 200
Question = Callable[[Session], object]


def check_in(at_ms: int, guard: str | None = "g0", point: str | None = "p0", tag: str | None = "0A") -> CheckIn:
    return CheckIn(
        id=same(at_ms, guard, point, tag), guard=guard, tag=tag, point=point, source=Source.FIXED_READER, at_ms=at_ms,
        device_ms=at_ms, server_ms=at_ms, skew_ms=0, flags=frozenset(),
    )  # fmt: skip


def keep(database: Database, *made: CheckIn) -> None:
    with database.write() as session:
        repository.add(session, [(one, *READER) for one in made])


def times(found: Sequence[CheckIn]) -> list[int]:
    return [one.at_ms for one in found]


class TestAnswers:
    def test_a_window_begins_with_its_first_moment_and_ends_before_its_last(self, database: Database) -> None:
        edges = [NOW - 1, NOW, NOW + HOUR - 1, NOW + HOUR]
        keep(database, *(check_in(at) for at in edges))
        with database.read() as session:
            for find, whose in (
                (repository.of_guards, ["g0", "g1"]),
                (repository.at_points, ["p0"]),
                (repository.of_tags, ["0A"]),
            ):
                assert times(find(session, whose, NOW, NOW + HOUR)) == edges[1:3]
                assert find(session, whose, NOW, NOW) == find(session, whose, NOW + 5, NOW) == []
            assert times(repository.of_guard(session, "g0", NOW, NOW + HOUR)) == edges[1:3]

    def test_times_before_1970_are_asked_for_in_vain_and_the_first_hour_is_not(self, database: Database) -> None:
        keep(database, check_in(0), check_in(HOUR))
        with database.read() as session:
            assert times(repository.of_guard(session, "g0", -DAY, 1)) == [0]
            assert times(repository.of_guard(session, "g0", -DAY, 0)) == []
            assert times(repository.near(session, [("p0", 0)], 60_000)) == [0]

    def test_a_window_of_years_finds_what_lies_in_it_in_order(self, database: Database) -> None:
        made = [NOW + n * HOUR for n in range(2 * HOURS_AT_ONCE + 3)]
        keep(database, *(check_in(at) for at in reversed(made)), check_in(7), check_in(NOW + 9_999 * DAY))
        with database.read() as session:
            assert times(repository.of_guard(session, "g0", NOW, made[-1] + 1)) == made
            assert times(repository.of_guard(session, "g0", NOW + 1, made[-1])) == made[1:-1]
            assert times(repository.of_guard(session, "g0", 0, NOW + 10_000 * DAY)) == [7, *made, NOW + 9_999 * DAY]
            assert (
                times(repository.by_tags(session, ["0A"], from_ms=NOW, limit=HOURS_AT_ONCE + 5))
                == (made[: HOURS_AT_ONCE + 5])
            )

    def test_near_looks_over_the_end_of_an_hour(self, database: Database) -> None:
        keep(database, check_in(NOW - 30_000), check_in(NOW + 30_000), check_in(NOW + 90_000))
        assert NOW % HOUR == 0
        with database.read() as session:
            assert times(repository.near(session, [("p0", NOW)], 60_000)) == [NOW - 30_000, NOW + 30_000]

    def test_what_a_reader_read_last_is_found_however_long_ago(self, database: Database) -> None:
        others = [check_in(NOW + n * HOUR, point="p1") for n in range(HOURS_LATELY + HOURS_AT_ONCE + 5)]
        keep(database, check_in(NOW - 5 * DAY), check_in(NOW), *others)
        with database.read() as session:
            assert repository.last_read(session, "p0", *READER, from_ms=0) == NOW
            assert repository.last_read(session, "p0", *READER, from_ms=NOW) == NOW
            assert repository.last_read(session, "p0", *READER, from_ms=NOW + 1) is None
            assert repository.last_read(session, "p0", "gw1", "r2", from_ms=0) is None
            assert repository.last_read(session, "p1", *READER, from_ms=0) == others[-1].at_ms

    def test_what_nobody_knew_where_to_put_is_found_since_then(self, database: Database) -> None:
        keep(database, *(check_in(NOW + n * HOUR, point=None) for n in range(5)), check_in(NOW + HOUR))
        with database.read() as session:
            assert times(repository.nowhere(session, *READER, from_ms=NOW + 1, limit=3)) == [
                NOW + HOUR, NOW + 2 * HOUR, NOW + 3 * HOUR,
            ]  # fmt: skip

    def test_nothing_is_stored_and_nothing_found(self, database: Database) -> None:
        with database.read() as session:
            assert repository.last_read(session, "p0", *READER, from_ms=0) is None
            assert repository.by_tags(session, ["0A"], from_ms=0, limit=5) == []
            assert repository.of_guard(session, "g0", 0, NOW) == []


QUESTIONS: Final[dict[str, tuple[Question, str]]] = {
    "guard": (lambda s: repository.of_guard(s, "g1", NOW, NOW + 2 * DAY), "ix_check_in_hour_guard"),
    "guards": (
        lambda s: repository.of_guards(s, ["g1", "g2"], NOW, NOW + 3 * HOUR),
        "ix_check_in_hour_guard",
    ),
    "points": (lambda s: repository.at_points(s, ["p1", "p2"], NOW, NOW + 3 * HOUR), "ix_check_in_hour_point"),
    "tags": (lambda s: repository.of_tags(s, ["0A1"], NOW, NOW + 3 * HOUR), "ix_check_in_hour_tag"),
    "near": (lambda s: repository.near(s, [("p1", NOW)], 60_000), "ix_check_in_hour_point"),
    "by tags": (lambda s: repository.by_tags(s, ["0A1"], from_ms=NOW, limit=5), "ix_check_in_hour_"),
    "nowhere": (lambda s: repository.nowhere(s, *READER, from_ms=NOW, limit=5), "ix_check_in_hour_"),
    "last": (lambda s: repository.last_read(s, "p1", *READER, from_ms=NOW), "ix_check_in_hour_"),
    "due": (
        lambda s: s.connection().execute(text("SELECT * FROM check_in WHERE server_ms <= 5 LIMIT 1")),
        "ix_check_in_server_ms",
    ),
    "faults": (lambda s: faults.between(s, ["gw1", "gw2"], from_ms=NOW, to_ms=NOW + HOUR), "ix_fault_gateway"),
}


@contextmanager
def overheard(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    """The statements that a connection is given."""
    said: list[tuple[str, Any]] = []

    def hear(_connection: object, _cursor: object, statement: str, values: Any, _context: object, _many: bool) -> None:
        said.append((statement, values))

    event.listen(connection, "before_cursor_execute", hear)
    yield said
    event.remove(connection, "before_cursor_execute", hear)


@pytest.mark.proves("P4")
def test_each_question_goes_by_an_index_and_never_through_the_table(database: Database, database_kind: str) -> None:
    keep(
        database,
        *(check_in(NOW + n * HOUR + guard, f"g{guard}", f"p{guard}", f"0A{guard}")
          for n in range(HOURS) for guard in range(GUARDS)),
    )  # fmt: skip
    with database.write() as session:
        session.add_all(
            Fault(code="x", gateway=f"gw{n % 50}", about=str(n), first_ms=n, last_ms=n, cleared_ms=n + 5)
            for n in range(2_000)
        )
    if database_kind == "postgresql":  # which does so by itself; SQLite is asked without
        with database.write() as session:
            session.connection().execute(text("ANALYZE"))
    explain = "EXPLAIN QUERY PLAN " if database_kind == "sqlite" else "EXPLAIN "
    with database.read() as session:
        connection = session.connection()
        for name, (ask, index) in QUESTIONS.items():
            with overheard(connection) as said:
                ask(session)
            assert said, name
            for sql, values in said:
                plan = "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + sql, values))
                assert index in plan, (name, plan)
                assert not any(word in plan for word in ("SCAN check_in", "SCAN fault", "Seq Scan")), (name, plan)
