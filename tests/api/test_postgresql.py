"""What is PostgreSQL's alone: many processes, a server that goes away, stations side by side."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from queue import SimpleQueue
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from api.alarms.repository import acknowledge, add_alarms
from api.database import Bulk, Database, DatabaseError, DatabaseUnsafe
from api.database.postgresql import PostgreSQL
from broker.messages import Outcome
from deploy.postgresql import PrivateCluster
from tests.api.conftest import Serve
from tests.api.databases import Databases, cluster_for_tests, dsn, rows
from tests.api.peers import STATION, Gateway, eventually
from tests.api.test_database import alarm, count


@pytest.fixture
def database_kind() -> str:
    return "postgresql"


def together(*works: Callable[[], Any]) -> list[Any]:
    """What each of these returns or raises when all are done at once."""
    results: SimpleQueue[Any] = SimpleQueue()
    begin = threading.Barrier(len(works))

    def one(work: Callable[[], Any]) -> None:
        begin.wait()
        try:
            results.put(work())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results.put(error)

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results.get_nowait() for _ in works]


@pytest.fixture
def other(database_url: str) -> Iterator[Database]:
    """The same station's tables in what could be another process."""
    with closing(Database.open(database_url, station=STATION)) as opened:
        yield opened


def show(session: Session, name: str) -> Any:
    return session.connection().exec_driver_sql(f"SHOW {name}").scalar_one()


class TestSafety:
    @pytest.mark.proves("N1", "N2")
    def test_every_commit_is_synced_and_everybody_has_limits(self, database: Database) -> None:
        with database.write() as session:
            names = ("synchronous_commit", "fsync", "lock_timeout", "statement_timeout", "transaction_isolation")
            assert [show(session, name) for name in names] == ["on", "on", "5s", "30s", "read committed"]
        with database.read() as session:
            assert show(session, "transaction_isolation") == "repeatable read"

    @pytest.mark.proves("N1", "N2")
    def test_a_server_that_may_lose_commits_is_refused(self, databases: Databases) -> None:
        folder = databases.cluster.directory.parent / "unsafe"
        with PrivateCluster(folder, fsync=False) as cluster, pytest.raises(DatabaseUnsafe, match="fsync is 'off'"):
            Database.open(cluster.socket_url(), station=STATION)

    def test_the_password_is_asked_for_over_the_network_and_a_wrong_one_is_refused(self, databases: Databases) -> None:
        url = databases.cluster.url()
        psycopg.connect(dsn(url)).close()
        with pytest.raises(OperationalError, match="password authentication failed"):
            Database.open(url.replace("@", "x@"), station=STATION)

    def test_a_station_has_to_be_named(self, database_url: str) -> None:
        with pytest.raises(DatabaseError, match="say which"):
            Database.open(database_url)


class TestProcesses:
    def test_processes_that_start_at_once_migrate_once(self, empty_url: str) -> None:
        opened = together(*(lambda: Database.open(empty_url, station=STATION) for _ in range(3)))
        assert {type(one) for one in opened} == {PostgreSQL}
        for one in opened:
            one.close()

    def test_writers_of_one_station_come_one_after_another(self, database: Database, other: Database) -> None:
        """So that what was read is still true when it is written, and higher numbers are committed later."""
        order: list[str] = []

        def second() -> None:
            with other.write() as session:
                order.append(f"second sees {count(session)}")

        with database.write() as session:
            add_alarms(session, [alarm(1)])
            thread = threading.Thread(target=second)
            thread.start()
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            eventually(lambda: show_one(session, waiting) == 1, "the second waits")
            order.append("first")
        thread.join()
        assert order == ["first", "second sees 1"]

    @pytest.mark.proves("N11")
    def test_of_twenty_officers_at_two_processes_one_acknowledges(self, database: Database, other: Database) -> None:
        with database.write() as session:
            add_alarms(session, [alarm(1)])

        def by(which: Database, officer: str) -> bool:
            with which.write() as session:
                return acknowledge(session, f"{1:036}", officer=officer, at_ms=5)

        wins = together(*(
            (lambda which=which, number=number: by(which, f"o{number}"))
            for number in range(10) for which in (database, other)
        ))  # fmt: skip
        assert sorted(wins) == [False] * 19 + [True]

    def test_stations_in_one_database_see_nothing_of_each_other(self, database: Database, database_url: str) -> None:
        with closing(Database.open(database_url, station="south")) as south:
            with database.write() as session, south.write() as across:  # neither waits for the other
                add_alarms(session, [alarm(1)])
                add_alarms(across, [alarm(1), alarm(2)])
            with database.read() as session, south.read() as across:
                assert (count(session), count(across)) == (1, 2)

    def test_many_rows_are_numbered_in_their_order_and_keep_their_values(self, database: Database) -> None:
        many = [alarm(number, label="东头'\\{\"" if number % 2 else None) for number in range(2_000)]
        with database.write() as session:
            add_alarms(session, many)
        found = rows(str(database_url_of(database)), "SELECT id, label, verified FROM alarm ORDER BY number")
        assert found == [(one.id, one.label, True) for one in many]

    def test_octets_are_kept_as_they_are(self, database: Database) -> None:
        letters = Bulk(
            "dead_letter",
            ["digest", "topic", "payload", "reason", "detail", "tries", "times", "seq", "first_ms", "last_ms"],
        )
        with database.write() as session:
            letters.insert(session, [("0" * 64, "t", bytes(range(256)), "r", "d", 1, 1, None, 1 << 40, 2)])
        found = rows(str(database_url_of(database)), "SELECT payload, seq, first_ms FROM dead_letter")
        assert found == [(bytes(range(256)), None, 1 << 40)]


def show_one(session: Session, sql: str) -> Any:
    return session.connection().exec_driver_sql(sql).scalar_one()


def database_url_of(database: Database) -> str:
    assert isinstance(database, PostgreSQL)
    return database.url


class TestServerAway:
    @pytest.fixture
    def cluster(self) -> Iterator[PrivateCluster]:
        with cluster_for_tests() as running:
            yield running

    @pytest.fixture
    def database_url(self, cluster: PrivateCluster, database_kind: str) -> str:
        assert database_kind == "postgresql"
        return cluster.socket_url()

    @pytest.mark.proves("N2", "N8", "F56")
    def test_a_server_that_crashes_loses_nothing_and_is_used_again_when_it_is_back(
        self, serve: Serve, gateway: Gateway, cluster: PrivateCluster
    ) -> None:
        with serve() as served:
            first = gateway.event()
            gateway.send([first])
            gateway.receipted([first])
            cluster.kill()
            assert served.health()["status"] == "failing"
            problem = served.get("/api/v1/alarms", status=503)
            assert (problem["type"], problem["title"]) == ("database", "The database cannot be used")
            events = gateway.presses(30)
            gateway.send(events)
            eventually(lambda: served.station.ingest.trouble == "database", "in trouble")
            cluster.start()
            assert set(gateway.receipted(events).values()) == {Outcome.STORED}
            assert served.rows("SELECT count(*) FROM inbox") == [(31,)]
            assert served.rows("SELECT count(*) FROM dead_letter") == [(0,)]
            eventually(lambda: served.health()["database"]["writable"], "well")

    @pytest.mark.proves("F56")
    def test_connections_that_an_administrator_ends_are_made_anew_unnoticed(
        self, database: Database, database_url: str
    ) -> None:
        with database.read() as reading, database.write() as writing:
            assert (count(reading), count(writing)) == (0, 0)
        with psycopg.connect(dsn(database_url), autocommit=True) as administrator:
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shouwang'"
            )
        with database.write() as writing:
            add_alarms(writing, [alarm(1)])
        with database.read() as reading:
            assert count(reading) == 1

    def test_a_transaction_whose_connection_is_lost_leaves_nothing(self, database: Database, database_url: str) -> None:
        with pytest.raises(OperationalError), database.write() as session:  # noqa: PT012 - it comes out of the block
            add_alarms(session, [alarm(1)])
            with psycopg.connect(dsn(database_url), autocommit=True) as administrator:
                pid = show_one(session, "SELECT pg_backend_pid()")
                administrator.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        with database.read() as reading:
            assert count(reading) == 0
