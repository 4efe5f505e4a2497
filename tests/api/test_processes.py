"""One station in several processes on PostgreSQL: each does its part, and any of them may be killed."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from api.audit import verifying
from api.clock import wall_ms
from api.database import Database
from api.faults.jobs import JOB_MISSING, MISSING_S, JobWatch
from api.leases.rules import Job, Role
from api.leases.service import Tenure, this_process
from api.notify.models import NotifyChannel
from api.notify.rules import Notice
from api.notify.schemas import NewChannel
from api.program import EXIT_USAGE, build
from api.register.registrar import AreaFields, Registrar
from api.register.service import Register
from api.rights.rules import Authority, Principal, Reach
from api.rights.rules import Role as Right
from api.settings import NotifySettings, StationSettings
from api.station import OnlyShared, Station
from broker.messages import Action, Outcome
from deploy.cli import app
from tests.api.conftest import TOKENS, Launch, as_json, only_sqlite
from tests.api.databases import rows
from tests.api.peers import DEADLINE_S, GRID, STATION, Gateway, eventually
from tests.api.people import add_account, add_grant
from tests.api.streams import Screen, live
from tests.api.test_escalation import Hill
from tests.api.test_notify import LOOPBACK, Receiver

STORM = 300
NOTES = 10


class Web:
    """What one process answers people."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str) -> Any:
        return self._ask("GET", path, "li", 200)

    def post(self, path: str, *, officer: str = "li", body: object = None, status: int = 200) -> Any:
        return self._ask("POST", path, officer, status, body)

    def job(self, name: str) -> Any:
        """Where a job is done, by health."""
        return next(job for job in self.get("/healthz")["jobs"] if job["job"] == name)

    def _ask(self, method: str, path: str, officer: str, status: int, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {TOKENS[officer]}"}
        url = f"http://127.0.0.1:{self.port}{path}"
        answer = httpx2.request(method, url, headers=headers, json=body, timeout=DEADLINE_S)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


class TestPostgreSQL:
    @pytest.fixture
    def database_kind(self) -> str:
        return "postgresql"

    @pytest.mark.proves("A5", "A7", "N2", "N3", "N11", "N15")
    def test_a_press_is_shown_by_two_webs_taken_at_one_and_goes_on_when_ingest_is_killed(
        self, launch: Launch, gateway: Gateway, settings: StationSettings
    ) -> None:
        ingest = launch("api.program", "ingest")
        ingest.ready()
        web = launch("api.program", "web")
        gateway.say_status()
        with live(settings, role=Role.WEB) as here:  # the other web is this process
            one, other = Web(web.port()), Web(here.port)
            second = launch("api.program", "ingest")  # stands by
            with Screen(one.port, TOKENS["li"]) as li, Screen(other.port, TOKENS["zhao"]) as zhao:
                press = gateway.event()
                gateway.send([press])
                for screen in (li, zhao):
                    screen.hear("alarm", lambda event: event.data["about"] == f"alarm:{press.id}")
                path = f"/api/v1/alarms/{press.id}"
                assert one.post(f"{path}/acknowledge")["state"] == "acknowledged"
                refused = other.post(f"{path}/acknowledge", officer="zhao", status=409)
                assert "李警官" in str(refused)
                command = gateway.commanded(lambda command: command.action is Action.LADDER)
                zhao.hear("alarm", lambda event: event.data["alarm"]["state"] == "acknowledged")
            self._write_at_once(path, one, other)
            verdict = verifying.verify(settings.database, station=STATION)
            assert (verdict.bad, verdict.rows >= 2 * NOTES) == (None, True)
            assert (one.job("ingest")["pid"], one.job("notifier")["pid"]) == (ingest.pid, None)
            assert one.get("/healthz")["status"] == "attention"  # nobody climbs

            second.until("station.stands_by")
            events = gateway.presses(30)
            gateway.send(events[:15])
            ingest.kill()
            gateway.send(events[15:])
            second.until("station.took_over")
            assert set(gateway.receipted(events).values()) <= {Outcome.STORED, Outcome.DUPLICATE}
            assert rows(settings.database, "SELECT count(*) FROM inbox") == [(31,)]
            assert other.job("ingest")["pid"] == second.pid
            other.post(f"{path}/stand-back", body={})
            later = gateway.commanded(lambda told: told.action is Action.STAND_BACK)
            assert (later.session, later.counter > command.counter) == (command.session, True)

    @staticmethod
    def _write_at_once(path: str, *webs: Web) -> None:
        def write(web: Web, officer: str) -> None:
            for number in range(NOTES):
                web.post(f"{path}/notes", officer=officer, body={"words": f"{officer} {number}"})

        threads = [threading.Thread(target=write, args=both) for both in zip(webs, TOKENS, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @pytest.mark.proves("A8", "N11")
    def test_a_notifier_that_is_killed_in_a_storm_leaves_each_level_told_once(
        self, launch: Launch, database: Database, settings: StationSettings
    ) -> None:
        hill = Hill(database, settings)
        hill.now = wall_ms() - 60_000
        with database.write() as session:
            session.add(
                NotifyChannel(
                    id="c1", station=STATION, sort="webhook", label="x", host="x", sealed="", police=True, zone="UTC",
                    made_by="x", made_ms=1,
                )
            )  # fmt: skip
        for number in range(STORM):
            hill.open(number)
        hill.passes(0)
        first = launch("api.program", "notifier")

        def told() -> int:
            found = rows(settings.database, "SELECT count(*) FROM deadline WHERE level = 1 AND outcome = 'told'")
            return int(found[0][0])

        eventually(lambda: told() > 0, "begun")
        with database.write():  # it cannot go on now
            second = launch("api.program", "notifier")
            first.kill()
        assert 0 < told() < STORM
        second.until("station.took_over")
        eventually(lambda: told() == STORM, "each level told")
        delivered = "SELECT count(*), count(DISTINCT notice) FROM delivery"
        assert rows(settings.database, delivered) == [(STORM, STORM)]

    @pytest.mark.proves("N8")
    def test_a_job_that_nobody_does_is_a_fault_until_somebody_does_it(
        self, database: Database, settings: StationSettings
    ) -> None:
        register, seconds = Register(settings), [0.0]
        register.begin(database)
        above, sent = list[bool](), list[float]()
        watch = JobWatch(
            database,
            register,
            above=lambda _session, _now_ms, *, over: above.append(over),
            send=lambda: sent.append(seconds[0]),
            clock=wall_ms,
            monotonic_s=lambda: seconds[0],
        )

        def present() -> list[tuple[Any, ...]]:
            watch.look()
            return rows(settings.database, "SELECT about FROM fault WHERE code = ? AND cleared_ms IS NULL", JOB_MISSING)

        self._takes(database, Job.NOTIFIER)
        assert present() == []
        seconds[0] = MISSING_S
        assert present() == [("ingest",)]
        assert present() == [("ingest",)]
        assert above == [False]
        database.fence = None
        self._takes(database, Job.INGEST)
        assert present() == []
        assert present() == []
        assert (above, sent) == ([False, True], [])

    @pytest.mark.proves("A8", "A10")
    def test_administrators_hear_of_a_missing_notifier_by_the_process_that_missed_it(
        self, settings: StationSettings, receiver: Receiver
    ) -> None:
        seconds = [0.0]
        settings = settings.model_copy(update={"notify": NotifySettings(loopback=True)})
        station = Station(settings, role=Role.WEB)
        try:
            self._administrator(station, receiver)
            watch = JobWatch(
                station.database,
                station.register,
                above=station.escalation.job_missing,
                send=station.notifier.look,
                clock=wall_ms,
                monotonic_s=lambda: seconds[0],
            )
            watch.look()
            seconds[0] = MISSING_S
            watch.look()
            eventually(lambda: len(receiver.got) == len(Job), "a message for each job that nobody does")
            assert {(got.data["fault"], got.data["over"]) for got in receiver.got} == {(JOB_MISSING, False)}
            with closing(Database.open(settings.database, station=STATION)) as other:
                for job in Job:
                    other.fence = None
                    self._takes(other, job)
            watch.look()
            owed = rows(settings.database, "SELECT notice FROM delivery WHERE state = 'waiting'")
            assert [Notice.read(notice).over for (notice,) in owed] == [True, True]
        finally:
            station.stop()

    @staticmethod
    def _administrator(station: Station, receiver: Receiver) -> None:
        by = Authority(
            principal=Principal(account="admin", name="admin", grants=(), via="token"),
            action="notify.own",
            reach=Reach(account="admin", held=()),
        )
        new = NewChannel.model_validate({"sort": "webhook", "url": receiver.url(), "label": "own"})
        with station.database.write() as session:
            add_account(session, "admin")
            add_grant(session, "admin", Right.ADMINISTRATOR, "")
            station.channels.allow(session, by, LOOPBACK)
            station.channels.add(session, by, new, account="admin", police=False)

    @staticmethod
    def _takes(database: Database, job: Job) -> None:
        holder = this_process()
        Tenure(database, [job], station=STATION, holder=holder, clock=wall_ms, superseded=lambda: None).claim()

    def test_no_process_judges_by_an_older_register_than_the_rows_it_reads(
        self, database: Database, settings: StationSettings
    ) -> None:
        with closing(Database.open(settings.database, station=STATION)) as other:
            mine, others = Register(settings), Register(settings)
            mine.begin(database)
            others.begin(other)
            registrar = Registrar(mine, database, clock=wall_ms, random_bytes=bytes)
            with registrar.edit(None) as edit:
                edit.change_area(GRID, AreaFields(name="西头", parent=mine.ancestors(GRID)[0]), if_match='"1"')
            with other.read():
                assert others.now.areas[GRID].name == "西头"


@only_sqlite
def test_a_file_is_one_processs(settings: StationSettings, tmp_path: Path) -> None:
    with pytest.raises(OnlyShared):
        build(settings, role=Role.INGEST)
    path = tmp_path / "settings.json"
    path.write_text(as_json(settings))
    done = CliRunner().invoke(app, ["station", "--settings", str(path), "--role", "web", "--port", "0"])
    assert done.exit_code == EXIT_USAGE
    assert done.stderr.startswith("error: a SQLite file is one process's: 'web' by itself needs PostgreSQL (--database")
