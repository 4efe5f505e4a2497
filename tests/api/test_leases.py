"""A job of a station is one process's; another takes it over when that one is gone, and the old one writes no more."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from threading import Event

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.alarms.repository import add_alarms
from api.database import Database
from api.leases import repository
from api.leases.rules import HELD_MS, Held, Job, Role, claim
from api.leases.service import LeaseLost, StationInUse, Tenure, is_gone, this_process
from api.program import EXIT_IN_USE
from broker.messages import Outcome, StationStatus
from tests.api.conftest import Launch
from tests.api.databases import rows
from tests.api.peers import DEADLINE_S, STATION, Gateway
from tests.api.test_database import alarm, count


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000_000

    def __call__(self) -> int:
        return self.now


class TestRules:
    def test_who_comes_first_has_it_and_who_has_it_keeps_it(self) -> None:
        first = claim(None, by="a", now_ms=5, gone=False)
        assert first == Held("a", 1, 5 + HELD_MS)
        assert claim(first, by="a", now_ms=9, gone=False) == Held("a", 1, 9 + HELD_MS)
        assert claim(first, by="b", now_ms=4 + HELD_MS, gone=False) is None

    @pytest.mark.parametrize(("now_ms", "gone"), [(5 + HELD_MS, False), (6, True)])
    def test_another_takes_it_when_it_ran_out_or_its_holder_is_dead(self, now_ms: int, *, gone: bool) -> None:
        assert claim(Held("a", 1, 5 + HELD_MS), by="b", now_ms=now_ms, gone=gone) == Held("b", 2, now_ms + HELD_MS)

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2 * HELD_MS))))
    def test_a_term_has_one_holder_and_nobody_takes_what_is_held(self, asking: list[tuple[str, int]]) -> None:
        held: Held | None = None
        holders: dict[int, str] = {}
        now = 0
        for who, later in asking:
            now += later
            after = claim(held, by=who, now_ms=now, gone=False)
            if after is None:
                assert held is not None
                assert held.holder != who
                assert now < held.until_ms
                continue
            assert holders.setdefault(after.term, who) == who
            held = after


class TestTenure:
    @pytest.fixture
    def database_kind(self) -> str:
        return "postgresql"

    @pytest.fixture
    def other(self, database_url: str) -> Iterator[Database]:
        with closing(Database.open(database_url, station=STATION)) as opened:
            yield opened

    @staticmethod
    def tenure(database: Database, holder: str, clock: Clock) -> Tenure:
        jobs = Role.ALL.jobs
        return Tenure(database, jobs, station=STATION, holder=holder, clock=clock, superseded=lambda: None)

    def test_a_second_holder_is_refused_until_the_first_gives_it_back(
        self, database: Database, other: Database
    ) -> None:
        clock = Clock()
        first, second = self.tenure(database, "a", clock), self.tenure(other, "b", clock)
        first.claim()
        with pytest.raises(StationInUse, match="station north is run by another process"):
            second.claim()
        first.stop()
        second.claim()

    def test_whoever_lost_it_commits_nothing_any_more(self, database: Database, other: Database) -> None:
        """Stopped for longer than the lease, in the middle of its work: a machine that slept, say."""
        clock = Clock()
        slept, awake = self.tenure(database, "a", clock), self.tenure(other, "b", clock)
        slept.claim()
        clock.now += HELD_MS
        awake.claim()
        with pytest.raises(LeaseLost), database.write() as session:
            add_alarms(session, [alarm(1)])
        with pytest.raises(LeaseLost):
            slept.renew()
        with other.write() as session:
            assert count(session) == 0
            add_alarms(session, [alarm(1)])
        with database.read() as session:
            assert count(session) == 1

    def test_whoever_stands_by_begins_when_it_is_given_back(self, database: Database, other: Database) -> None:
        clock, begun, jobs = Clock(), Event(), [Job.NOTIFIER]
        first = self.tenure(database, "a", clock)
        first.claim()
        second = Tenure(
            other, jobs, station=STATION, holder="b", clock=clock, superseded=lambda: None, gained=begun.set
        )
        second.start()
        assert other.fence is None
        first.stop()
        assert begun.wait(DEADLINE_S)
        with other.read() as session:
            assert repository.leases(session, STATION)[Job.NOTIFIER].holder == "b"
        second.stop()

    def test_what_is_renewed_does_not_run_out(self, database: Database, other: Database) -> None:
        clock = Clock()
        first, second = self.tenure(database, "a", clock), self.tenure(other, "b", clock)
        first.claim()
        for _ in range(5):
            clock.now += HELD_MS - 1
            first.renew()
            with pytest.raises(StationInUse):
                second.claim()


class TestProcesses:
    @pytest.fixture
    def database_kind(self) -> str:
        return "postgresql"

    @pytest.mark.proves("N2", "N3")
    def test_a_second_process_is_refused_and_takes_over_at_once_from_one_that_was_killed(
        self, launch: Launch, gateway: Gateway
    ) -> None:
        first = launch()
        first.ready()
        refused = launch()
        assert refused.ended() == EXIT_IN_USE
        assert refused.said.splitlines()[-1].startswith(f"error: station {STATION} is run by another process")
        first.kill()
        second = launch()
        port = second.ready()
        events = gateway.presses(30)
        gateway.send(events)
        assert set(gateway.receipted(events).values()) == {Outcome.STORED}
        assert httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        assert rows(second.database, "SELECT job, term FROM lease ORDER BY job") == [("ingest", 2), ("notifier", 2)]

    def test_a_process_that_was_taken_over_from_ends_in_order_and_does_not_say_that_nobody_is_there(
        self, launch: Launch, gateway: Gateway
    ) -> None:
        station = launch()
        station.ready()
        with closing(Database.open(station.database, station=STATION)) as database, database.write() as session:
            session.connection().exec_driver_sql("UPDATE lease SET holder = 'elsewhere', term = term + 1")
        station.until("station.superseded")
        assert station.ended() == 0
        gateway.publish(gateway.topic, b"afterwards")  # whatever it said before it ended has come before the answer
        assert [status.online for status in gateway.bodies(StationStatus)] == [True]


class TestNames:
    def test_a_process_that_lives_is_not_gone_and_one_that_ended_is(self) -> None:
        assert not is_gone(this_process())
        ended = subprocess.run(
            [sys.executable, "-c", "from api.leases.service import this_process; print(this_process())"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        assert is_gone(ended)

    def test_a_process_id_that_was_given_again_is_another_process(self) -> None:
        host, machine, pid, _ = this_process().rsplit("/", 3)
        assert (host, pid) == (socket.gethostname(), str(os.getpid()))
        assert is_gone(f"{host}/{machine}/{pid}/1")

    @pytest.mark.parametrize("holder", ["elsewhere", "host/another-boot/1/1", ""])
    def test_of_another_machine_nothing_is_known(self, holder: str) -> None:
        assert not is_gone(holder)
