"""Reverse look-up, a guard's month and the cost of a check-in, over more and more stored check-ins, on both databases.

    make bench-large                                 10^5, 10^6 and 10^7 on SQLite and PostgreSQL: half an hour, 5 GB
    python -m bench.patrol --sizes 100000            a look

3,000 guards in 100 areas check in 40 times a day each, as in the whole county. A look-up asks for the thirty guards of
one area: their shifts, the check-ins at the point, and the three answers. Beside each question stands the same one
over a plain scan, where no index can be used: that is what a table without them would cost.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Final

from sqlalchemy import text
from sqlmodel import Session

from api.checkins import repository, service
from api.checkins.models import CheckInRow
from api.checkins.rules import CheckIn, Source
from api.database import Database, table_of
from api.tracks.rules import Answer, Finding, Shift, look_up
from api.tracks.service import around
from api.tracks.ways import Ways
from deploy.postgresql import PrivateCluster

GUARDS: Final = 3_000
AREAS: Final = 100
POINTS: Final = 20
"""Of each area."""
SCANS: Final = 40
"""Of each guard, a day."""
SHIFT_MS: Final = 8 * 3_600_000
DAY_MS: Final = 86_400_000
STEP_MS: Final = SHIFT_MS // SCANS
WINDOW_MS: Final = 30 * 60_000
BEGINS_MS: Final = 1_800_000_000_000
AT_ONCE: Final = 5_000
ASKED: Final = 60
SCANNED: Final = 3
"""How often the plain scan is asked: it says enough after a few times."""
LIMIT_MS: Final = 100.0
FRESH: Final = 100_000
"""So many check-ins, the last ones of each size, are stored as they are in service; they say what one costs."""
SIZES: Final = (100_000, 1_000_000, 10_000_000)


def check_in(number: int) -> CheckIn:
    """The `number`th check-in: guards take turns, each walks the points of his area one after the other."""
    guard, scan = number % GUARDS, number // GUARDS
    day, nth = divmod(scan, SCANS)
    at_ms = BEGINS_MS + day * DAY_MS + nth * STEP_MS + guard * 100
    point = (guard // AREAS + nth) % POINTS
    return CheckIn(
        id=f"{number:032x}",
        guard=f"g{guard}",
        tag=f"{guard:010X}",
        point=f"p{guard % AREAS}-{point}",
        source=Source.FIXED_READER,
        at_ms=at_ms,
        device_ms=at_ms,
        server_ms=at_ms + 200,
        skew_ms=0,
        flags=frozenset(),
    )


def load(database: Database, begin: int, end: int) -> None:
    """Store check-ins while nothing but their ids is indexed, which is several times quicker, and index them then."""
    indexes = sorted(table_of(CheckInRow).indexes, key=lambda one: one.name or "")
    with database.write() as session:
        for index in indexes:
            index.drop(session.connection())
    fill(database, begin, end)
    with database.write() as session:
        for index in indexes:
            index.create(session.connection())


def fill(database: Database, begin: int, end: int) -> float:
    """Store check-ins; the microseconds that one took."""
    began = time.perf_counter()
    for first in range(begin, end, AT_ONCE):
        rows = [(check_in(number), "gw1", "r1") for number in range(first, min(end, first + AT_ONCE))]
        with database.write() as session:
            repository.add(session, [(one, gateway, reader) for one, gateway, reader in rows])
    return (time.perf_counter() - began) * 1e6 / max(1, end - begin)


@dataclass(frozen=True, slots=True)
class Question:
    """A look-up of a point in a window, on the day `day` of `size` check-ins."""

    area: int
    point: str
    from_ms: int
    day: int

    @classmethod
    def drawn(cls, size: int, draws: random.Random) -> Question:
        """Somewhere, some time in what is stored."""
        day = draws.randrange(max(1, size // (GUARDS * SCANS)))
        nth = draws.randrange(max(1, min(SCANS, size // GUARDS) - 4))
        area = draws.randrange(AREAS)
        at_ms = BEGINS_MS + day * DAY_MS + nth * STEP_MS
        return cls(area, f"p{area}-{draws.randrange(POINTS)}", at_ms, day)

    @property
    def shifts(self) -> list[Shift]:
        """The thirty guards of the area."""
        begins = BEGINS_MS + self.day * DAY_MS
        return [Shift(f"g{guard}", begins, begins + SHIFT_MS) for guard in range(self.area, GUARDS, AREAS)]

    def answer(self, session: Session) -> tuple[Finding, ...]:
        """The three answers, and who else was there, as the station asks."""
        shifts, to_ms = self.shifts, self.from_ms + WINDOW_MS
        made = around(session, shifts, self.from_ms, to_ms)
        service.at_points(session, (self.point,), self.from_ms, to_ms)
        ways = Ways({(f"p{self.area}-{n}", f"p{self.area}-{(n + 1) % POINTS}"): 120_000 for n in range(POINTS)})
        return look_up(self.point, self.from_ms, to_ms, check_ins=made, shifts=shifts, ways=ways)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one size on one database: microseconds a check-in, milliseconds a question (95th of 100)."""

    kind: str
    size: int
    stored_us: float
    look_up_ms: float
    month_ms: float
    look_up_scan_ms: float
    month_scan_ms: float

    @property
    def good(self) -> bool:
        """Whether both questions are answered soon enough."""
        return self.look_up_ms < LIMIT_MS and self.month_ms < LIMIT_MS


def measure(database: Database, kind: str, size: int, stored_us: float) -> Figures:
    """Ask, with indexes and without."""
    draws = random.Random(size)
    questions = [Question.drawn(size, draws) for _ in range(ASKED)]
    guards = [f"g{draws.randrange(min(GUARDS, size))}" for _ in range(ASKED)]
    found: list[tuple[Finding, ...]] = []
    with database.read() as session:

        def look(question: Question) -> None:
            found.append(question.answer(session))

        def scan(question: Question) -> None:
            scanned(session, "point", [question.point], question.from_ms, question.from_ms + WINDOW_MS)
            ids = [shift.guard for shift in question.shifts]
            scanned(session, "guard", ids, question.shifts[0].from_ms, question.shifts[0].to_ms)

        def month(guard: str) -> None:
            service.of_guard(session, guard, BEGINS_MS, BEGINS_MS + 31 * DAY_MS)

        def scan_month(guard: str) -> None:
            scanned(session, "guard", [guard], BEGINS_MS, BEGINS_MS + 31 * DAY_MS)

        figures = Figures(
            kind=kind,
            size=size,
            stored_us=stored_us,
            look_up_ms=p95([timed(partial(look, one)) for one in questions]),
            month_ms=p95([timed(partial(month, one)) for one in guards]),
            look_up_scan_ms=p95([timed(partial(scan, one)) for one in questions[:SCANNED]]),
            month_scan_ms=p95([timed(partial(scan_month, one)) for one in guards[:SCANNED]]),
        )
    said = {one.answer for some in found for one in some}
    assert Answer.WAS_THERE in said, "a look-up that finds nobody measures nothing"
    return figures


def scanned(session: Session, column: str, values: Sequence[str], from_ms: int, to_ms: int) -> int:
    """How many rows the same question has, found where no index can be used."""
    names = ", ".join(f":v{number}" for number in range(len(values)))
    sql = text(f"SELECT * FROM check_in WHERE {column} || '' IN ({names}) AND at_ms + 0 >= :a AND at_ms + 0 < :b")  # noqa: S608 - our own words
    bound = {f"v{number}": value for number, value in enumerate(values)}
    return len(session.connection().execute(sql, {**bound, "a": from_ms, "b": to_ms}).all())


def timed(ask: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1_000


def p95(times: Sequence[float]) -> float:
    """The 95th of 100; of a few, the slowest."""
    return quantiles(times, n=20)[-1] if len(times) >= 20 else max(times)


@contextmanager
def databases(folder: Path, kinds: Sequence[str]) -> Iterator[dict[str, Database]]:
    """A fresh one of each kind."""
    found: dict[str, Database] = {}
    cluster = PrivateCluster(folder / "cluster") if "postgresql" in kinds else None
    try:
        if "sqlite" in kinds:
            found["sqlite"] = Database.open(f"sqlite:///{folder / 'station.db'}", station="north")
        if cluster is not None:
            cluster.start()
            found["postgresql"] = Database.open(cluster.url(), station="north")
        yield found
    finally:
        for database in found.values():
            database.close()
        if cluster is not None:
            cluster.stop()


def run(folder: Path, sizes: Sequence[int], kinds: Sequence[str]) -> list[Figures]:
    """Fill each database up to each size, and measure there."""
    found = []
    with databases(folder, kinds) as opened:
        for kind, database in opened.items():
            there = 0
            for size in sorted(sizes):
                if there < size - FRESH:
                    load(database, there, size - FRESH)
                    there = size - FRESH
                stored_us = fill(database, there, size)
                there = size
                with database.write() as session:
                    session.connection().execute(text("ANALYZE"))
                found.append(measure(database, kind, size, stored_us))
                print(line(found[-1]), flush=True)
    return found


HEAD: Final = (
    f"{'database':<12}{'check-ins':>12}{'store us':>10}{'look-up ms':>12}{'month ms':>10}"
    f"{'scan: look-up':>15}{'scan: month':>13}"
)


def line(one: Figures) -> str:
    """One row of the table."""
    return (
        f"{one.kind:<12}{one.size:>12,}{one.stored_us:>10.1f}{one.look_up_ms:>12.2f}{one.month_ms:>10.2f}"
        f"{one.look_up_scan_ms:>15.1f}{one.month_scan_ms:>13.1f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 when a question took too long."""
    parser = argparse.ArgumentParser(prog="python -m bench.patrol", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[*SIZES])
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    asked = parser.parse_args(arguments)
    print("95th of 100; storing: mean of the last 100,000\n" + HEAD)
    with tempfile.TemporaryDirectory(prefix="shouwang-patrol-") as folder:
        Path(folder).chmod(0o755)  # root runs PostgreSQL as somebody else
        found = run(Path(folder), asked.sizes, asked.databases)
    bad = [one for one in found if not one.good]
    print(f"look-up and month under {LIMIT_MS:.0f} ms: {'no' if bad else 'yes'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
