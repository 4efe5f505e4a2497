"""A day of the whole county: 3,000 guards check in 120,000 times, and every round of theirs is judged once.

    shouwang bench --only rounds

The parts of a station in this process, on SQLite, without a broker: each hour what the readers of its 100 gateways
read in it lies before the consumer in the order of time, signed, as a broker brings it, and the clock of the rounds
looks until nothing is due. So it is signatures, inbox and receipts (signed, and sent to nobody), whose card and which
point, judging, exceptions, facts and the ledger. Then some check-ins of the day come late.

Floors, over the same rounds and rows in the same run: `rules.evaluate` alone, and SQLAlchemy Core inserting the rows
that came of the day (inbox, check-ins, visits, exceptions, facts, entries) by executemany, 100 rounds a commit.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final

import structlog
from sqlalchemy import Table, create_engine, event, func, insert
from sqlalchemy import select as ask
from sqlmodel import Session, SQLModel

from api import memory
from api.checkins.models import CheckInRow
from api.clock import Clock
from api.database import table_of
from api.guards.models import Guard, GuardCard, GuardEmployment, PatrolDuty, PatrolDutyMember
from api.ingest.models import Inbox
from api.mqtt import Arrival, Stopped
from api.patrols import causes, judging, repository
from api.patrols.models import (
    Checkpoint,
    PatrolException,
    PatrolLeg,
    PatrolPlan,
    PatrolRound,
    PatrolRoute,
    PatrolRouteVisit,
    PatrolShift,
    PatrolVisit,
)
from api.patrols.rules import evaluate
from api.points.models import PointsEntry, PointsFact
from api.program import SWITCH_S
from api.register.models import Company
from api.settings import StationSettings
from api.station import Station
from bench.figures import Figure, at_least, at_most, exactly
from broker.ids import EVENT_ID_RANDOM_BYTES, GatewayId, StationId, event_id
from broker.kinds import EventType
from broker.messages import GatewayEvent, audience_of
from broker.signing import Signer, gateway_kid
from broker.topics import Name, build

STATION: Final = StationId("bench")
GUARDS: Final = 3_000
OF_AREA: Final = 30
"""Guards of each area; each area has a gateway."""
POINTS: Final = 20
"""Of each area, each with a reader."""
BEGINS_MS: Final = 1_799_942_400_000
"""Midnight in Shanghai, 2027-01-15."""
DAY: Final = "2027-01-15"
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
SHIFT_MIN: Final = 480
ROUNDS: Final = 4
"""Of each guard in his shift, two hours apart."""
VISITS: Final = 10
"""Of each round, six minutes apart."""
LATE: Final = 200
WHOLE_S: Final = 60.0
SHARE: Final = 0.2


@dataclass(slots=True)
class _Time:
    now_ms: int = BEGINS_MS - HOUR_MS

    def __call__(self) -> int:
        return self.now_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What a day took, in seconds of the wall's and of this process's time, and what came of it."""

    check_ins: int
    rounds: int
    evaluations: int
    judged: int
    """Judgings in all, late ones too."""
    late: int
    """Rounds that check-ins of the day touched which came when it was over."""
    kept_s: float
    kept_cpu_s: float
    judged_s: float
    judged_cpu_s: float
    evaluate_s: float
    insert_s: float

    @property
    def whole_s(self) -> float:
        """From the first check-in until the last round was judged."""
        return self.kept_s + self.judged_s


def measure(directory: Path) -> list[Figure]:
    """All figures of this chapter."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    day = walk(directory, guards=GUARDS)
    floor = day.rounds / (day.evaluate_s + day.insert_s)
    return [
        _figure("check-ins of a day, kept and judged", day.whole_s, "s", bound=at_most(WHOLE_S)),
        _figure("check-ins kept", day.check_ins / day.kept_s, "check-ins/s", note=_cpu(day.kept_cpu_s)),
        _figure("rounds judged", day.rounds / day.judged_s, "rounds/s", note=_cpu(day.judged_cpu_s)),
        _figure(
            "rounds of the day, all in all",
            day.rounds / day.whole_s,
            "rounds/s",
            floor=floor,
            bound=at_least(SHARE * floor, f"{SHARE:g} x evaluating and inserting alone"),
        ),
        _figure("floor: rules.evaluate alone", day.rounds / day.evaluate_s, "rounds/s"),
        _figure("floor: Core executemany of the same rows", day.rounds / day.insert_s, "rounds/s"),
        _figure("judgings of each round", day.evaluations / day.rounds, "times", bound=exactly(1)),
        _figure(
            f"rounds judged again for {LATE} late check-ins",
            day.judged - day.evaluations,
            "rounds",
            bound=exactly(day.late, "those into which they fall"),
        ),
    ]


def _figure(name: str, value: float, unit: str, **more: Any) -> Figure:
    return Figure(part="rounds", name=name, value=value, unit=unit, **more)


def _cpu(seconds: float) -> str:
    return f"{seconds:.1f} s of this process's time"


def walk(directory: Path, *, guards: int) -> Day:
    """Let so many guards walk a day."""
    directory.mkdir(parents=True, exist_ok=True)
    clock, dice = _Time(), Random(4)
    areas = -(-guards // OF_AREA)
    station = Station(_settings(directory, areas), clock=clock)
    station.ingest.start()
    try:
        with station.database.write() as session:
            _lay_out(session, guards)
        station.patrols.unfold_next(station.database, clock.now_ms)
        hours = _read(guards, dice)
        memory.leave_alone()  # as the program does once it serves
        sys.setswitchinterval(SWITCH_S)
        kept = kept_cpu = judged = judged_cpu = 0.0
        for hour, by_gateway in enumerate(hours, start=1):
            clock.now_ms = BEGINS_MS + hour * HOUR_MS
            arrivals = _arrivals(by_gateway, dice)
            began, began_cpu = time.perf_counter(), time.process_time()
            _keep(station, arrivals)
            kept, kept_cpu = kept + time.perf_counter() - began, kept_cpu + time.process_time() - began_cpu
            began, began_cpu = time.perf_counter(), time.process_time()
            _look(station, clock)
            judged, judged_cpu = judged + time.perf_counter() - began, judged_cpu + time.process_time() - began_cpu
        with station.database.read() as session:
            rounds, evaluations = (
                session.connection().execute(ask(func.count(), func.sum(PatrolRound.evaluations))).one()
            )
            check_ins = session.connection().scalar(ask(func.count()).select_from(CheckInRow)) or 0
            evaluated = _evaluated(session, station, clock())
            tables = _rows(session)
        late = _come_late(station, clock, dice)
        _look(station, clock)
        return Day(
            check_ins=check_ins,
            rounds=rounds,
            evaluations=evaluations,
            judged=station.patrols.judged,
            late=late,
            kept_s=kept,
            kept_cpu_s=kept_cpu,
            judged_s=judged,
            judged_cpu_s=judged_cpu,
            evaluate_s=evaluated,
            insert_s=_inserted(directory / "floor.db", tables),
        )
    finally:
        station.link.incoming.put(Stopped())
        station.ingest.stop()
        station.stop()


def _arrivals(by_gateway: dict[int, list[_Said]], dice: Random) -> list[Arrival]:
    """What gateways tell of an hour, in the order in which it was read."""
    found: list[tuple[int, Arrival]] = []
    for gateway, said in sorted(by_gateway.items()):
        topic = build(Name.GATEWAY_EVENT, STATION, _id(gateway))
        for one, envelope in zip(said, _signed(gateway, said, dice), strict=True):
            found.append((one.at_ms, Arrival(topic, envelope, False, 0, 0, 1, time.monotonic())))
    return [arrival for _, arrival in sorted(found, key=lambda one: one[0])]


def _keep(station: Station, arrivals: Sequence[Arrival]) -> None:
    """Put them before the consumer and wait until each is kept."""
    wanted = station.ingest.counts.stored + len(arrivals)
    for arrival in arrivals:
        station.link.incoming.put(arrival)
    while station.ingest.counts.stored < wanted:
        if not station.ingest.alive or station.ingest.counts.rejected:
            raise RuntimeError("the consumer does not keep what it is given")
        time.sleep(0.01)


def _look(station: Station, clock: Clock) -> None:
    """As the rounds' job does, until nothing is due."""
    due = True
    while due:
        station.patrols.look(station.database, clock())
        with station.database.read() as session:
            due = causes.waiting(session) or repository.due(session, clock())


def _settings(directory: Path, areas: int) -> StationSettings:
    key = directory / "station.key"
    key.write_text(sha256(b"station").hexdigest())
    signers = {gateway: _signer(gateway) for gateway in range(areas)}
    return StationSettings.model_validate(
        {
            "station": STATION,
            "broker": {"port": 1, "user": "bench", "password": "bench"},
            "database": f"sqlite:///{directory / 'station.db'}",
            "http": {"port": 0},
            "signing": {"path": str(key)},
            "gateway_keys": {gateway_kid(_id(gateway)): one.public.hex() for gateway, one in signers.items()},
            "groups": [{"id": f"gr{n}", "community": "c1", "grid": f"a{n}", "gateway": _id(n)} for n in range(areas)],
        }
    )


def _id(gateway: int) -> GatewayId:
    return GatewayId(f"g{gateway}")


def _signer(gateway: int) -> Signer:
    return Signer(gateway_kid(_id(gateway)), sha256(f"g{gateway}".encode()).digest())


def _lay_out(session: Session, guards: int) -> None:
    """Guards with cards, points with readers, a route and a plan for each guard, and who is on duty when."""

    def add(model: type[SQLModel], rows: Sequence[dict[str, object]]) -> None:
        session.connection().execute(insert(table_of(model)), list(rows))

    here = {"station": STATION}
    made = {**here, "made_by": "bench", "made_ms": 1}
    kept = {**here, "made_by": "bench", "from_ms": 1}
    areas = range(-(-guards // OF_AREA))
    points = [(area, nth) for area in areas for nth in range(POINTS)]
    people = range(guards)
    add(Company, [{**here, "id": f"co{n}", "name": f"第{n}保安公司", "from_ms": 1} for n in range(10)])
    add(Guard, [{**made, "id": f"p{n}", "force": "guard", "service_number": f"{n}", "area": _area(n)} for n in people])
    add(GuardEmployment, [{**kept, "guard": f"p{n}", "company": f"co{n % 10}"} for n in people])
    add(GuardCard, [{**kept, "guard": f"p{n}", "tag": _tag(n), "low24": _tag(n)[-6:]} for n in people])
    add(
        Checkpoint,
        [
            {**kept, "id": _point(a, n), "area": f"a{a}", "name": f"{n}", "gateway": f"g{a}", "reader": f"r{n}"}
            for a, n in points
        ],
    )
    legs = [(_point(a, n), _point(a, (n + 1) % POINTS)) for a, n in points]
    least = {"least_s": 60, "made_by": "bench", "made_ms": 1}
    add(PatrolLeg, [{**least, "from_point": one, "to_point": other} for one, other in legs])
    for shift in range(3):
        begins = shift * SHIFT_MIN
        add(
            PatrolShift,
            [
                {**kept, "id": f"s{shift}-{a}", "area": f"a{a}", "name": "班", "starts_min": begins, "lasts_min": 480}
                for a in areas
            ],
        )
    orders = ("timed", "ordered", "free")
    add(
        PatrolRoute,
        [{**kept, "id": f"w{n}", "area": _area(n), "name": f"线{n}", "order": orders[n // 3 % 3]} for n in people],
    )
    band = {"buffer_min": 3, "extended_min": 5, "optional": False, "dwell_min": 0}
    add(
        PatrolRouteVisit,
        [
            {**band, "route": f"w{n}", "nth": nth + 1, "point": _walked(n, nth), "after_min": 6 * nth}
            for n in people
            for nth in range(VISITS)
        ],
    )
    days = {"weekdays": "1234567", "holidays": "also", "month_days": (1 << 31) - 1, "from_day": DAY, "to_day": DAY}
    add(
        PatrolPlan,
        [
            {
                **kept,
                **days,
                "area": _area(n),
                "route": f"w{n}",
                "shift": f"s{n % 3}-{n // OF_AREA}",
                "company": f"co{n % 10}",
                "begins_min": " ".join(str(120 * nth + n % 50) for nth in range(ROUNDS)),
                "lasts_min": 60,
                "temporary": False,
            }
            for n in people
        ],
    )
    spans = [BEGINS_MS + n % 3 * SHIFT_MIN * MINUTE_MS for n in people]
    add(
        PatrolDuty,
        [
            {
                **made,
                "number": n + 1,
                "area": _area(n),
                "route": f"w{n}",
                "shift": "班",
                "from_ms": spans[n],
                "to_ms": spans[n] + SHIFT_MIN * MINUTE_MS,
            }
            for n in people
        ],
    )
    add(
        PatrolDutyMember,
        [
            {
                "duty": n + 1,
                "guard": f"p{n}",
                "from_ms": spans[n],
                "to_ms": spans[n] + SHIFT_MIN * MINUTE_MS,
                "listed_to_ms": spans[n] + SHIFT_MIN * MINUTE_MS,
                "came": "listed",
                "made_by": "bench",
                "made_ms": 1,
            }
            for n in people
        ],
    )


def _area(guard: int) -> str:
    return f"a{guard // OF_AREA}"


def _tag(guard: int) -> str:
    return f"{0x3300000000 + guard * 7:010X}"


def _point(area: int, nth: int) -> str:
    return f"k{area}-{nth}"


def _walked(guard: int, nth: int) -> str:
    return _point(guard // OF_AREA, (guard + nth) % POINTS)


@dataclass(frozen=True, slots=True)
class _Said:
    guard: int
    reader: int
    at_ms: int


def _read(guards: int, dice: Random) -> list[dict[int, list[_Said]]]:
    """What was read in each hour (one more: the last rounds close), by gateway: forty a guard, some late or twice."""
    hours: list[dict[int, list[_Said]]] = [{} for _ in range(25)]
    for guard in range(guards):
        for nth in range(ROUNDS):
            begins = BEGINS_MS + (guard % 3 * SHIFT_MIN + 120 * nth + guard % 50) * MINUTE_MS
            for visit in range(VISITS):
                luck = dice.random()
                at_ms = begins + visit * 6 * MINUTE_MS + dice.randrange(-120_000, 120_000)
                if luck < 0.03:
                    at_ms += 5 * MINUTE_MS  # late
                where = visit if luck < 0.98 else (visit + 1) % VISITS  # passed by one, read at the next one
                one = _Said(guard, (guard + where) % POINTS, max(at_ms, BEGINS_MS))
                hours[(one.at_ms - BEGINS_MS) // HOUR_MS].setdefault(guard // OF_AREA, []).append(one)
    for hour in hours:
        for said in hour.values():
            said.sort(key=lambda one: one.at_ms)
    return hours


_SEQ: Final[dict[int, int]] = {}


def _signed(gateway: int, said: Sequence[_Said], dice: Random) -> list[bytes]:
    topic = build(Name.GATEWAY_EVENT, STATION, _id(gateway))
    signer = _signer(gateway)
    found = []
    for one in said:
        _SEQ[gateway] = _SEQ.get(gateway, 0) + 1
        body = GatewayEvent.model_validate(
            {
                "topic": topic,
                "audience": audience_of(topic),
                "id": event_id(one.at_ms, dice.randbytes(EVENT_ID_RANDOM_BYTES)),
                "age_ms": 5,
                "gateway": _id(gateway),
                "event": EventType.CHECK_IN,
                "epoch": "00000000000000b1",
                "seq": _SEQ[gateway],
                "boot": "b1",
                "at_ms": one.at_ms,
                "mono_us": _SEQ[gateway],
                "clock": "synced",
                "unit": f"r{one.reader}",
                "detail": {"tag": _tag(one.guard)},
                "verified": True,
            }
        )
        found.append(signer.envelope(body))
    return found


def _come_late(station: Station, clock: _Time, dice: Random) -> int:
    """Check-ins of visits that nobody made come when the day is over; how many rounds they fall into."""
    clock.now_ms = BEGINS_MS + 30 * HOUR_MS
    with station.database.read() as session:
        visit, round_ = table_of(PatrolVisit), table_of(PatrolRound)
        rows = session.connection().execute(
            ask(visit.c.round, visit.c.point, visit.c.at_ms, round_.c.route)
            .join(round_, round_.c.number == visit.c.round)
            .where(visit.c.outcome == "missed")
            .order_by(visit.c.number)
            .limit(LATE)
        )
        missed = [(row.round, row.point, row.at_ms, int(row.route[1:])) for row in rows]
    for _, point, at_ms, guard in missed:
        area, _, nth = point[1:].partition("-")
        station.ingest.take(_id(int(area)), _signed(int(area), [_Said(guard, int(nth), at_ms)], dice))
    return len({number for number, *_ in missed})


def _evaluated(session: Session, station: Station, now_ms: int) -> float:
    """Seconds of judging every round by the rules alone, with everything at hand."""
    numbers = list(session.connection().scalars(ask(table_of(PatrolRound).c.number)))
    took = 0.0
    for some in repository.portions(numbers):
        rows = repository.rounds_numbered(session, some)
        known = judging.Slice(session, station.register, rows, repository.visit_rows(session, some))
        asked = [(known.plan(row), known.read(row)) for row in rows]
        began = time.perf_counter()
        for plan, read in asked:
            evaluate(plan, read, now_ms)
        took += time.perf_counter() - began
    return took


def _rows(session: Session) -> list[tuple[Table, list[dict[str, Any]]]]:
    models = (Inbox, CheckInRow, PatrolVisit, PatrolException, PointsFact, PointsEntry)
    tables = [table_of(model) for model in models]
    return [(table, [dict(row) for row in session.connection().execute(ask(table)).mappings()]) for table in tables]


def _inserted(path: Path, tables: Sequence[tuple[Table, list[dict[str, Any]]]]) -> float:
    """Seconds of inserting the same rows into the same tables, in as many commits."""
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _safe(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    for table, _ in tables:
        table.create(engine)
    commits = max(1, len(tables[2][1]) // (100 * VISITS))
    began = time.perf_counter()
    for number in range(commits):
        with engine.begin() as connection:
            for table, rows in tables:
                some = rows[number * len(rows) // commits : (number + 1) * len(rows) // commits]
                if some:
                    connection.execute(insert(table), some)
    took = time.perf_counter() - began
    engine.dispose()
    return took
