"""One writer, commits that survive, tables that check themselves; on both databases."""

import re
import threading
from contextlib import ExitStack, closing, suppress
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Inspector, create_engine, inspect
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session, SQLModel

from api.alarms.models import AlarmRecord, PartRecord, StepRecord
from api.alarms.repository import add_alarms
from api.database import Bulk, BulkUpdate, Database, DatabaseInUse, DatabaseNewer, Turns
from api.database.migrating import migrations
from api.database.sqlite import SQLite
from api.feed import repository as feed
from api.ingest.models import StationRow
from api.outgoing.models import Outgoing
from deploy import restoring
from deploy.restoring import Target
from tests.api.conftest import only_sqlite
from tests.api.databases import Databases, rows
from tests.api.peers import STATION, eventually


def count(session: Session) -> Any:
    return session.connection().exec_driver_sql("SELECT count(*) FROM alarm").scalar_one()


def pragma(session: Session, name: str) -> Any:
    return session.connection().exec_driver_sql(f"PRAGMA {name}").scalar_one()


def alarm(number: int, **changed: Any) -> AlarmRecord:
    values: dict[str, Any] = {
        "id": f"{number:036}",
        "key": f"press:u1:1:{number}",
        "kind": "panic",
        "state": "received",
        "verified": True,
        "late": False,
        "gateway": "g1",
        "at_ms": 1,
        "clock": "synced",
        "age_ms": 1,
        "happened_ms": 1,
        "received_ms": 2,
    }
    return AlarmRecord(**(values | changed))


def indexes(connection: Connection) -> set[str]:
    """Of a SQLite file, as they were made."""
    rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    return {" ".join(sql.split()).replace('"', "") for sql in rows.scalars()}


def checks(inspector: Inspector, table: str) -> list[tuple[str | None, str]]:
    return sorted((check["name"], check["sqltext"]) for check in inspector.get_check_constraints(table))


def test_many_rows_are_written_and_written_anew_each_by_its_key(database: Database) -> None:
    epochs = Bulk("gateway_epoch", ["gateway", "epoch", "highest", "checked", "opened_ms"])
    heads = BulkUpdate("gateway_epoch", ["highest", "checked"], by=["gateway", "epoch"])
    seen = "SELECT highest, checked, opened_ms FROM gateway_epoch ORDER BY number"
    with database.write() as session:
        epochs.insert(session, [("g1", f"{number:016}", number, 1, number) for number in range(150)])
        heads.update(session, [(1 << 40, number, "g1", f"{number:016}") for number in range(2, 150, 2)])
        heads.update(session, [])
    with database.read() as session:
        found = [tuple(row) for row in session.connection().exec_driver_sql(seen)]
    assert found[1::2] == [(number, 1, number) for number in range(1, 150, 2)]
    assert found[2::2] == [(1 << 40, number, number) for number in range(2, 150, 2)]


class TestSafety:
    @only_sqlite
    @pytest.mark.proves("N1", "N2")
    def test_every_writing_connection_syncs_each_commit(self, database: Database) -> None:
        with database.write() as session:
            assert (pragma(session, "journal_mode"), pragma(session, "synchronous")) == ("wal", 2)
            assert (pragma(session, "foreign_keys"), pragma(session, "busy_timeout")) == (1, 5_000)

    def test_a_reader_cannot_write(self, database: Database) -> None:
        with database.read() as session, pytest.raises(DBAPIError, match=r"read-?only"):
            session.connection().exec_driver_sql("DELETE FROM alarm")

    @only_sqlite
    def test_a_second_process_is_refused_with_what_to_do(self, database: SQLite) -> None:
        with pytest.raises(DatabaseInUse, match=r"in use by process \d+: a second process needs PostgreSQL"):
            Database.open(f"sqlite:///{database.path}")

    def test_the_next_process_may_have_it(self, database_url: str) -> None:
        for _ in range(2):
            Database.open(database_url, station=STATION).close()

    def test_a_block_that_raises_leaves_nothing(self, database: Database) -> None:
        def begin_and_break() -> None:
            with database.write() as session:
                add_alarms(session, [alarm(1)])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            begin_and_break()
        with database.read() as session:
            assert count(session) == 0

    def test_readers_see_nothing_before_the_commit_and_everything_after(self, database: Database) -> None:
        def there() -> Any:
            with database.read() as session:
                return count(session)

        with database.write() as session:
            add_alarms(session, [alarm(1), alarm(2)])
            assert there() == 0
        assert there() == 2

    def test_errors_do_not_carry_the_values(self, database: Database) -> None:
        with pytest.raises(IntegrityError) as caught, database.write() as session:
            add_alarms(session, [alarm(1, label="老王家", kind="nonsense")])
        assert "老王家" not in str(caught.value)


class TestChecks:
    @pytest.mark.parametrize(
        "changed",
        [
            {"kind": "nonsense"},
            {"state": "nonsense"},
            {"mark": "nonsense"},
            {"clock": "nonsense"},
            {"age_ms": -1},
            {"presses": 0},
            {"id": "short"},
            {"state": "acknowledged"},
            {"acknowledged_ms": 1, "acknowledged_by": "li"},
            {"kind": "duress", "cancelled_ms": 1},
        ],
    )
    def test_an_alarm_that_cannot_be_is_refused_by_the_table(self, database: Database, changed: dict[str, Any]) -> None:
        with pytest.raises(IntegrityError), database.write() as session:
            add_alarms(session, [alarm(1, **changed)])

    @pytest.mark.parametrize(
        "sql",
        [
            "INSERT INTO station VALUES (2, 1, 1)",
            "INSERT INTO outgoing (id, topic, body, happened_ms, state, tries) VALUES ('a', 't', 'b', 1, 'sent', 0)",
            "INSERT INTO gap (gateway, epoch, first, last, reason, found_ms) VALUES ('g', 'e', 5, 4, '', 1)",
            "INSERT INTO alarm_event VALUES ('nobody', NULL, 'k', 'press', 'g1', 1)",
        ],
    )
    def test_rows_that_cannot_be_are_refused(self, database: Database, sql: str) -> None:
        with pytest.raises(IntegrityError), database.write() as session:
            session.connection().exec_driver_sql(sql)

    @pytest.mark.parametrize(
        ("record", "table", "left_out"),
        [
            (AlarmRecord, "alarm", set()),
            (PartRecord, "alarm_event", set()),
            (StepRecord, "alarm_step", {"number"}),
        ],
    )
    def test_a_record_has_the_columns_of_its_table(self, record: Any, table: str, left_out: set[str]) -> None:
        assert {field.name for field in fields(record)} | left_out == {*SQLModel.metadata.tables[table].c.keys()}


class TestMigrations:
    @pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
    @pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
    def test_from_empty_they_make_exactly_what_the_models_say(
        self, database: Database, database_kind: str, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        """Columns, types, indexes and unique constraints by Alembic's own comparison; CHECKs by their text.

        On SQLite indexes by their text, too: Alembic does not see those that begin with an expression.
        """
        with ExitStack() as opened, database.write() as session:
            context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
            assert compare_metadata(context, SQLModel.metadata) == []
            url = f"sqlite:///{tmp_path}/models.db"
            if database_kind == "postgresql":
                databases: Databases = request.getfixturevalue("databases")
                url = opened.enter_context(databases.fresh(migrated=False))
            made = create_engine(url)
            SQLModel.metadata.create_all(made)
            migrated, modelled = inspect(session.connection()), inspect(made)
            for table in SQLModel.metadata.tables:
                assert checks(migrated, table) == checks(modelled, table), table
            if database_kind == "sqlite":
                with made.connect() as other:
                    assert indexes(session.connection()) == indexes(other)
            made.dispose()

    def test_what_is_there_survives_being_opened_again(self, database_url: str) -> None:
        with closing(Database.open(database_url, station=STATION)) as database, database.write() as session:
            add_alarms(session, [alarm(7)])
        with closing(Database.open(database_url, station=STATION)) as database, database.read() as session:
            assert session.connection().exec_driver_sql("SELECT key FROM alarm").scalar_one() == "press:u1:1:7"

    @pytest.mark.proves("F57")
    def test_a_migration_that_fails_leaves_no_half_of_it(self, empty_url: str) -> None:
        """A table that is in the way of the last step: the first steps are gone with it, the record too."""
        before = create_engine(empty_url)
        with before.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f'CREATE SCHEMA "station-{STATION}"')
                connection.exec_driver_sql(f'SET search_path = "station-{STATION}"')
            connection.exec_driver_sql("CREATE TABLE alarm_step (mine INTEGER)")
        before.dispose()
        with pytest.raises(DBAPIError, match="already exists"):
            Database.open(empty_url, station=STATION)
        schema = f"station-{STATION}" if empty_url.startswith("postgresql") else None
        after = create_engine(empty_url)
        assert inspect(after).get_table_names(schema=schema) == ["alarm_step"]
        after.dispose()

    def test_tables_of_a_later_version_are_left_alone(self, database_url: str) -> None:
        with closing(Database.open(database_url, station=STATION)) as database, database.write() as session:
            session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(DatabaseNewer, match="a later version of Shouwang"):
            Database.open(database_url, station=STATION)

    @only_sqlite
    @pytest.mark.proves("F57")
    def test_before_an_update_a_copy_is_kept_and_who_goes_back_is_told_which(
        self, empty_url: str, tmp_path: Path
    ) -> None:
        with closing(Database.kind(empty_url).at(empty_url, STATION)) as old:
            old.migrate("0043")
            with old.write() as session:
                add_alarms(session, [alarm(7)])
        Database.open(empty_url, station=STATION).close()
        (copy,) = tmp_path.glob("empty.db.before-*")
        assert (copy.name, copy.stat().st_mode & 0o777) == ("empty.db.before-v0043", 0o600)
        assert rows(f"sqlite:///{copy}", "SELECT key FROM alarm") == [("press:u1:1:7",)]
        assert rows(f"sqlite:///{copy}", "SELECT version_num FROM alembic_version") == [("0043",)]
        with closing(Database.open(empty_url, station=STATION)) as new, new.write() as session:
            session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(DatabaseNewer, match=re.escape(f"restore {copy} --replace")):
            Database.open(empty_url, station=STATION)
        now = datetime.now(UTC)
        settings = tmp_path / "settings.json"
        settings.write_text('{"station": "north"}')
        for source in tmp_path.glob("empty.db*"):
            source.rename(tmp_path / source.name.replace("empty", "station"))
        kept = tmp_path / copy.name.replace("empty", "station")
        done = restoring.restore(kept, Target(state=tmp_path, replace=True), passphrase=None, now=now)
        assert (done.chain_ok, len(done.aside)) == (True, 1)
        back = f"sqlite:///{tmp_path}/station.db"
        assert rows(back, "SELECT key FROM alarm") == [("press:u1:1:7",)]
        assert "9999" not in str(rows(back, "SELECT version_num FROM alembic_version"))
        assert settings.read_text() == '{"station": "north"}'
        with closing(Database.open(back, station=STATION)) as new:
            new.forget_copies(round(now.timestamp() * 1_000))
            assert [*tmp_path.glob("station.db.before-v*")] != []
            new.forget_copies(round(now.timestamp() * 1_000) + 31 * 86_400_000)
            assert [*tmp_path.glob("station.db.before-v*")] == []

    def test_the_scripts_are_found_without_a_file_of_configuration(self, database: Database) -> None:
        with database.write() as session:
            assert migrations(session.connection()).config_file_name is None


class TestTurns:
    def _order(self, asking: str) -> str:
        """Who was served, one letter each: people are capital letters, and each asks when the one before waits."""
        turns, served = Turns(), []

        def take(who: str) -> None:
            with turns.mine(patient=who.islower()):
                served.append(who)

        threads = [threading.Thread(target=take, args=(who,)) for who in asking]
        with turns.mine(patient=True):
            for number, thread in enumerate(threads, 1):
                thread.start()
                eventually(lambda: turns.people_waiting + turns.machines_waiting == number, "it waits")  # noqa: B023
        for thread in threads:
            thread.join()
        return "".join(served)

    @pytest.mark.proves("N11")
    def test_a_person_who_comes_later_goes_before_a_machine_that_waits(self) -> None:
        assert self._order("mP") == "Pm"

    @pytest.mark.proves("N7")
    def test_among_their_like_whoever_asked_first_goes_first(self) -> None:
        assert self._order("abXcY") == "XYabc"

    @pytest.mark.proves("N7")
    def test_people_without_end_do_not_keep_an_alarm_out(self) -> None:
        assert self._order("m" + "ABCDEFGHIJ" + "n") == "ABCDEFGHmIJn"

    def test_it_is_given_back_by_a_block_that_raises(self) -> None:
        turns = Turns()
        with pytest.raises(ZeroDivisionError), turns.mine(patient=False):
            raise ZeroDivisionError
        with turns.mine(patient=True):
            pass


def test_rows_written_by_the_classes_are_read_by_them(database: Database) -> None:
    with database.write() as session:
        session.add(StationRow(id=1, generation=1, alive_ms=1))
        session.add(Outgoing(id="a", topic="t", body="{}", happened_ms=1))
    with database.read() as session:
        station, owed = session.get(StationRow, 1), session.get(Outgoing, 1)
        assert station is not None
        assert owed is not None
        assert (station.generation, owed.state) == (1, "waiting")


def _news(*numbers: int) -> list[tuple[str, str, str, str, str, str, int]]:
    return [(f"{number:032}", "news", "x", "{}", "{}", "police", number) for number in numbers]


def test_what_is_put_off_is_written_in_order_before_the_commit_and_goes_where_its_transaction_goes(
    database: Database,
) -> None:
    with database.write() as session:
        feed.add(session, _news(*range(1, 38)))  # two whole statements and some rows
        assert feed.top(session) == 0
        with suppress(ZeroDivisionError), session.begin_nested():
            feed.add(session, _news(90))
            raise ZeroDivisionError
        feed.add(session, _news(38))
    with suppress(ZeroDivisionError), database.write() as session:
        feed.add(session, _news(91))
        raise ZeroDivisionError
    with database.read() as session:
        assert [entry.at_ms for entry in feed.after(session, 0, limit=100)] == [*range(1, 39)]
