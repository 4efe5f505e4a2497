"""`shouwang assess`: the figures of a time, once from the alarm table and once from the log, and whether they agree."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy.exc import DBAPIError

from api.database.errors import DatabaseError
from api.database.looking import looking
from api.reports import log, repository
from api.reports.rules import Case, Figures, Span, figures
from api.settings import StationSettings
from broker.policy import Audience


@dataclass(frozen=True, slots=True)
class Difference:
    """Where table and log do not say the same about an alarm; `field` "case": one of both has none."""

    alarm: str
    field: str
    table: str
    log: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What came of it. `changed`: events whose envelope is not what it was when it came."""

    from_table: Figures
    from_log: Figures
    differences: tuple[Difference, ...]
    changed: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether both say the same, to the digit."""
        return self.from_table == self.from_log and not self.differences and not self.changed


def assess(settings: StationSettings, when: Span, *, now_ms: int) -> Assessment:
    """Look at the database of a station, whether it runs or not. Raises DatabaseError."""
    try:
        with looking(settings.database, station=settings.station) as session:
            lay = repository.trees(session, settings.station)
            kept = repository.cases(session, when, Audience.POLICE, lay=lay)
            read = log.read(session, when, lay=lay)
    except DBAPIError as error:
        raise DatabaseError(f"the log cannot be read: {error.orig}") from None
    return Assessment(
        from_table=figures(kept, now_ms=now_ms, zone=settings.zone),
        from_log=figures(read.cases, now_ms=now_ms, zone=settings.zone),
        differences=tuple(compare(kept, read.cases)),
        changed=tuple(read.changed),
    )


def compare(kept: list[Case], logged: list[Case]) -> list[Difference]:
    """Every field in which they differ, by alarm."""
    table, log_ = {case.id: case for case in kept}, {case.id: case for case in logged}
    found = []
    for alarm in sorted(table.keys() | log_.keys()):
        one, other = table.get(alarm), log_.get(alarm)
        if one is None or other is None:
            found.append(Difference(alarm, "case", str(one is not None), str(other is not None)))
            continue
        found += [
            Difference(alarm, field.name, str(getattr(one, field.name)), str(getattr(other, field.name)))
            for field in fields(Case)
            if getattr(one, field.name) != getattr(other, field.name)
        ]
    return found


def as_text(assessment: Assessment) -> str:
    """For people."""
    lines = [f"{assessment.from_log.alarms} alarms in earnest by the log, {assessment.from_table.alarms} by the table"]
    lines += [f"alarm {one.alarm}: {one.field} is {one.table} in the table, {one.log} in the log"
              for one in assessment.differences]  # fmt: skip
    lines += [f"event {event}: its envelope is not what came in" for event in assessment.changed]
    lines.append("all figures agree" if assessment.agrees else "the figures do NOT agree")
    return "\n".join(lines)


def as_json(assessment: Assessment) -> str:
    """For programs."""
    found: dict[str, Any] = {
        "agrees": assessment.agrees,
        "from_table": asdict(assessment.from_table),
        "from_log": asdict(assessment.from_log),
        "differences": [asdict(one) for one in assessment.differences],
        "changed": list(assessment.changed),
    }
    return json.dumps(found, ensure_ascii=False)
