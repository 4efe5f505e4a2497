"""A backup is made of a running station, restored elsewhere and compared row by row from outside, on both databases."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.accounts.rules import Kind
from api.alarms.attaching import path_of
from api.database import Database
from api.health.metrics import BACKED_UP
from api.privacy import erasures
from api.privacy.erasures import Erased
from api.rights.rules import Role
from api.settings import StationSettings
from broker.messages import Command
from deploy import backup, restoring
from deploy.backup import NewerBackup, Unreadable
from deploy.cli import app
from deploy.restoring import NotEmpty, StillRuns, Target, Unfit
from tests.api.conftest import TOKENS, Serve, as_json, only_sqlite
from tests.api.databases import Databases, rows
from tests.api.peers import HOUSEHOLDS, STATION, Gateway
from tests.api.signing_in import machine
from tests.api.test_privacy import CANARY, Time, leader, plant

PASSPHRASE = "correct horse battery"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHANGED = {"gateway", "sign_in", "audit", "audit_words", "audit_head", "erasure"}
"""Tables that restoring itself writes."""


def tables(url: str) -> list[str]:
    if url.startswith("sqlite"):
        found = rows(url, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    else:
        found = rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = ?", f"station-{STATION}")
    return sorted(name for (name,) in found)


def everything(url: str) -> dict[str, list[str]]:
    """Every row of every table, in an order that both have."""
    return {name: sorted(map(repr, rows(url, f'SELECT * FROM "{name}"'))) for name in tables(url)}  # noqa: S608


@contextmanager
def another_place(database_kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Target]:
    """Where nothing is."""
    if database_kind == "sqlite":
        yield Target(state=folder / "elsewhere")
        return
    databases: Databases = request.getfixturevalue("databases")
    with databases.fresh(migrated=False) as url:
        yield Target(state=folder / "elsewhere", database=url)


def url_of(target: Target) -> str:
    return target.database or f"sqlite:///{target.state}/station.db"


def keep(settings: StationSettings, folder: Path, *, passphrase: str | None = None, now: datetime = NOW) -> Path:
    state = folder / "state"
    state.mkdir(exist_ok=True)
    (state / "settings.json").write_text(as_json(settings))
    path, _ = backup.make(backup.find(state, site=None, keys=None), folder / "out", passphrase=passphrase, now=now)
    return path


@pytest.mark.proves("F13", "N15")
def test_a_running_station_is_kept_and_brought_back_row_for_row(  # noqa: PLR0917 - fixtures
    serve: Serve,
    gateway: Gateway,
    settings: StationSettings,
    database_kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    digest = "ab" + 62 * "0"
    file = path_of(settings.attachments_folder, digest)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a photo")
    with serve() as served:
        gateway.say_status(head=0)
        first = gateway.presses(20)
        gateway.send(first)
        gateway.receipted(first)
        machine(served.station, "leader", (Role.DUTY_LEADER, "gr1"))
        stop = threading.Event()

        def storm() -> None:
            while not stop.is_set():
                events = gateway.presses(5)
                gateway.send(events)
                gateway.receipted(events)

        writing = threading.Thread(target=storm)
        writing.start()
        try:
            during = keep(settings, tmp_path, passphrase=PASSPHRASE)
        finally:
            stop.set()
            writing.join()
    manifest = backup.read(during, passphrase=PASSPHRASE)
    assert manifest.tables is not None
    counted = manifest.tables["rows"]
    assert counted["alarm"] == counted["inbox"] >= 20
    assert PASSPHRASE.encode() not in during.read_bytes()
    assert (during.stat().st_mode & 0o777, b"inbox" in during.read_bytes()) == (0o600, False)
    assert [*(tmp_path / "state").glob(".backup-*")] == []

    before = everything(settings.database)
    quiet = keep(settings, tmp_path, now=NOW + timedelta(minutes=1))
    with another_place(database_kind, request, tmp_path) as target:
        done = restoring.restore(quiet, target, passphrase=None, now=NOW)
        assert (done.chain_ok, done.aside) == (True, [])
        after = everything(url_of(target))
        assert {name: rows_ for name, rows_ in after.items() if name not in CHANGED} == {
            name: rows_ for name, rows_ in before.items() if name not in CHANGED
        }
        kept = {*before["audit"]}
        assert kept < {*after["audit"]}
        (entry,) = {*after["audit"]} - kept
        assert "station.restore" in entry
        settled = json.loads((target.state / "settings.json").read_text())
        assert path_of(Path(settled["attachments"]), digest).read_bytes() == b"a photo"
        assert Path(settled["signing"]["path"]).read_bytes() == settings.signing.path.read_bytes()
        with pytest.raises(NotEmpty):
            restoring.restore(during, target, passphrase=PASSPHRASE, now=NOW)
        other = Target(state=target.state, database=target.database, replace=True)
        done = restoring.restore(during, other, passphrase=PASSPHRASE, now=NOW + timedelta(seconds=1))
        assert ["before-restore-20261122T120001Z" in name for name in done.aside] == [True, True]
        assert rows(url_of(target), "SELECT count(*) FROM inbox") == [(counted["inbox"],)]


@pytest.mark.proves("F13")
def test_what_gateways_heard_of_a_restored_station_does_not_keep_them_from_hearing_it(
    serve: Serve, gateway: Gateway, settings: StationSettings, tmp_path: Path
) -> None:
    """Counters of commands rose since the backup; sessions ended since are not good again."""
    (tmp_path / "state").mkdir()
    target = Target(state=tmp_path / "state", database=None if "sqlite" in settings.database else settings.database)
    if target.database is None:
        moved = settings.model_copy(update={"database": f"sqlite:///{tmp_path}/state/station.db"})
        shutil.copy(tmp_path / "station.db", tmp_path / "state" / "station.db")
        settings.__dict__.update(moved.__dict__)
    with serve() as served:
        gateway.say_status(head=0)
        event = gateway.event()
        gateway.send([event])
        gateway.receipted([event])
        path = keep(settings, tmp_path)
        with pytest.raises((StillRuns, NotEmpty)) as refused:
            restoring.restore(path, target, passphrase=None, now=NOW)
        assert isinstance(refused.value, StillRuns)
        (alarm,) = served.alarms()
        served.post(f"/api/v1/alarms/{alarm['id']}/acknowledge")
        heard = gateway.commanded().counter
    now = datetime.now(UTC)
    done = restoring.restore(path, Target(**{**vars_of(target), "replace": True}), passphrase=None, now=now)
    assert done.chain_ok
    with serve() as served:
        assert [one["state"] for one in served.alarms()] == ["received"]
        served.post(f"/api/v1/alarms/{alarm['id']}/acknowledge")
        gateway.until(lambda: len({one.counter for one in gateway.bodies(Command)}) > 1, "commanded anew")
        assert max(one.counter for one in gateway.bodies(Command)) > heard + 1_000_000


def vars_of(target: Target) -> dict[str, Any]:
    return {name: getattr(target, name) for name in Target.__slots__}


@only_sqlite
@pytest.mark.proves("N16", "G7")
def test_a_household_that_was_erased_since_is_erased_again_before_anybody_looks(
    serve: Serve, settings: StationSettings, tmp_path: Path
) -> None:
    time = Time()
    with serve(clock=time, wait=False) as station:
        plant(station, time)
        path = keep(settings, tmp_path)
        body = {"reason": "住户要求"}
        answer = station.client.post(f"/api/v1/places/{HOUSEHOLDS[0]}/erase", json=body, headers=leader(station))
        assert answer.status_code == 204, answer.text
    assert CANARY not in json.dumps(everything(settings.database), ensure_ascii=False)
    (line,) = erasures.read(tmp_path / "erasures")
    assert line.place == HOUSEHOLDS[0]

    target = Target(state=tmp_path, replace=True)
    done = restoring.restore(path, target, passphrase=None, now=NOW)
    assert done.erasures == 1
    assert CANARY in json.dumps(everything(settings.database), ensure_ascii=False)
    with serve(clock=time, wait=False):
        assert CANARY not in json.dumps(everything(settings.database), ensure_ascii=False)
        assert rows(settings.database, "SELECT again FROM erasure") == [(0,)]

    elsewhere = Target(state=tmp_path / "elsewhere", erasures=tmp_path / "erasures")
    assert restoring.restore(path, elsewhere, passphrase=None, now=NOW).erasures == 1
    assert rows(url_of(elsewhere), "SELECT place, again FROM erasure") == [(HOUSEHOLDS[0], 1)]
    (tmp_path / "erasures").write_text("not of ours\n")
    with pytest.raises(ValueError, match="a time, a place"):
        erasures.read(tmp_path / "erasures")


@only_sqlite
@pytest.mark.proves("F13", "F57")
def test_what_is_not_whole_or_too_new_is_refused_and_nothing_is_changed(
    serve: Serve, settings: StationSettings, tmp_path: Path
) -> None:
    with serve(wait=False):
        locked, plain = keep(settings, tmp_path, passphrase=PASSPHRASE), tmp_path / "plain.backup"
        shutil.copy(keep(settings, tmp_path, now=NOW + timedelta(days=1)), plain)
    elsewhere = Target(state=tmp_path / "elsewhere")

    def refused(path: Path, passphrase: str | None = PASSPHRASE) -> str:
        with pytest.raises((Unreadable, Unfit, NewerBackup)) as error:
            restoring.restore(path, elsewhere, passphrase=passphrase, now=NOW)
        assert [*elsewhere.state.iterdir()] == []
        return str(error.value)

    assert "passphrase" in refused(locked, "another passphrase")
    assert "passphrase" in refused(locked, None)
    spoiled = tmp_path / "spoiled.backup"
    for source in (locked, plain):
        whole = source.read_bytes()
        for place in (9, 30, len(whole) // 3, len(whole) // 2, len(whole) - 9):
            spoiled.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            if source is plain and place in {9, len(whole) - 9}:
                continue  # of gzip's own head and tail nothing hangs on an octet
            refused(spoiled)
        for length in (0, 20, len(whole) // 2, len(whole) * 3 // 4):
            spoiled.write_bytes(whole[:length])
            refused(spoiled)
    with closing(Database.open(settings.database, station=STATION)) as database, database.write() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert "later than this one" in refused(keep(settings, tmp_path, now=NOW + timedelta(days=2)), None)


@only_sqlite
def test_the_commands_keep_lock_thin_out_and_bring_back(
    serve: Serve, settings: StationSettings, tmp_path: Path
) -> None:
    runner, secret = CliRunner(), tmp_path / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    out = tmp_path / "out"
    with serve(wait=False):
        old = keep(settings, tmp_path, now=NOW - timedelta(days=400))
        keeping = ["backup", "--state", str(tmp_path / "state"), "--out", str(out)]
        done = kept = runner.invoke(app, [*keeping, "--passphrase-file", str(secret), "--json"])
        assert done.exit_code == 0, done.output
        said = json.loads(done.stdout)
        assert said["deleted"] == [str(old)]
        assert (settings.attachments_folder.parent / BACKED_UP).is_file()  # of which `/metrics` tells the age
        secret.write_text("short\n")
        assert runner.invoke(app, [*keeping, "--passphrase-file", str(secret)]).exit_code == 2
        assert runner.invoke(app, ["backup", "--state", str(out), "--out", str(out), "--unprotected"]).exit_code == 2
    secret.write_text(PASSPHRASE + "\n")
    bringing = ["restore", said["path"], "--state", str(tmp_path / "new"), "--passphrase-file", str(secret)]
    looked = runner.invoke(app, [*bringing, "--look"])
    assert json.loads(looked.stdout)["tables"]["rows"] == said["tables"]["rows"]
    done = runner.invoke(app, bringing)
    assert (done.exit_code, "docs/operations.md" in done.stdout) == (0, True), done.output
    for word in ("第1户", "李警官", PASSPHRASE, *TOKENS.values()):
        assert word not in kept.output + looked.output + done.output
    assert runner.invoke(app, bringing).exit_code == 2
    secret.write_text("another passphrase\n")
    assert runner.invoke(app, [*bringing, "--replace"]).exit_code == 4


@pytest.mark.proves("G5", "F13")
def test_what_was_ended_since_the_backup_is_named_where_the_tables_are_still_there(
    serve: Serve, settings: StationSettings, tmp_path: Path
) -> None:
    with serve(wait=False) as station:
        machine(station.station, "leaves", (Role.DUTY_LEADER, STATION))
        with station.station.database.write() as session:
            goes = station.station.office.open(session, "li", kind=Kind.MACHINE, name="旧", login="goes")
            token, _ = station.station.office.make_token(session, "li", goes, label="x", expires_ms=None)
        path = keep(settings, tmp_path)
        with station.station.database.write() as session:
            station.station.office.revoke_token(session, "li", goes, token)
            station.station.office.shut(session, goes, by="li", reason="离职")
    revoked = tmp_path / "tls" / "revoked.crl"
    revoked.parent.mkdir()
    revoked.write_bytes(b"of today")
    bringing = ["restore", str(path), "--state", str(tmp_path), "--replace"]
    if not settings.database.startswith("sqlite"):
        bringing += ["--database", settings.database]
    runner = CliRunner()
    done = runner.invoke(app, bringing)
    assert done.exit_code == 0, done.output
    assert revoked.read_bytes() == b"of today", "it is in no backup, so it never goes back"
    for words in ("吊销接口令牌 / revoked a token", "注销账号 / closed an account", f"account:{goes}", "请重新撤销"):
        assert words in done.stdout, done.stdout
    assert "旧" not in done.stdout.replace("原有数据", "")
    assert rows(settings.database, "SELECT revoked_ms FROM api_token WHERE id = ?", token) == [(None,)]
    if settings.database.startswith("sqlite"):
        new = [*bringing[:3], str(tmp_path / "new")]
        assert "nothing here says which" in runner.invoke(app, new).stdout
        assert json.loads(runner.invoke(app, [*new[:3], str(tmp_path / "newer"), "--json"]).stdout)["revived"] is None


def test_the_list_of_erasures_is_read_as_it_was_written(tmp_path: Path) -> None:
    listed = [Erased(2, "h02", "o2"), Erased(1, "h01", "o1")]
    erasures.write(tmp_path / "erasures", listed)
    assert erasures.read(tmp_path / "erasures") == sorted(listed)
    assert erasures.read(tmp_path / "nothing") == []
    assert (tmp_path / "erasures").stat().st_mode & 0o777 == 0o600
