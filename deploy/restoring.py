"""Brings a place back from a backup: looks at all of it first, changes nothing where it refuses, deletes nothing ever.

What stands where something is to go is given another name (`.before-restore-TIME`). The station's tables are compared
with what the manifest counted, row for row of each table, and its chain is verified, before they are made fit to go on
(`api.restoring`). Gateways tell again what a restored station lost (`gateway.retelling`); a gateway with a restored
journal opens a new epoch when the station holds more of it.

    RestoreError            .path
    +-- NotEmpty            something is there already
    +-- StillRuns           a program has what is to be replaced
    +-- Unfit               it cannot go here: another kind of database, tables of a later version, another station
    +-- NotTheSame          what was restored is not what was kept
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deploy import backup
from deploy.backup import ATTACHMENTS, KEYS, SETTINGS, SIGNING, SITE, TABLES, TLS, Manifest, NewerBackup
from gateway import copying as journals
from gateway.journal import JournalError

if TYPE_CHECKING:
    from api.privacy.erasures import Erased
    from api.restoring import Revived

MARK: Final = "before-restore"
_SQLITE: Final = b"SQLite format 3\x00"


class RestoreError(Exception):
    """It was not restored. Field: `path`."""

    def __init__(self, path: Path | str, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}")


class NotEmpty(RestoreError):
    """Something is there."""

    def __init__(self, path: Path | str) -> None:
        super().__init__(path, "is there already; --replace gives it another name and puts the backup in its place")


class StillRuns(RestoreError):
    """Somebody has it."""


class Unfit(RestoreError):
    """It cannot go here."""


class NotTheSame(RestoreError):
    """What was restored is not what was kept; it was left for whoever looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a backup goes. `database`: a URL instead of a file in the state folder; needed for PostgreSQL."""

    state: Path
    keys: Path | None = None
    site: Path | None = None
    database: str | None = None
    erasures: Path | None = None
    """A list of erased households that is newer than the backup, besides the one that lies here."""
    replace: bool = False


@dataclass(slots=True)
class Restored:
    """What was done."""

    manifest: Manifest
    parts: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    """What stood there before, by its new name."""
    left: list[str] = field(default_factory=list)
    """What was there already and was left as it is."""
    erasures: int = 0
    revived: "list[Revived] | None" = None
    """What was ended since and counts again, as the tables say that were there; None: nobody here knows."""
    chain_ok: bool = True
    """Whether the record of who did what verifies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spots:
    """Where each part goes."""

    station: Path
    url: str
    gateways: dict[str, Path]
    keys: Path
    site: Path | None


def restore(path: Path, target: Target, *, passphrase: str | None, now: datetime) -> Restored:
    """Bring everything back that is in the backup at `path`. Raises BackupError, RestoreError, or what a store says."""
    target.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with backup.workplace(target.state) as folder:
        if _is_database(path):
            manifest = _copy_of_tables(path, target, folder)
        else:
            manifest = backup.read(path, passphrase=passphrase, into=folder)
        return _Restoring(path, manifest, folder, target, now).run()


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _copy_of_tables(path: Path, target: Target, folder: Path) -> Manifest:
    """What a station kept by itself before an update: its tables, and nothing else. Raises Unfit."""
    from api.database import DatabaseError, copying

    settings = target.state / "settings.json"
    if not settings.is_file():
        raise Unfit(settings, "is not here: tables alone go back only to where they were")
    copy = folder / TABLES
    copy.parent.mkdir(mode=0o700)
    shutil.copyfile(path, copy)
    try:
        found = copying.look(f"sqlite:///{copy}", station="")
    except DatabaseError as error:
        raise backup.Unreadable(path, str(error)) from None
    assert found is not None, "it was copied"
    return Manifest(
        made_ms=int(path.stat().st_mtime * 1_000),
        made_by="",
        station=str(json.loads(settings.read_text(encoding="utf-8"))["station"]),
        tables={"kind": found.kind, "revision": found.revision, "rows": dict(found.rows), "head": [*found.head]},
        gateways={},
        files={},
    )


class _Restoring:
    def __init__(self, path: Path, manifest: Manifest, folder: Path, target: Target, now: datetime) -> None:
        self._path = path
        self._manifest = manifest
        self._folder = folder
        self._target = target
        self._now = now
        self._mark = f"{MARK}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        self._spots = self._find_spots()
        self._done = Restored(manifest)

    def run(self) -> Restored:
        """Refuse whatever is to be refused, and only then change something."""
        existing, erased = self._look_at_station() if self._manifest.tables is not None else (False, [])
        for gateway in self._manifest.gateways:
            self._look_at_gateway(gateway)
        self._look_at_files()
        self._put_files()
        if self._manifest.tables is not None:
            self._put_station(existing=existing, erased=erased)
        for gateway in self._manifest.gateways:
            self._put_gateway(gateway)
        return self._done

    def _find_spots(self) -> _Spots:
        state, target = self._target.state, self._target
        is_box = self._manifest.tables is not None and bool(self._manifest.gateways)
        station = state / "station" if is_box else state
        gateways = {one: state / f"gateway-{one}" if is_box else state for one in self._manifest.gateways}
        beside = state / "keys" if target.site is None else target.site.parent / "keys"
        return _Spots(
            station=station,
            url=target.database or f"sqlite:///{station / 'station.db'}",
            gateways=gateways,
            keys=target.keys or (state / "keys" if is_box else beside),
            site=target.site,
        )

    # The station

    def _look_at_station(self) -> tuple[bool, "list[Erased]"]:
        """Whether there is one to be set aside, and which households were erased. Raises what stands in the way."""
        from api import restoring
        from api.database import copying
        from api.database.upgrade import newest
        from api.privacy import erasures

        manifest, spots = self._manifest, self._spots
        tables = manifest.tables
        assert tables is not None
        if copying.kind_of(spots.url) != tables["kind"]:
            server = tables["kind"] == "postgresql"
            how = "give --database postgresql+psycopg://..." if server else "leave --database out"
            raise Unfit(self._path, f"its tables are of {tables['kind']}: {how}")
        if str(tables["revision"]) > newest():
            raise NewerBackup(self._path, manifest.made_by)
        self._refuse_running_station(str(manifest.station))
        try:
            existing = copying.look(spots.url, station=str(manifest.station)) is not None
        except copying.CopyError:
            existing = True  # damaged, or half: it is set aside like one that is whole
        if existing and not self._target.replace:
            is_file = tables["kind"] == "sqlite"
            raise NotEmpty(spots.station / "station.db" if is_file else f"station-{manifest.station}")
        if existing:
            head = (int(tables["head"][0]), str(tables["head"][1]))
            self._done.revived = restoring.ended_in(spots.url, station=str(manifest.station), head=head)
        listed = erasures.read(erasures.file_beside(self._attachments))
        if self._target.erasures is not None:
            if not self._target.erasures.is_file():
                raise Unfit(self._target.erasures, "there is no such list of erasures")
            listed += erasures.read(self._target.erasures)
        return existing, [*listed, *(self._erased_there() if existing else [])]

    @property
    def _attachments(self) -> Path:
        """Where a station looks for them that is told of no other folder (`StationSettings.attachments_folder`)."""
        tables, files = self._manifest.tables, self._manifest.files
        by_key = tables is not None and tables["kind"] == "postgresql" and SIGNING not in files
        return (self._spots.keys / "station" if by_key else self._spots.station) / "attachments"

    def _erased_there(self) -> "list[Erased]":
        """What the tables that go say of erasures, as far as they can still be read."""
        from api import restoring

        return restoring.erasures_in(self._spots.url, station=str(self._manifest.station))

    def _refuse_running_station(self, station: str) -> None:
        from api import restoring
        from api.database import copying

        url = self._spots.url
        if copying.kind_of(url) == "sqlite":
            _refuse_locked(copying.file_of(url), ".lock", "a station has it: end it first")
            return
        where = restoring.who_runs(url, station=station, now_ms=int(self._now.timestamp() * 1_000))
        if where is not None:
            raise StillRuns(f"station-{station}", f"runs on {where}: end it first")

    def _put_station(self, *, existing: bool, erased: "Sequence[Erased]") -> None:
        from api import restoring
        from api.audit import verifying
        from api.database import copying
        from api.privacy import erasures

        manifest, spots = self._manifest, self._spots
        station, tables = str(manifest.station), manifest.tables
        assert tables is not None
        spots.station.mkdir(parents=True, exist_ok=True, mode=0o700)
        if existing:
            self._done.aside.append(copying.set_aside(spots.url, station=station, mark=self._mark))
        found = copying.copy_in(spots.url, station=station, source=self._folder / TABLES)
        if (found.revision, dict(found.rows), [*found.head]) != (tables["revision"], tables["rows"], tables["head"]):
            raise NotTheSame(spots.url.partition("@")[2] or spots.url, "what was restored is not what was kept")
        self._done.chain_ok = verifying.verify(spots.url, station=station).bad is None
        if SETTINGS in manifest.files:
            self._put_attachments()
        adopted = restoring.adopt(
            spots.url,
            station=station,
            made_ms=manifest.made_ms,
            head=found.head,
            erased=erased,
            now_ms=int(self._now.timestamp() * 1_000),
        )
        if erased:
            erasures.write(erasures.file_beside(self._attachments), {*erased})
        self._done.erasures = adopted.erasures
        if SETTINGS in manifest.files:
            self._put_settings()
        self._done.parts.append(f"station {station}")

    def _put_attachments(self) -> None:
        kept = self._folder / ATTACHMENTS
        if self._attachments.exists():
            self._done.aside.append(_set_aside(self._attachments, self._mark))
        if kept.is_dir():
            self._attachments.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copytree(kept, self._attachments)

    def _put_settings(self) -> None:
        """As they were, but for where things lie now. `shouwang station --site` writes them anew anyway."""
        spots = self._spots
        said: dict[str, Any] = json.loads((self._folder / SETTINGS).read_text(encoding="utf-8"))
        signing = self._folder / SIGNING
        said["database"], said["attachments"] = spots.url, str(self._attachments)
        if signing.exists():
            _put(signing, spots.station / "signing.key", self._mark, self._done)
            said["signing"] = {**said["signing"], "path": str(spots.station / "signing.key"), "former": []}
        else:
            said["signing"] = {**said["signing"], "path": str(spots.keys / "station" / "seed"), "former": []}
        if said.get("broker_access"):
            said["broker_access"] = str(spots.station / Path(said["broker_access"]).name)
        tls = said.get("http", {}).get("tls")
        for name in ("certificate", "key", "root", "issued") if tls else ():
            if tls[name] and (self._folder / TLS / Path(tls[name]).name).exists():
                to = spots.station / "tls" / Path(tls[name]).name
                _put(self._folder / TLS / to.name, to, self._mark, self._done)
                tls[name] = str(to)
        fresh = self._folder / "settings.json"
        fresh.write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        fresh.chmod(0o600)
        _put(fresh, spots.station / "settings.json", self._mark, self._done)

    # Gateways

    def _look_at_gateway(self, gateway: str) -> None:
        state = self._spots.gateways[gateway]
        _refuse_locked(state / "journal.db", None, "a gateway has it: end it first")
        try:
            journals.look(self._folder / f"gateway/{gateway}/journal.db")
        except JournalError as error:
            raise Unfit(self._path, f"its journal of {gateway} cannot be used: {error.what}") from None
        if (state / "journal.db").exists() and not self._target.replace:
            raise NotEmpty(state / "journal.db")

    def _put_gateway(self, gateway: str) -> None:
        kept, state = self._folder / f"gateway/{gateway}", self._spots.gateways[gateway]
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        for side in ("-wal", "-shm"):  # they belong to the journal that goes
            if (state / f"journal.db{side}").exists():
                _set_aside(state / f"journal.db{side}", self._mark)
        for name in ("journal.db", "register.json"):
            if (kept / name).exists():
                _put(kept / name, state / name, self._mark, self._done)
        (state / "journal.epoch").write_text(str(self._manifest.gateways[gateway]["epoch"]), encoding="ascii")
        found = journals.look(state / "journal.db")
        if found.digest != self._manifest.gateways[gateway]["digest"]:
            raise NotTheSame(state / "journal.db", "what was restored is not what was kept")
        self._done.parts.append(f"gateway {gateway}")

    # Keys and the site file

    def _files(self) -> Iterator[tuple[Path, Path]]:
        for name in self._manifest.files:
            if name.startswith(KEYS):
                yield self._folder / name, self._spots.keys / name.removeprefix(KEYS)
            elif name == SITE and self._spots.site is not None:
                yield self._folder / name, self._spots.site

    def _look_at_files(self) -> None:
        for kept, there in self._files():
            if there.exists() and there.read_bytes() != kept.read_bytes() and not self._target.replace:
                raise NotEmpty(there)

    def _put_files(self) -> None:
        for kept, there in self._files():
            _put(kept, there, self._mark, self._done)
        if self._spots.keys.is_dir():
            self._done.parts.append("keys")


def _put(kept: Path, to: Path, mark: str, done: Restored) -> None:
    """Put a file in its place, durably; what stood there gets another name, unless it is the same."""
    to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if to.exists():
        if to.read_bytes() == kept.read_bytes():
            done.left.append(str(to))
            return
        done.aside.append(_set_aside(to, mark))
    fresh = to.with_name(f".{to.name}.new")
    shutil.copyfile(kept, fresh)
    fresh.chmod(0o600)
    descriptor = os.open(fresh, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(to)


def _set_aside(path: Path, mark: str) -> str:
    aside = path.with_name(f"{path.name}.{mark}")
    path.rename(aside)
    return str(aside)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    with path.open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _refuse_locked(path: Path, suffix: str | None, why: str) -> None:
    """Whoever runs holds a lock beside its file: `NAME.lock`, or the name with another ending."""
    lock = path.with_suffix(".lock") if suffix is None else path.with_name(path.name + suffix)
    if lock.exists():
        with _locked(lock) as ours:
            if not ours:
                raise StillRuns(path, why)
