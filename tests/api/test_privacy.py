"""Personal data has a purpose and an end (N16): the field register, periods, export and erasure of one household."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, inspect, select
from sqlmodel import Session, SQLModel

import api
from api.alarms.models import AlarmRecord
from api.audit import service as audit
from api.database import DatabaseError
from api.database.rewriting import LOG, rewrite
from api.privacy import rules, scrubbing, sheets
from api.privacy.repository import blank, table
from api.privacy.rules import RegisterError, Then
from api.register.models import How, Note, Purpose
from api.register.registrar import Person, PlaceFields
from api.rights.rules import Role
from api.settings import StationSettings
from broker.kinds import UPDATE_WORDS, UpdateState
from tests.api.conftest import Serve, Served, only_postgresql
from tests.api.databases import Databases, dsn
from tests.api.peers import GRID, HOUSEHOLDS, STATION
from tests.api.signing_in import machine

HOUSE = HOUSEHOLDS[0]
CANARY = "金丝雀七三一"
"""No word of ours: wherever it is found, something personal was left."""
NOW = 1_800_000_000_000
DAY = 86_400_000


class Time:
    def __init__(self) -> None:
        self.ms = NOW

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def station(serve: Serve, time: Time) -> Iterator[Served]:
    with serve(clock=time, wait=False) as one:
        yield one


def alarm(number: int, **changed: Any) -> AlarmRecord:
    values: dict[str, Any] = {
        "number": number,
        "id": f"01a20124-9d1e-7dd3-acdc-{number:012}",
        "key": f"press:u1:1:{number}",
        "kind": "panic",
        "state": "resolved",
        "verified": True,
        "late": False,
        "gateway": "g1",
        "at_ms": NOW,
        "clock": "synced",
        "age_ms": 1,
        "happened_ms": NOW,
        "received_ms": NOW + 2_000,
        "acknowledged_ms": NOW + 3_000,
        "acknowledged_by": "li",
        "resolved_ms": NOW + 4_000,
        "resolved_by": "li",
        "outcome": "real",
        "place": HOUSE,
        "group": "gr1",
        "group_known": True,
        "label": CANARY,
        "words": CANARY,
        "address": CANARY,
    }
    return AlarmRecord(**(values | changed))


def edit(station: Served, verb: str, *args: Any, **more: Any) -> Any:
    place = station.station.register.place(HOUSE)
    assert place is not None
    with station.station.registrar.edit("li") as one:
        return getattr(one, verb)(HOUSE, *args, **more, if_match=f'"{place.version}"')


def put(session: Session, name: str, **values: Any) -> None:
    session.connection().execute(insert(table(name)).values(**values))


def plant(station: Served, time: Time) -> str:
    """A household with everything that we can know of one, the canary in each word. Returns the occupant."""
    occupant: str = edit(station, "move_in", CANARY)
    edit(
        station, "change_place",
        PlaceFields(group="gr1", door=101, label=CANARY, address=CANARY, way_in=CANARY, lat_e7=1, lon_e7=2),
    )  # fmt: skip
    for purpose in (Purpose.CONTACTS, Purpose.RESPONDER_NOTES):
        edit(station, "consent", purpose, version=1, given=True, how=How.PAPER)
    edit(station, "contacts", [Person(name=CANARY, phone=CANARY, relation=CANARY)])
    edit(station, "notes", {Note.OTHER: CANARY})
    time.ms += 2_000
    worker = machine(station.station, "worker", (Role.GRID_WORKER, GRID))
    code = station.client.post(f"/api/v1/places/{HOUSE}/joining", headers=worker).json()["code"]
    joined = {"code": code, "name": CANARY, "login": CANARY, "password": "long enough now", "phone": "13800138000"}
    assert station.client.post("/api/v1/join", json=joined).status_code == 201
    (waiting,) = station.client.get("/api/v1/joinings", headers=worker).json()["items"]
    settled = {"confirmed": True, "reason": CANARY}
    assert station.client.post(f"/api/v1/joinings/{waiting['id']}/settle", json=settled, headers=worker).is_success
    one = alarm(1)
    with station.station.database.write() as session:
        put(session, "alarm", **asdict(one))
        inbox = {"gateway": "g1", "epoch": "0" * 16, "copy": 0, "event": "press", "received_ms": time.ms}
        put(
            session,
            "inbox",
            id=one.id,
            seq=1,
            digest="0" * 64,
            envelope=json.dumps({"body": {"label": CANARY}}),
            **inbox,
        )
        put(session, "alarm_event", event=one.id, alarm=one.id, key=one.key, part="press", gateway="g1", received_ms=1)
        detail = json.dumps({"outcome": "real", "words": CANARY}, ensure_ascii=False)
        put(
            session, "alarm_step", alarm=one.id, action="resolve", state="resolved", officer="li", at_ms=time.ms,
            reason=CANARY, behalf=CANARY, detail=detail,
        )  # fmt: skip
        put(
            session, "outgoing", id="o1", topic="t", alarm=one.id, body=CANARY, happened_ms=1, state="sent", tries=1,
            sent_ms=time.ms,
        )  # fmt: skip
        audit.record(
            session, at_ms=time.ms, by="li", action="register.people.read", about=f"place:{HOUSE}", reason=CANARY
        )
        audit.record(
            session, at_ms=time.ms, by="li", action="alarm.note", about=f"alarm:{one.id}", detail={"w": CANARY}
        )
        put(session, "away", place=HOUSE, from_ms=time.ms, to_ms=time.ms + 1_000, by=CANARY)
        put(
            session, "dead_letter", digest="1" * 64, topic="t", payload=CANARY.encode(), reason="r", detail="d",
            tries=1, times=1, first_ms=1, last_ms=1,
        )  # fmt: skip
    return occupant


def where(station: Served, word: str = CANARY) -> set[str]:
    """Tables in which it is found."""
    found = set()
    with station.station.database.read() as session:
        there = set(inspect(session.connection()).get_table_names())
        for here in [table(name) for name in SQLModel.metadata.tables.keys() & there]:
            for row in session.connection().execute(select(here)):
                text = " ".join(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in row)
                if word in text or json.dumps(word)[1:-1] in text:
                    found.add(here.name)
    return found


def in_files(settings: StationSettings, word: str = CANARY) -> list[str]:
    """Files of the database in whose octets it is found."""
    if not settings.database.startswith("sqlite"):
        return []
    folder = Path(settings.database.removeprefix("sqlite:///")).parent
    words = (word.encode(), json.dumps(word)[1:-1].encode())
    return [path.name for path in folder.glob("station.db*") if any(one in path.read_bytes() for one in words)]


@pytest.mark.proves("N16", "G7")
class TestRegister:
    def test_every_column_that_may_hold_personal_data_is_in_the_register(self) -> None:
        _, tables = rules.register()
        open_words: dict[str, set[str]] = {}
        for here in SQLModel.metadata.tables.values():
            may = {
                column.name
                for column in here.c
                if type(column.type).__name__ not in {"BigInteger", "Integer", "Boolean"}
                or column.name.startswith(("lat_", "lon_", "accuracy_"))
            }
            rule = tables.get(here.name)
            missing = may - (frozenset() if rule is None else rule.declared)
            if missing:
                open_words[here.name] = missing
        assert not open_words, f"say in api/privacy/fields.toml what these are: {open_words}"

    def test_the_register_names_nothing_that_is_not_there(self) -> None:
        _, tables = rules.register()
        assert tables.keys() <= SQLModel.metadata.tables.keys()
        for name, rule in tables.items():
            assert rule.declared <= set(table(name).c.keys()), name
            if rule.since is not None and rule.since.table is not None:
                assert rule.since.column in table(rule.since.table).c, name
                assert str(rule.since.key) in table(name).c, name

    def test_what_is_blanked_may_be_blank(self) -> None:
        _, tables = rules.register()
        for name, rule in tables.items():
            if rule.then is Then.BLANK:
                for column in rule.personal:
                    here = table(name).c[column]
                    assert here.nullable or type(here.type).__name__ in {"AutoString", "Text"}, f"{name}.{column}"
                    assert blank(here) in {None, ""}

    def test_every_personal_field_has_a_purpose_in_two_languages_periods_and_a_source(self) -> None:
        classes, tables = rules.register()
        assert {one.name for rule in tables.values() for one in rule.personal.values()} == classes.keys()
        for one in classes.values():
            assert one.zh
            assert one.en
            assert one.law

    @pytest.mark.parametrize(
        ("text", "where_"),
        [
            ("[class]\n[table.x]\npersonal = { a = 'nothing' }", "table.x"),
            ("[class.c]\npurpose = {zh='', en=''}\nleast_days = 9\nmost_days = 1\nlaw=''\n[table]", "class.c"),
            (
                "[class.c]\npurpose={zh='',en=''}\nleast_days=0\nmost_days=1\nlaw=''\n[table.x]\npersonal={a='c'}",
                "table.x",
            ),
        ],
    )
    def test_a_register_that_cannot_be_says_where(self, text: str, where_: str) -> None:
        with pytest.raises(RegisterError) as caught:
            rules.read(text)
        assert caught.value.where == where_

    def test_anybody_can_read_it(self, station: Served) -> None:
        items = station.client.get("/api/v1/privacy/fields").json()["items"]
        assert {"table": "contact", "column": "phone"}.items() <= next(
            item for item in items if (item["table"], item["column"]) == ("contact", "phone")
        ).items()


def in_folder(folder: Path, word: str = CANARY) -> set[str]:
    """Files below a folder in whose octets it is found, by the part of a PostgreSQL in which they lie."""
    words = (word.encode(), json.dumps(word)[1:-1].encode())
    return {
        str(path.relative_to(folder).parts[0])
        for path in folder.rglob("*")
        if path.is_file() and any(one in path.read_bytes() for one in words)
    }


@pytest.mark.proves("N16")
@only_postgresql
def test_after_its_step_nothing_that_was_erased_is_in_any_file_of_a_server(
    serve: Serve, time: Time, settings: StationSettings, databases: Databases
) -> None:
    folder, url, name = databases.cluster.directory / "data", settings.database, settings.station
    with serve(clock=time, wait=False) as station:
        plant(station, time)
        with station.station.database.write() as session:
            session.connection().exec_driver_sql("ANALYZE")  # frequent values are written down, too
        headers = leader(station)
        answer = station.client.post(f"/api/v1/places/{HOUSE}/erase", json={"reason": "住户要求"}, headers=headers)
        assert answer.status_code == 204, answer.text
        station.station.privacy.retain(time.ms)
        assert where(station) == set()
        with pytest.raises(scrubbing.StationRuns):
            scrubbing.scrub(url, station=name, now_ms=time.ms)
    with psycopg.connect(dsn(url), autocommit=True) as server:
        server.execute("CHECKPOINT")
    assert in_folder(folder) == {"base", "pg_wal"}, "it has to be there first"
    done = scrubbing.scrub(url, station=name, now_ms=time.ms)
    assert done.left == {}
    assert {"alarm", "contact", "audit_words"} <= done.tables.keys()
    assert in_folder(folder) == set()
    with serve(clock=time, wait=False) as station:
        assert station.get("/api/v1/alarms")["items"]
        with station.station.database.read() as session:
            assert audit.verify(session).bad is None


@pytest.mark.proves("N16")
@only_postgresql
def test_what_an_account_of_the_server_may_not_do_is_said(database_url: str, databases: Databases) -> None:
    del databases
    with psycopg.connect(dsn(database_url), autocommit=True) as server:
        server.execute("DROP ROLE IF EXISTS small")
        server.execute("CREATE ROLE small LOGIN")
    small = database_url.replace("://shouwang@", "://small@")
    try:
        done = rewrite(small, station=STATION, tables={"alarm", "contact"})
        assert done.tables == {}
        assert done.left.keys() == {"alarm", "contact", "pg_catalog.pg_statistic", LOG}
        assert all(done.left.values())
    finally:
        with psycopg.connect(dsn(database_url), autocommit=True) as server:
            server.execute("DROP ROLE small")


def test_a_file_is_scrubbed_by_the_station_itself(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="by itself"):
        scrubbing.scrub(f"sqlite:///{tmp_path}/station.db", station=STATION, now_ms=NOW)


@pytest.mark.proves("N16")
class TestPeriods:
    def test_what_is_past_its_period_is_nowhere_any_more(
        self, station: Served, time: Time, settings: StationSettings
    ) -> None:
        plant(station, time)
        edit(station, "move_out")
        with station.station.database.write() as session:
            for row in session.connection().execute(select(table("account")).where(table("account").c.name == CANARY)):
                station.station.office.shut(session, row.id, by=None, reason="moved")
        assert len(where(station)) >= 10
        station.station.privacy.retain(time.ms)
        kept = where(station)
        assert {"alarm", "occupant", "contact", "audit_words", "account"} <= kept
        assert not {"dead_letter"} & kept  # its last_ms is long past
        time.ms += 1_100 * DAY
        assert station.station.privacy.retain(time.ms) > 10
        assert where(station) == set()
        assert in_files(settings) == []
        assert station.station.privacy.retain(time.ms) == 0

    def test_it_goes_in_the_order_of_its_periods(self, station: Served, time: Time) -> None:
        plant(station, time)
        time.ms += 31 * DAY
        station.station.privacy.retain(time.ms)
        left = where(station)
        assert not {"outgoing", "away", "joining", "dead_letter"} & left
        assert {"alarm", "alarm_step", "occupant", "contact", "place_detail", "inbox", "audit_words"} <= left
        time.ms += 340 * DAY
        station.station.privacy.retain(time.ms)
        assert "inbox" not in where(station)
        assert station.station.register.household(HOUSE) is not None
        assert "alarm" in where(station)

    def test_who_lives_there_is_known_as_long_as_he_does(self, station: Served, time: Time) -> None:
        plant(station, time)
        time.ms += 4_000 * DAY
        station.station.privacy.retain(time.ms)
        assert {"occupant", "contact", "responder_note", "place_detail", "account"} == where(station)

    def test_assessment_keeps_the_codes_of_a_step_without_its_words(self, station: Served, time: Time) -> None:
        plant(station, time)
        time.ms += 800 * DAY
        station.station.privacy.retain(time.ms)
        with station.station.database.read() as session:
            step = session.connection().execute(select(table("alarm_step"))).one()
        assert json.loads(step.detail) == {"outcome": "real", "erased": True}
        assert (step.officer, step.reason) == ("li", None)

    def test_what_was_taken_is_recorded_and_the_chain_verifies(self, station: Served, time: Time) -> None:
        plant(station, time)
        time.ms += 1_100 * DAY
        station.station.privacy.retain(time.ms)
        with station.station.database.read() as session:
            verdict = audit.verify(session)
            actions = set(session.connection().execute(select(table("audit").c.action)).scalars())
        assert verdict.bad is None
        assert verdict.erased > 0
        assert {"retention.blank", "retention.delete"} <= actions

    def test_it_goes_table_by_table_so_that_nothing_else_waits(self, station: Served, time: Time) -> None:
        plant(station, time)
        time.ms += 800 * DAY
        _, tables = rules.register()
        for _ in tables:
            station.station.privacy.retain_next(time.ms)
        assert "alarm" not in where(station)


def leader(station: Served) -> dict[str, str]:
    return machine(station.station, "leader", (Role.DUTY_LEADER, STATION))


@pytest.mark.proves("N16", "G7")
class TestErasing:
    def test_nothing_by_which_the_household_could_be_known_is_left(
        self, station: Served, time: Time, settings: StationSettings, capfd: pytest.CaptureFixture[str]
    ) -> None:
        occupant = plant(station, time)
        headers, body = leader(station), {"reason": "住户要求"}
        answer = station.client.post(f"/api/v1/places/{HOUSE}/erase", json=body, headers=headers)
        assert answer.status_code == 204, answer.text
        left = where(station)
        assert left <= {"dead_letter"}, left  # whose it is nobody knows; it goes after 30 days
        station.station.privacy.retain(time.ms)
        assert where(station) == set()
        assert in_files(settings) == []
        for path in (f"/api/v1/places/{HOUSE}/export", f"/api/v1/places/{HOUSE}/export.html"):
            shown = station.client.get(path, headers=headers, params={"occupant": occupant})
            assert shown.status_code == 200
            assert CANARY not in shown.text
        said = capfd.readouterr()
        assert CANARY not in said.out + said.err

    def test_its_alarm_stays_without_names_and_the_chain_verifies(self, station: Served, time: Time) -> None:
        plant(station, time)
        station.client.post(f"/api/v1/places/{HOUSE}/erase", json={"reason": "住户要求"}, headers=leader(station))
        with station.station.database.read() as session:
            kept = session.connection().execute(select(table("alarm"))).one()
            verdict = audit.verify(session)
        assert (kept.kind, kept.state, kept.outcome, kept.place) == ("panic", "resolved", "real", HOUSE)
        assert verdict.bad is None
        assert verdict.erased >= 2

    def test_its_account_is_nobodys(self, station: Served, time: Time) -> None:
        plant(station, time)
        station.client.post(f"/api/v1/places/{HOUSE}/erase", json={"reason": "住户要求"}, headers=leader(station))
        tried = station.client.post("/api/v1/session", json={"login": CANARY, "password": "long enough now"})
        assert tried.status_code == 401

    def test_an_open_alarm_comes_first(self, station: Served, time: Time) -> None:
        plant(station, time)
        with station.station.database.write() as session:
            put(
                session,
                "alarm",
                **asdict(alarm(2, state="acknowledged", resolved_ms=None, resolved_by=None, outcome=None)),
            )
        answer = station.client.post(
            f"/api/v1/places/{HOUSE}/erase", json={"reason": "住户要求"}, headers=leader(station)
        )
        assert (answer.status_code, answer.json()["type"]) == (409, "still_needed")
        assert "contact" in where(station)

    def test_the_neighbours_keep_what_is_theirs(self, station: Served, time: Time) -> None:
        plant(station, time)
        station.client.post(f"/api/v1/places/{HOUSE}/erase", json={"reason": "住户要求"}, headers=leader(station))
        neighbour = station.station.register.place(HOUSEHOLDS[1])
        assert neighbour is not None
        assert neighbour.label == "第1户"
        assert neighbour.occupant is not None

    def test_nobody_erases_elsewhere(self, station: Served) -> None:
        elsewhere = machine(station.station, "elsewhere", (Role.DUTY_LEADER, "gr-elsewhere"))
        answer = station.client.post(f"/api/v1/places/{HOUSE}/erase", json={"reason": "x y"}, headers=elsewhere)
        assert answer.status_code == 404
        worker = machine(station.station, "worker2", (Role.GRID_WORKER, GRID))
        answer = station.client.post(f"/api/v1/places/{HOUSE}/erase", json={"reason": "x y"}, headers=worker)
        assert answer.status_code == 403


@pytest.mark.proves("G7")
class TestExport:
    def test_a_household_reads_everything_that_is_known_of_it(self, station: Served, time: Time) -> None:
        plant(station, time)
        own = machine(station.station, "own", (Role.HOUSEHOLD, HOUSE))
        document = station.client.get(f"/api/v1/places/{HOUSE}/export", headers=own).json()
        for name in ("household", "addresses", "contacts", "notes", "accounts", "alarms"):
            assert CANARY in json.dumps(document[name], ensure_ascii=False), name
        assert len(document["consents"]) == 2
        page = station.client.get(f"/api/v1/places/{HOUSE}/export.html", headers=own)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert CANARY in page.text
        assert "http" not in page.text
        for written, code in (
            ("门号 · Door", "<dt>door"),
            ("自 · From", "from_ms"),
            ("住户 · Household</dd>", "household</dd>"),
        ):
            assert (written in page.text, code in page.text) == (True, False)
        consent = station.client.get(f"/api/v1/places/{HOUSE}/consent.html", headers=own).text
        assert "☑ 同意" in consent
        assert "撤回" in consent

    def test_its_sheets_head_with_the_address_and_say_states_and_actions_in_words(
        self, station: Served, time: Time
    ) -> None:
        plant(station, time)
        with station.station.database.write() as session:
            session.connection().execute(table("alarm").update().values(state="archived", outcome="false"))
        own = machine(station.station, "own", (Role.HOUSEHOLD, HOUSE))
        document = station.client.get(f"/api/v1/places/{HOUSE}/export", headers=own).json()
        assert CANARY in document["address"]
        for sheet in ("export", "consent"):
            text = station.client.get(f"/api/v1/places/{HOUSE}/{sheet}.html", headers=own).text
            (heading,) = re.findall(r'<p class="note">住址 Address (.*?)</p>', text)
            assert heading.startswith(document["address"])
        text = station.client.get(f"/api/v1/places/{HOUSE}/export.html", headers=own).text
        for words in (UPDATE_WORDS[UpdateState.CLOSED], UPDATE_WORDS[UpdateState.FALSE_ALARM]):
            assert f"<dd>{words.zh} · " in text
        assert "查看或打印全部信息" in text
        coded = {"state", "outcome", "action", "how", "began", "ended", "note", "language", "about", "way", "finding"}
        labels = "|".join(re.escape(sheets.LABELS[name]) for name in sorted(coded))
        assert re.findall(rf"<dt>(?:{labels})</dt><dd>[a-z_.]+</dd>", text) == []

    def test_everything_that_is_recorded_about_a_place_has_words(self) -> None:
        found = set()
        for path in Path(api.__file__).parent.rglob("*.py"):
            found |= set(re.findall(r'_record\(\s*"([a-z_.]+)", f"place:', path.read_text(encoding="utf-8")))
        assert len(found) > 10
        assert {action for action in found if ("action", action) not in sheets.VALUES} == set()

    def test_it_reads_nothing_of_its_neighbours(self, station: Served, time: Time) -> None:
        plant(station, time)
        other = machine(station.station, "other", (Role.HOUSEHOLD, HOUSEHOLDS[1]))
        assert station.client.get(f"/api/v1/places/{HOUSE}/export", headers=other).status_code == 404

    @pytest.mark.proves("N4")
    def test_a_duress_alarm_is_in_no_export_but_the_polices(self, station: Served, time: Time) -> None:
        plant(station, time)
        with station.station.database.write() as session:
            put(session, "alarm", **asdict(alarm(7, kind="duress", key="press:u1:1:7")))
            audit.record(
                session, at_ms=time.ms, by="li", action="register.people.read", about=f"place:{HOUSE}", reason="胁迫"
            )
        own = machine(station.station, "own", (Role.HOUSEHOLD, HOUSE))
        officer = machine(station.station, "officer", (Role.OFFICER, STATION))
        mine = station.client.get(f"/api/v1/places/{HOUSE}/export", headers=own)
        theirs = station.client.get(f"/api/v1/places/{HOUSE}/export", headers=officer)
        assert [one["kind"] for one in mine.json()["alarms"]] == ["panic"]
        assert sorted(one["kind"] for one in theirs.json()["alarms"]) == ["duress", "panic"]
        assert "people.read" not in mine.text
        assert "000000000007" not in mine.text

    @pytest.mark.proves("N4")
    def test_whoever_reads_over_a_households_shoulder_learns_of_no_silent_key(
        self, station: Served, time: Time
    ) -> None:
        plant(station, time)
        officer = machine(station.station, "officer", (Role.OFFICER, STATION))
        own = machine(station.station, "own", (Role.HOUSEHOLD, HOUSE))
        was = {
            path: station.client.get(f"/api/v1/places/{HOUSE}/{path}", headers=own).text
            for path in ("export.html", "consent.html")
        }
        version = station.client.get(f"/api/v1/register/places/{HOUSE}", headers=officer).headers["ETag"]
        agreed = {"purpose": "duress_key", "version": 1, "given": True, "how": "paper"}
        done = station.client.post(
            f"/api/v1/register/places/{HOUSE}/consents", json=agreed, headers=officer | {"If-Match": version}
        )
        assert done.status_code == 200, done.text
        mine = station.client.get(f"/api/v1/places/{HOUSE}/export", headers=own).json()
        assert {one["purpose"] for one in mine["consents"]}.isdisjoint({"duress_key"})
        assert len(mine["consents"]) == 2
        for path, text in was.items():  # nothing on paper differs from a home that never agreed
            now = station.client.get(f"/api/v1/places/{HOUSE}/{path}", headers=own).text
            assert ("胁迫" in now, now.count("☑")) == ("胁迫" in text, text.count("☑")), path
        theirs = station.client.get(f"/api/v1/places/{HOUSE}/export", headers=officer).json()
        assert "duress_key" in {one["purpose"] for one in theirs["consents"]}

    def test_that_it_was_asked_for_is_recorded(self, station: Served, time: Time) -> None:
        plant(station, time)
        officer = machine(station.station, "officer", (Role.OFFICER, STATION))
        station.client.get(f"/api/v1/places/{HOUSE}/export", headers=officer)
        with station.station.database.read() as session:
            actions = [*session.connection().execute(select(table("audit").c.action)).scalars()]
        assert actions[-1] == "privacy.export"
