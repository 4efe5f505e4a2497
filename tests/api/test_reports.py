"""Reports over HTTP, and the same figures made anew from the log."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zipfile import ZipFile

import pytest

from api.reports.assessing import Assessment, assess
from api.reports.rules import Period, span
from api.reports.tables import Table, as_csv, as_xlsx
from api.rights.rules import Role
from api.settings import StationSettings
from broker.kinds import EventType, Kind
from broker.messages import GatewayEvent
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import Serve, Served
from tests.api.peers import Gateway
from tests.api.people import MOMENT, NOW, Hands, Somebody, somebody

DAY = MOMENT.date().isoformat()
MONTH = f"/api/v1/reports/north/alarms?day={DAY}"


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    with serve(clock=hands) as one:
        yield one


@pytest.fixture
def gateway(station: Served, broker: PrivateBroker) -> Iterator[Gateway]:
    del station
    with Gateway(broker) as one:
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.DUTY_OFFICER, "north")


@pytest.fixture
def leader(station: Served) -> Somebody:
    return somebody(station, "tang", Role.DUTY_LEADER, "north")


def press(gateway: Gateway, hands: Hands, event: EventType = EventType.PRESS, **more: Any) -> GatewayEvent:
    made = gateway.event(event, at_ms=hands.now_ms - 5, **more)
    gateway.send([made])
    gateway.receipted([made])
    return made


def handle(who: Somebody, hands: Hands, alarm: str, *, outcome: str = "real", cause: str | None = None) -> None:
    path = f"/api/v1/alarms/{alarm}"
    hands.pass_(seconds=20)
    who.post(f"{path}/acknowledge")
    hands.pass_(minutes=5)
    who.post(f"{path}/on-scene", {})
    hands.pass_(minutes=10)
    who.post(f"{path}/resolve", {"outcome": outcome} | ({} if cause is None else {"cause": cause}))


def assessed(settings: StationSettings, hands: Hands) -> Assessment:
    """The month in which the tests take place."""
    when = span(Period.MONTH, datetime.fromtimestamp(NOW / 1_000, UTC).date(), settings.zone)
    return assess(settings, when, now_ms=hands.now_ms)


def a_month(gateway: Gateway, hands: Hands, officer: Somebody, leader: Somebody) -> None:
    """Something of everything."""
    handle(officer, hands, (first := press(gateway, hands)).id)
    leader.post(f"/api/v1/alarms/{first.id}/follow-up", {"satisfaction": 4})
    false = press(gateway, hands, kind=Kind.FIRE, place="h02", unit="u2", press="u2:1:1")
    handle(officer, hands, false.id, outcome="false", cause="child")
    officer.post(f"/api/v1/alarms/{false.id}/reopen", {"reason": "家属来电"})
    silent = press(gateway, hands, kind=Kind.DURESS, press="u1:1:90")
    officer.post(f"/api/v1/alarms/{silent.id}/acknowledge")
    press(gateway, hands, EventType.TEST)
    code: dict[str, Any] = {"verified": False, "unit": "b7", "press": None, "place": "h03"}
    press(gateway, hands, **code)
    hands.pass_(seconds=4)
    press(gateway, hands, **code)
    changed = press(gateway, hands, kind=Kind.HELP, place="h04", unit="u4", press="u4:1:1")
    officer.post(f"/api/v1/alarms/{changed.id}/kind", {"kind": "medical", "reason": "心脏病"})
    due = (datetime.fromtimestamp(hands.now_ms / 1_000, UTC) + timedelta(hours=1)).isoformat()
    leader.post(f"/api/v1/alarms/{changed.id}/urge", {"due": due, "reason": "尽快"})
    officer.post("/api/v1/calls", {"kind": "panic", "place": "h01", "words": "来电"}, status=201)
    hands.pass_(days=2)


@pytest.mark.proves("G4", "G2")
def test_the_log_gives_the_same_figures_to_the_digit_and_whatever_is_changed_is_named(
    station: Served, gateway: Gateway, hands: Hands, officer: Somebody, leader: Somebody
) -> None:
    a_month(gateway, hands, officer, leader)
    settings = station.station.settings
    found = assessed(settings, hands)
    assert found.agrees, found.differences
    assert found.from_log.alarms == 6
    assert found.from_log.closed_on_time.whole == 6

    report = officer.get(MONTH)
    assert report["figures"]["alarms"] == 6
    assert report["figures"]["by_kind"] == {"duress": 1, "fire": 1, "medical": 1, "panic": 3}
    assert report["figures"]["acknowledge"]["count"] == 3
    assert report["figures"]["satisfied"] == {"part": 1, "whole": 1, "percent_tenths": 1000}
    assert report["figures"]["repeated"] == {"h01": 3}

    with station.station.database.write() as session:
        run = session.connection().exec_driver_sql
        run("UPDATE alarm SET satisfaction = 5, resolved_by = 'li' WHERE satisfaction = 4")
        run("UPDATE inbox SET envelope = replace(envelope, 'fire', 'help') WHERE envelope LIKE '%%\"fire\"%%'".replace(
            "%%", "%" if station.station.settings.database.startswith("sqlite") else "%%"
        ))  # fmt: skip
    bad = assessed(settings, hands)
    assert not bad.agrees
    assert {one.field for one in bad.differences} >= {"satisfaction", "handler"}
    assert len(bad.changed) == 1


@pytest.mark.proves("N4", "G5")
def test_a_report_without_police_eyes_has_no_trace_of_duress(
    station: Served, gateway: Gateway, hands: Hands, officer: Somebody
) -> None:
    community = somebody(station, "sun", Role.COMMUNITY, "c1")
    press(gateway, hands)
    path = f"/api/v1/reports/c1/alarms?day={DAY}"
    before = community.get(path)["figures"]
    press(gateway, hands, kind=Kind.DURESS, press="u1:1:90")
    press(gateway, hands, EventType.UNVERIFIED, unit=None, place=None, group=None)
    assert community.get(path)["figures"] == before
    assert officer.get(MONTH)["figures"]["alarms"] == 3
    for form in ("csv", "html"):
        text = community.get(f"{path}&format={form}").text
        assert "胁迫" not in text
        assert "duress" not in text
    community.get(MONTH, status=404)
    somebody(station, "wang", Role.HOUSEHOLD, "h01").get(path, status=403)


@pytest.mark.parametrize("report", ["alarms", "cards", "departments", "installation", "complaints", "workers"])
def test_of_an_area_that_is_not_there_nothing_is_reported(leader: Somebody, report: str) -> None:
    """Noughts would read as a quiet month."""
    leader.get(f"/api/v1/reports/c9/{report}?day={DAY}", status=404)


def test_every_form_has_the_same_rows(gateway: Gateway, hands: Hands, officer: Somebody, leader: Somebody) -> None:
    handle(officer, hands, press(gateway, hands).id)
    whole = officer.get(MONTH)
    assert list(whole["below"]) == ["c1"]
    text = officer.get(f"{MONTH}&format=csv")
    assert text.content.startswith("\ufeff".encode())
    rows = [*csv.reader(io.StringIO(text.content.decode("utf-8-sig")))]
    assert rows[0] == ["汇总 Summary"]
    assert [row[1] for row in rows[2:4]] == ["1", "1"]
    book = ZipFile(io.BytesIO(officer.get(f"{MONTH}&format=xlsx").content))
    assert "汇总 Summary" in book.read("xl/workbook.xml").decode()
    assert "http" not in officer.get(f"{MONTH}&format=html").text

    cards = officer.get(f"/api/v1/reports/north/cards?day={DAY}&whose=community")["cards"]
    assert [(one["owner"], one["score_tenths"]) for one in cards] == [("c1", 1000)]
    officer.get(f"/api/v1/reports/north/cards?day={DAY}&whose=handler", status=403)
    own = leader.get(f"/api/v1/reports/north/cards?day={DAY}&whose=handler")["cards"]
    assert [one["owner"] for one in own] == ["xu"]
    assert officer.get(f"/api/v1/reports/north/departments?day={DAY}")["on_time"] == {}
    installed = officer.get("/api/v1/reports/north/installation")["installed"]
    assert (installed["part"], installed["whole"]) == (1, 4)


@pytest.mark.parametrize("query", ["day=2026-02-30", "day=2026-02-01&period=decade", "day=2026-02-01&format=pdf", ""])
def test_what_is_no_day_is_told(officer: Somebody, query: str) -> None:
    officer.get(f"/api/v1/reports/north/alarms?{query}", status=422)


@pytest.mark.parametrize("period", ["day", "week", "month", "year"])
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_day_at_the_ends_of_the_calendar_is_refused(officer: Somebody, day: str, period: str) -> None:
    officer.get(f"/api/v1/reports/north/alarms?day={day}&period={period}", status=422)


def test_departments_have_a_report_of_their_own_and_no_cards(officer: Somebody) -> None:
    officer.get(f"/api/v1/reports/north/cards?day={DAY}&whose=department", status=422)


@pytest.mark.proves("F64")
def test_no_cell_becomes_a_formula() -> None:
    bad = Table("x", ("a",), (("=HYPERLINK(1)",), ("-1+2",), (-3,), (None,)))
    assert "'=HYPERLINK" in as_csv([bad]).decode()
    sheet = ZipFile(io.BytesIO(as_xlsx([bad]))).read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "<v>-3</v>" in sheet


def test_a_sheet_to_take_along_has_what_its_reader_may_read(
    station: Served, gateway: Gateway, hands: Hands, officer: Somebody, leader: Somebody
) -> None:
    alarm = press(gateway, hands).id
    officer.post(f"/api/v1/alarms/{alarm}/acknowledge")
    path = f"/api/v1/alarms/{alarm}/sheet"
    text = officer.get(path).text
    assert "派警单" in text
    assert "紧急报警" in text
    assert "某xu" in text
    assert "http" not in text
    guard = somebody(station, "ma", Role.GUARD, "guards")
    guard.get(path, status=404)
    officer.post(f"/api/v1/alarms/{alarm}/dispatch", {"accounts": ["ma"]})
    assert "老王家" in guard.get(path).text
    somebody(station, "sun", Role.COMMUNITY, "c1").get(path, status=403)
    silent = press(gateway, hands, kind=Kind.DURESS, press="u1:1:90").id
    assert "请勿回拨" in leader.get(f"/api/v1/alarms/{silent}/sheet").text
    guard.get(f"/api/v1/alarms/{silent}/sheet", status=404)
