"""The benchmark of look-ups finds what it asks for, and says when a question takes too long."""

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from api.checkins import repository
from api.checkins.models import CheckInRow
from api.database import Database, table_of
from bench import patrol
from broker.ids import is_event_id
from tests.api.conftest import database_kind, database_url, databases, empty_url, migrated_file  # noqa: F401 - fixtures

INDEXES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'check_in'",
    "postgresql": "SELECT indexname FROM pg_indexes WHERE tablename = 'check_in' AND schemaname = current_schema()",
}
COST = patrol.Cost(cpu_us=10, wall_us=20, wrote_kib=5)


@pytest.mark.proves("P4")
def test_a_small_table_is_filled_and_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = patrol.run(tmp_path, [30_000], ["sqlite"])
    assert found.size == 30_000
    assert min(found.look_up.p95_ms, found.month.p95_ms, found.month.cpu_ms, found.month_scan_ms) > 0
    assert min(found.cost.cpu_us, found.cost.wall_us, found.cost.wrote_kib) > 0
    assert "30,000" in capsys.readouterr().out


def test_a_question_that_takes_too_long_is_a_bad_verdict_and_cost_is_compared_with_the_least_size() -> None:
    quick = patrol.Took(p95_ms=99, cpu_ms=1)
    good = patrol.Figures(
        kind="sqlite", size=1, cost=COST, look_up=quick, month=quick, look_up_scan_ms=1, month_scan_ms=1, load=0
    )
    assert good.good
    assert not replace(good, month=replace(quick, p95_ms=100)).good
    dearer = replace(good, size=9, cost=replace(COST, cpu_us=25))
    assert patrol.grown([good, dearer, replace(good, kind="postgresql")]) == {"sqlite": 2.5, "postgresql": 1.0}


def test_days_that_are_copied_are_the_days_that_would_have_been_stored(
    empty_url: str,  # noqa: F811 - the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patrol, "DAILY", 3_000)
    monkeypatch.setattr(patrol, "SCANS", 1)
    with closing(Database.open(empty_url, station="north")) as database:
        patrol.load(database, 0, 7_000, patrol.Told("here"))
        with database.read() as session:
            read = session.connection().execute(text("SELECT id FROM check_in ORDER BY number")).scalars().all()
            found = repository.by_ids(session, read)
            indexes = (
                session.connection().execute(text(INDEXES[make_url(empty_url).get_backend_name()])).scalars().all()
            )
        by_id = {one.id: one for one in found}
        wanted = [patrol.check_in(number) for number in range(7_000)]
        assert [replace(by_id[id_], id="") for id_ in read] == [replace(one, id="") for one in wanted]
        assert all(is_event_id(id_) for id_ in read)
        assert [re.sub("-7.*", "", id_) for id_ in read] == [re.sub("-7.*", "", one.id) for one in wanted]
        assert {*indexes} >= {one.name for one in table_of(CheckInRow).indexes}
