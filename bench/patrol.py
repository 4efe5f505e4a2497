"""Reverse look-up, a guard's month and the cost of a check-in, over more and more stored check-ins, on both databases.

    make bench-large                         10^5, 10^6 and 10^7 on SQLite and PostgreSQL: a quarter of an hour, 8 GB
    python -m bench.patrol --sizes 100000    a look

3,000 guards in 100 areas check in 40 times a day each, as in the whole county. A look-up asks for the thirty guards of
one area: their shifts, the check-ins at the point, and the three answers. Beside each question stands the same one
over a plain scan, where no index can be used: that is what a table without them would cost.

What a check-in costs is told in processor time of all processes of the database and in what they hand to the disk,
since the clock on the wall tells of other work on the machine as well; it stands beside them.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Final, Self

from sqlalchemy import TextClause, text
from sqlmodel import Session

from api.checkins import repository, service
from api.checkins.models import CheckInRow
from api.checkins.rules import CheckIn, Source
from api.database import Database, table_of
from api.tracks.rules import Answer, Finding, Shift, look_up
from api.tracks.service import around
from api.tracks.ways import Ways
from broker.ids import EVENT_ID_RANDOM_BYTES, event_id
from deploy.postgresql import PrivateCluster

GUARDS: Final = 3_000
AREAS: Final = 100
POINTS: Final = 20
"""Of each area."""
SCANS: Final = 40
"""Of each guard, a day."""
DAILY: Final = GUARDS * SCANS
SHIFT_MS: Final = 8 * 3_600_000
DAY_MS: Final = 86_400_000
STEP_MS: Final = SHIFT_MS // SCANS
MIXED: Final = 0x9E3779B97F4A7C15F39D
"""Odd, so that no two numbers have the same product: ids end in what looks drawn."""
WINDOW_MS: Final = 30 * 60_000
BEGINS_MS: Final = 1_800_000_000_000
AT_ONCE: Final = 5_000
"""Rows of a commit while the table is filled."""
BATCH: Final = 500
"""Rows of a commit while it is measured."""
TOLD_S: Final = 10.0
ASKED: Final = 200
SCANNED: Final = 3
"""How often the plain scan is asked: it says enough after a few times."""
LIMIT_MS: Final = 100.0
FRESH: Final = 100_000
"""So many check-ins, the last ones of each size, are stored as they are in service; they say what one costs."""
FLAT: Final = 1.5
"""A check-in costs at most so many times what it cost at the least size, in processor time."""
SIZES: Final = (100_000, 1_000_000, 10_000_000)


def check_in(number: int) -> CheckIn:
    """The `number`th check-in: guards take turns, each walks the points of his area one after the other."""
    guard, scan = number % GUARDS, number // GUARDS
    day, nth = divmod(scan, SCANS)
    at_ms = BEGINS_MS + day * DAY_MS + nth * STEP_MS + guard * 100
    point = (guard // AREAS + nth) % POINTS
    return CheckIn(
        id=event_id(at_ms, (number * MIXED % (1 << 80)).to_bytes(EVENT_ID_RANDOM_BYTES, "big")),
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


def load(database: Database, begin: int, end: int, told: Told) -> None:
    """Store check-ins while nothing but their ids is indexed, which is several times quicker, and index them then."""
    indexes = sorted(table_of(CheckInRow).indexes, key=lambda one: one.name or "")
    with database.write() as session:
        for index in indexes:
            index.drop(session.connection())
    first_day = min(end, DAILY)
    for first in range(begin, first_day, AT_ONCE):
        store(database, [check_in(number) for number in range(first, min(first_day, first + AT_ONCE))])
    there = max(begin, first_day)
    while there < end:
        upto = min(end, there - there % DAILY + DAILY)
        with database.write() as session:
            again(session, there, upto)
        there = upto
        told(f"{there:,} of {end:,} stored")
    for index in indexes:
        with database.write() as session:
            patiently(session)
            index.create(session.connection())
        told(f"{index.name} made")


def again(session: Session, begin: int, end: int) -> None:
    """Store check-ins of one day as those of the first day again: each walks as he did then."""
    patiently(session)
    day = begin // DAILY
    values = {"before": begin - day * DAILY, "upto": end - day * DAILY, "later": day * DAY_MS}
    session.connection().execute(AGAIN[session.connection().dialect.name], values)


def _again(hex_of: str) -> TextClause:
    """`hex_of`: how a time is written with 12 digits, with which an id begins."""
    as_it_is = "source, gateway, reader, tag, guard, point"
    return text(
        f"INSERT INTO check_in (id, {as_it_is}, at_ms, device_ms, server_ms, skew_ms, flags) "  # noqa: S608 - ours
        f"SELECT substr({hex_of}, 1, 8) || '-' || substr({hex_of}, 9) || substr(id, 14), {as_it_is}, "
        "at_ms + :later, device_ms + :later, server_ms + :later, skew_ms, flags "
        "FROM check_in WHERE number > :before AND number <= :upto ORDER BY number"
    )


AGAIN: Final = {
    "sqlite": _again("printf('%012x', at_ms + :later)"),
    "postgresql": _again("lpad(to_hex(at_ms + :later), 12, '0')"),
}


def store(database: Database, rows: Sequence[CheckIn]) -> None:
    """In one commit."""
    with database.write() as session:
        repository.add(session, [(one, "gw1", "r1") for one in rows])


def patiently(session: Session) -> None:
    """Let a statement take as long as it takes: nothing but this uses the database."""
    if session.connection().dialect.name == "postgresql":
        session.connection().execute(text("SET LOCAL statement_timeout = 0"))


class Told:
    """Says on stderr how far it is, so that a run can be left alone."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = self._last = time.monotonic()

    def __call__(self, how_far: str) -> None:
        """At most every ten seconds."""
        now = time.monotonic()
        if now - self._last >= TOLD_S:
            self._last = now
            print(f"{self._what}: {how_far}, {now - self._began:.0f} s", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor time in seconds, and octets handed to files and sockets: by the processes of a database, and by us."""

    cpu_s: float
    wrote: int

    @classmethod
    def until_now(cls, pids: Iterable[int]) -> Self:
        """Those of which we know the parent are counted by it when they have ended."""
        cpu_s, wrote = time.process_time(), 0
        for pid in pids:
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                cpu_s += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if pid != os.getpid() else 0
                io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
                wrote += int(io["wchar"])
        return cls(cpu_s, wrote)


def processes(cluster: PrivateCluster | None) -> list[int]:
    """Those that work for a database: this one, where it is SQLite."""
    if cluster is None:
        return [os.getpid()]
    found = [cluster.pid]
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == cluster.pid:
                found.append(int(path.parent.name))
    return found


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one check-in: microseconds of processor time and on the wall, and KiB written."""

    cpu_us: float
    wall_us: float
    wrote_kib: float


def fill(database: Database, begin: int, end: int, cluster: PrivateCluster | None = None) -> Cost:
    """Store check-ins as they are in service, and say what one costs."""
    rows = [[check_in(n) for n in range(first, min(end, first + BATCH))] for first in range(begin, end, BATCH)]
    checkpoint(database)
    before, began = Spent.until_now(processes(cluster)), time.perf_counter()
    for some in rows:
        store(database, some)
    wall_s = time.perf_counter() - began
    checkpoint(database)
    after, many = Spent.until_now(processes(cluster)), max(1, end - begin)
    return Cost(
        (after.cpu_s - before.cpu_s) * 1e6 / many, wall_s * 1e6 / many, (after.wrote - before.wrote) / many / 1024
    )


def checkpoint(database: Database) -> None:
    """Write pages down that wait in memory; SQLite writes each in its commit."""
    with database.write() as session:
        if session.connection().dialect.name == "postgresql":
            patiently(session)
            session.connection().execute(text("CHECKPOINT"))


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
        day = draws.randrange(max(1, size // DAILY))
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


@dataclass(frozen=True, slots=True)
class Took:
    """What questions took: the 95th of 100 on the wall, and the mean in processor time of all processes."""

    p95_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one size on one database: what a check-in costs, milliseconds a question (95th of 100), the load then."""

    kind: str
    size: int
    cost: Cost
    look_up: Took
    month: Took
    look_up_scan_ms: float
    month_scan_ms: float
    load: float

    @property
    def good(self) -> bool:
        """Whether both questions are answered soon enough."""
        return self.look_up.p95_ms < LIMIT_MS and self.month.p95_ms < LIMIT_MS


def measure(database: Database, cluster: PrivateCluster | None, kind: str, size: int, cost: Cost) -> Figures:
    """Ask, with indexes and without."""
    draws = random.Random(size)
    questions = [Question.drawn(size, draws) for _ in range(ASKED)]
    days = max(1, size // DAILY - 30)
    months = [(f"g{draws.randrange(GUARDS)}", BEGINS_MS + draws.randrange(days) * DAY_MS) for _ in range(ASKED)]
    found: list[tuple[Finding, ...]] = []
    with database.read() as session:

        def look(question: Question) -> None:
            found.append(question.answer(session))

        def scan(question: Question) -> None:
            scanned(session, "point", [question.point], question.from_ms, question.from_ms + WINDOW_MS)
            ids = [shift.guard for shift in question.shifts]
            scanned(session, "guard", ids, question.shifts[0].from_ms, question.shifts[0].to_ms)

        def month(guard: str, from_ms: int) -> None:
            service.of_guard(session, guard, from_ms, from_ms + 31 * DAY_MS)

        def scan_month(guard: str, from_ms: int) -> None:
            scanned(session, "guard", [guard], from_ms, from_ms + 31 * DAY_MS)

        patiently(session)

        figures = Figures(
            kind=kind,
            size=size,
            cost=cost,
            look_up=took([partial(look, one) for one in questions], cluster),
            month=took([partial(month, *one) for one in months], cluster),
            look_up_scan_ms=p95([timed(partial(scan, one)) for one in questions[:SCANNED]]),
            month_scan_ms=p95([timed(partial(scan_month, *one)) for one in months[:SCANNED]]),
            load=os.getloadavg()[0],
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


def took(asked: Sequence[Callable[[], object]], cluster: PrivateCluster | None) -> Took:
    """Ask all of them, one after the other."""
    before = Spent.until_now(processes(cluster))
    times = [timed(ask) for ask in asked]
    after = Spent.until_now(processes(cluster))
    return Took(p95(times), (after.cpu_s - before.cpu_s) * 1e3 / len(asked))


def timed(ask: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1_000


def p95(times: Sequence[float]) -> float:
    """The 95th of 100; of a few, the slowest."""
    return quantiles(times, n=20)[-1] if len(times) >= 20 else max(times)


@contextmanager
def databases(folder: Path, kinds: Sequence[str]) -> Iterator[Mapping[str, tuple[Database, PrivateCluster | None]]]:
    """A fresh one of each kind, and what it runs in."""
    found: dict[str, tuple[Database, PrivateCluster | None]] = {}
    cluster = PrivateCluster(folder / "cluster") if "postgresql" in kinds else None
    try:
        if "sqlite" in kinds:
            found["sqlite"] = Database.open(f"sqlite:///{folder / 'station.db'}", station="north"), None
        if cluster is not None:
            cluster.start()
            found["postgresql"] = Database.open(cluster.url(), station="north"), cluster
        yield found
    finally:
        for database, _ in found.values():
            database.close()
        if cluster is not None:
            cluster.stop()


def run(folder: Path, sizes: Sequence[int], kinds: Sequence[str]) -> list[Figures]:
    """Fill each database up to each size, and measure there."""
    found = []
    with databases(folder, kinds) as opened:
        for kind, (database, cluster) in opened.items():
            there, told = 0, Told(kind)
            for size in sorted(sizes):
                if there < size - FRESH:
                    load(database, there, size - FRESH, told)
                    there = size - FRESH
                analyze(database)
                cost = fill(database, there, size, cluster)
                there = size
                analyze(database)
                found.append(measure(database, cluster, kind, size, cost))
                print(line(found[-1]), flush=True)
    return found


def analyze(database: Database) -> None:
    """What PostgreSQL does by itself, sooner or later; SQLite never does, and asks without."""
    with database.write() as session:
        if session.connection().dialect.name == "postgresql":
            patiently(session)
            session.connection().execute(text("ANALYZE"))


HEAD: Final = (
    f"{'database':<12}{'check-ins':>12}{'store: cpu us':>15}{'KiB':>7}{'wall us':>9}"
    f"{'look-up ms':>12}{'cpu':>6}{'month ms':>10}{'cpu':>6}{'scan: look-up':>15}{'scan: month':>13}{'load':>6}"
)


def line(one: Figures) -> str:
    """One row of the table."""
    cost = one.cost
    return (
        f"{one.kind:<12}{one.size:>12,}{cost.cpu_us:>15.1f}{cost.wrote_kib:>7.1f}{cost.wall_us:>9.1f}"
        f"{one.look_up.p95_ms:>12.2f}{one.look_up.cpu_ms:>6.1f}{one.month.p95_ms:>10.2f}{one.month.cpu_ms:>6.1f}"
        f"{one.look_up_scan_ms:>15.1f}{one.month_scan_ms:>13.1f}"
        f"{one.load:>6.1f}"
    )


def grown(found: Sequence[Figures]) -> dict[str, float]:
    """How many times what it cost at the least size a check-in costs at the greatest, by database."""
    by_kind: dict[str, list[Figures]] = {}
    for one in found:
        by_kind.setdefault(one.kind, []).append(one)
    return {kind: some[-1].cost.cpu_us / some[0].cost.cpu_us for kind, some in by_kind.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 when a question took too long, or a check-in costs more and more."""
    parser = argparse.ArgumentParser(prog="python -m bench.patrol", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[*SIZES])
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    parser.add_argument("--folder", type=Path, help="where there is room for it; a folder of its own is made there")
    asked = parser.parse_args(arguments)
    print(f"95th of 100; scans: slowest of {SCANNED}; storing: mean of the last {FRESH:,}, {BATCH} to a commit\n{HEAD}")
    with tempfile.TemporaryDirectory(prefix="shouwang-patrol-", dir=asked.folder) as folder:
        Path(folder).chmod(0o755)  # root runs PostgreSQL as somebody else
        found = run(Path(folder), asked.sizes, asked.databases)
    slow = [one for one in found if not one.good]
    print(f"look-up and month under {LIMIT_MS:.0f} ms: {'no' if slow else 'yes'}")
    times = grown(found)
    print(f"a check-in at the greatest size, at most {FLAT} times the least: "
          + ", ".join(f"{kind} {many:.2f}" for kind, many in times.items()))  # fmt: skip
    return 1 if slow or max(times.values()) > FLAT else 0


if __name__ == "__main__":
    sys.exit(main())
