"""Tables of the version before come forward with every row in them, on both databases."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Final

import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.engine import make_url

from api.database import Database
from api.database.postgresql import PostgreSQL
from api.database.sqlite import SQLite
from tests.api.peers import STATION

pytestmark = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")

DIGEST: Final = "d" * 64
EPOCH: Final = "00000000000000e1"


def id_of(number: int) -> str:
    return f"{number:036}"


def alarm(number: int, **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "id": id_of(number),
        "key": f"press:u1:s:{number}",
        "kind": "panic",
        "state": "received",
        "mark": None,
        "verified": True,
        "reason": None,
        "late": False,
        "place": "h01",
        "group": "gr1",
        "door": 101,
        "label": "东头老王家",
        "unit": "u1",
        "gateway": "g1",
        "at_ms": 1_795_000_000_000 + number,
        "clock": "synced",
        "age_ms": 5,
        "happened_ms": 1_795_000_000_000 + number,
        "received_ms": 1_795_000_000_005 + number,
        "presses": 2,
        "cancelled_ms": None,
        "acknowledged_ms": None,
        "acknowledged_by": None,
        "version": 1,
    } | more


def inbox(number: int) -> dict[str, Any]:
    return {
        "id": id_of(number),
        "gateway": "g1",
        "epoch": EPOCH,
        "seq": number,
        "copy": 0,
        "event": "press",
        "received_ms": 1_795_000_000_005,
        "digest": DIGEST,
        "envelope": '{"body": "东头"}',
    }


FIRST_VERSION: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "station": [{"id": 1, "generation": 1_795_000_000_000, "alive_ms": 1_795_000_000_000}],
    "gateway": [
        {
            "id": "g1",
            "online": True,
            "session": "f" * 32,
            "generation": 3,
            "epoch": EPOCH,
            "head": 9,
            "low": 7,
            "queued": 2,
            "clock": "synced",
            "faults": "queue disk",
            "seen_ms": 1_795_000_000_000,
            "command_counter": 17,
        }
    ],
    "gateway_epoch": [{"number": 4, "gateway": "g1", "epoch": EPOCH, "highest": 9, "checked": 7, "opened_ms": 1}],
    "gap": [{"number": 2, "gateway": "g1", "epoch": EPOCH, "first": 3, "last": 4, "reason": "pruned", "found_ms": 5}],
    "fault": [
        {
            "number": 8,
            "code": "gap",
            "gateway": "g1",
            "about": "",
            "detail": "3 to 4",
            "times": 2,
            "first_ms": 5,
            "last_ms": 6,
            "cleared_ms": cleared,
        }
        | {"number": number}
        for number, cleared in ((8, None), (9, 7))
    ],
    "rejection": [{"gateway": "g1", "reason": "malformed", "times": 3, "last_ms": 4}],
    "dead_letter": [
        {
            "number": 5,
            "digest": DIGEST,
            "topic": "sw1/north/gateway/g1/event",
            "payload": bytes(range(256)),
            "reason": "malformed",
            "detail": "nothing",
            "tries": 1,
            "times": 2,
            "event": None,
            "gateway": "g1",
            "epoch": None,
            "seq": None,
            "first_ms": 1,
            "last_ms": 2,
        }
    ],
    "inbox": [inbox(number) for number in range(1, 6)],
    "alarm": [
        alarm(1),
        alarm(2, state="acknowledged", acknowledged_ms=1_795_000_009_000, acknowledged_by="li", version=2),
        alarm(3, kind="duress", unit="u2"),
        alarm(4, state="cancelled_by_household", cancelled_ms=1_795_000_009_000, version=2, mark="test"),
        alarm(7, kind="unverified", place=None, group=None, door=None, label=None, unit=None, verified=False,
              reason="malformed", clock="unsynced", late=True),
    ],
    "alarm_event": [
        {"event": id_of(n), "alarm": id_of(n), "key": f"press:u1:s:{n}", "part": "press", "gateway": "g1",
         "received_ms": n}
        for n in range(1, 5)
    ] + [{"event": id_of(5), "alarm": None, "key": "press:u1:s:99", "part": "cancel", "gateway": "g1",
          "received_ms": 5}],
    "alarm_step": [
        {"number": n, "alarm": id_of(n), "action": "receive", "state": "received", "officer": None, "event": id_of(n),
         "at_ms": n}
        for n in range(1, 5)
    ] + [{"number": 9, "alarm": id_of(2), "action": "acknowledge", "state": "acknowledged", "officer": "li",
          "event": None, "at_ms": 9}],
    "outgoing": [
        {
            "number": 3,
            "id": id_of(30),
            "topic": "sw1/north/police/update",
            "command_to": None,
            "alarm": id_of(2),
            "body": "{}",
            "happened_ms": 4,
            "state": "sent",
            "tries": 1,
            "trouble": None,
            "listened": True,
            "sent_ms": 5,
        }
    ],
}  # fmt: skip


def at(url: str) -> Database:
    """The tables as they are."""
    kind = SQLite if make_url(url).get_backend_name() == "sqlite" else PostgreSQL
    return kind.at(url, STATION)


@pytest.fixture
def of_first_version(empty_url: str) -> str:
    """A database at revision 0001 with rows in every table."""
    with closing(at(empty_url)) as database:
        database.migrate("0001")
        with database.write() as session:
            tables = MetaData()
            tables.reflect(session.connection())
            assert {*tables.tables} == {*FIRST_VERSION, "alembic_version"}
            for table, rows in FIRST_VERSION.items():
                session.connection().execute(tables.tables[table].insert(), rows)
            if isinstance(database, PostgreSQL):  # where a number that was given does not count as drawn
                for table in ("alarm", "outgoing"):
                    highest = max(row["number"] for row in FIRST_VERSION[table])
                    drawn = f"SELECT setval(pg_get_serial_sequence('{table}', 'number'), {highest})"
                    session.connection().exec_driver_sql(drawn)
    return empty_url


@pytest.mark.proves("N2", "F57")
def test_every_row_of_the_first_version_is_there_with_every_value(of_first_version: str) -> None:
    with closing(Database.open(of_first_version, station=STATION)) as database, database.read() as session:
        tables = MetaData()
        tables.reflect(session.connection())
        for name, before in FIRST_VERSION.items():
            table = tables.tables[name]
            kept = [*before[0]]
            found = session.connection().execute(select(*(table.c[column] for column in kept))).mappings()
            assert sorted(map(str, map(dict, found))) == sorted(map(str, before)), name


def test_numbers_go_on_above_those_that_were_given(of_first_version: str) -> None:
    with closing(Database.open(of_first_version, station=STATION)) as database, database.write() as session:
        tables = MetaData()
        tables.reflect(session.connection())
        row = dict(FIRST_VERSION["outgoing"][0], id=id_of(31))
        del row["number"]
        given = session.connection().execute(tables.tables["outgoing"].insert().values(row)).inserted_primary_key
        assert given is not None
        assert given[0] == 4
