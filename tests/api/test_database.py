"""One process, one writer, commits that survive, tables that check themselves."""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session, SQLModel

from api.alarms.models import AlarmRecord, PartRecord, StepRecord
from api.alarms.repository import add_alarms
from api.database import Database, DatabaseInUse, Turns, migrations
from api.ingest.models import StationRow
from api.outgoing.models import Outgoing
from tests.api.peers import eventually


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.open(f"sqlite:///{tmp_path}/station.db")) as opened:
        yield opened


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


class TestSafety:
    @pytest.mark.proves("N1", "N2")
    def test_every_writing_connection_syncs_each_commit(self, database: Database) -> None:
        with database.write() as session:
            assert (pragma(session, "journal_mode"), pragma(session, "synchronous")) == ("wal", 2)
            assert (pragma(session, "foreign_keys"), pragma(session, "busy_timeout")) == (1, 5_000)

    def test_a_reader_cannot_write(self, database: Database) -> None:
        with database.read() as session, pytest.raises(OperationalError, match="readonly"):
            session.connection().exec_driver_sql("DELETE FROM alarm")

    def test_a_second_process_is_refused_with_what_to_do(self, database: Database) -> None:
        with pytest.raises(DatabaseInUse, match=r"in use by process \d+: a second process needs PostgreSQL"):
            Database.open(f"sqlite:///{database.path}")

    def test_the_next_process_may_have_it(self, tmp_path: Path) -> None:
        for _ in range(2):
            Database.open(f"sqlite:///{tmp_path}/station.db").close()

    def test_a_block_that_raises_leaves_nothing(self, database: Database) -> None:
        def begin_and_break() -> None:
            with database.write() as session:
                add_alarms(session, [alarm(1)])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            begin_and_break()
        with database.read() as session:
            assert session.connection().exec_driver_sql("SELECT count(*) FROM alarm").scalar_one() == 0

    def test_readers_see_nothing_before_the_commit_and_everything_after(self, database: Database) -> None:
        def count() -> Any:
            with database.read() as session:
                return session.connection().exec_driver_sql("SELECT count(*) FROM alarm").scalar_one()

        with database.write() as session:
            add_alarms(session, [alarm(1), alarm(2)])
            assert count() == 0
        assert count() == 2

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
    def test_from_empty_they_make_exactly_what_the_models_say(self, database: Database, tmp_path: Path) -> None:
        """Columns, types, indexes and unique constraints by Alembic's own comparison; CHECKs by their text."""
        with database.write() as session:
            context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
            assert compare_metadata(context, SQLModel.metadata) == []
            migrated = inspect(session.connection())
            made = create_engine(f"sqlite:///{tmp_path}/models.db")
            SQLModel.metadata.create_all(made)
            modelled = inspect(made)
            for table in SQLModel.metadata.tables:
                assert migrated.get_check_constraints(table) == modelled.get_check_constraints(table)
            made.dispose()

    def test_they_go_down_and_up_again(self, database: Database) -> None:
        database.migrate("base")
        with database.read() as session:
            assert [*inspect(session.connection()).get_table_names()] == ["alembic_version"]
        database.migrate()
        with database.write() as session:
            add_alarms(session, [alarm(1)])

    def test_what_is_there_survives_being_opened_again(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/station.db"
        with closing(Database.open(url)) as database, database.write() as session:
            add_alarms(session, [alarm(7)])
        with closing(Database.open(url)) as database, database.read() as session:
            assert session.connection().exec_driver_sql("SELECT key FROM alarm").scalar_one() == "press:u1:1:7"

    def test_a_migration_that_fails_leaves_no_half_of_it(self, tmp_path: Path) -> None:
        """A table that is in the way of the last step: the first steps are gone with it, the record too."""
        path = tmp_path / "station.db"
        before = create_engine(f"sqlite:///{path}")
        with before.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE alarm_step (mine INTEGER)")
        before.dispose()
        with pytest.raises(OperationalError, match="already exists"):
            Database.open(f"sqlite:///{path}")
        after = create_engine(f"sqlite:///{path}")
        assert inspect(after).get_table_names() == ["alarm_step"]
        after.dispose()

    def test_the_scripts_are_found_without_a_file_of_configuration(self, database: Database) -> None:
        with database.write() as session:
            assert migrations(session.connection()).config_file_name is None


class TestTurns:
    @pytest.mark.proves("N11")
    def test_a_person_who_comes_later_goes_before_a_machine_that_waits(self) -> None:
        turns, order = Turns(), []
        asked = threading.Semaphore(0)

        def take(who: str, *, patient: bool) -> None:
            asked.release()
            with turns.mine(patient=patient):
                order.append(who)

        with turns.mine(patient=True):
            machine = threading.Thread(target=take, args=("machine",), kwargs={"patient": True})
            machine.start()
            asked.acquire()
            person = threading.Thread(target=take, args=("person",), kwargs={"patient": False})
            person.start()
            asked.acquire()
            eventually(lambda: turns._people == 1, "the person waits")
        for thread in (machine, person):
            thread.join()
        assert order == ["person", "machine"]

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
