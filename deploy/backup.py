"""One file that brings a station, a gateway or a box back: made while they run, read again before it counts as made.

A backup is a tar with a manifest at its end, compressed, and locked with a passphrase (docs/adr/0017): it holds every
secret and every name that the place has. In it, as far as they are there:

    station/tables          SQLite file, or what pg_dump wrote
    station/settings.json   as the station was started last
    station/attachments/    files of alarms, by digest
    station/signing         the signing key, where it does not lie among the keys
    station/tls/            certificate, key, root, list of what was issued
    gateway/ID/journal.db, register.json
    keys/, site.toml
    manifest.json           version, time, digests and sizes of all of these, rows of each table, heads of the chains

Counters of frames to units are left out: they must never come twice (`gateway.counters`).

    BackupError             .path
    +-- NothingToKeep       there is no state here that we know
    +-- Unreadable          damaged, cut short, another passphrase, no backup at all
    +-- NewerBackup         made by a later version, whose tables this one does not know
"""

import hashlib
import io
import json
import os
import re
import secrets
import shutil
import tarfile
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final, cast

from deploy.locked import LockedError, Locking, Unlocking, is_locked
from gateway.copying import Journalled
from gateway.copying import copy_out as copy_journal

FORMAT: Final = 1
SUFFIX: Final = ".backup"
MANIFEST: Final = "manifest.json"
TABLES: Final = "station/tables"
SETTINGS: Final = "station/settings.json"
SIGNING: Final = "station/signing"
ATTACHMENTS: Final = "station/attachments/"
TLS: Final = "station/tls/"
KEYS: Final = "keys/"
SITE: Final = "site.toml"
KEEP_DAYS: Final = 30
"""Personal data has an end (docs/privacy.md), and a backup is no way around it."""
_MEMBER: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,5}")
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_CHUNK: Final = 1 << 20
_WORKPLACE: Final = ".backup-"
_ABANDONED_S: Final = 86_400


class BackupError(Exception):
    """It cannot be made or used. Field: `path`."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}")


class NothingToKeep(BackupError):
    """No state of ours."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path, "neither a station (settings.json), a gateway (journal.db) nor a box (station/) kept its state here"
        )


class Unreadable(BackupError):
    """Not a backup, or not a whole one."""


class NewerBackup(BackupError):
    """Of a later version."""

    def __init__(self, path: Path, made_by: str) -> None:
        super().__init__(path, f"was made by Shouwang {made_by}, later than this one: install that, then restore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where everything lies. Parts that are not here are None, or empty."""

    station: Path | None = None
    gateways: Mapping[str, Path] = field(default_factory=dict)
    keys: Path | None = None
    site: Path | None = None

    @property
    def name(self) -> str:
        """What a backup of it is called."""
        return "-".join(self.gateways) if self.station is None else "station"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One file of a backup."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says of itself."""

    made_ms: int
    made_by: str
    station: str | None
    """Whose tables it has."""
    tables: Mapping[str, Any] | None
    """`kind`, `revision`, `rows` of each table, `head` of the audit chain."""
    gateways: Mapping[str, Mapping[str, Any]]
    """Epoch, head and counts of each journal."""
    files: Mapping[str, Kept]

    @property
    def made(self) -> datetime:
        """When."""
        return datetime.fromtimestamp(self.made_ms / 1_000, UTC)

    def as_json(self) -> str:
        """As it stands in the backup."""
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, indent=1) + "\n"


def find(state: Path, *, site: Path | None, keys: Path | None, gateway: str | None = None) -> Place:
    """What lies in a state folder: a station's, a gateway's or a box's. Raises NothingToKeep."""
    station = next((one for one in (state, state / "station") if (one / "settings.json").exists()), None)
    gateways = {
        path.name.removeprefix("gateway-"): path
        for path in sorted(state.glob("gateway-*"))
        if (path / "journal.db").exists()
    }
    if (state / "journal.db").exists():
        gateways = {gateway or state.name: state}
    if station is None and not gateways:
        raise NothingToKeep(state)
    beside = [state / "keys", *([] if site is None else [site.parent / "keys"])]
    found = keys or next((one for one in beside if one.is_dir()), None)
    return Place(station=station, gateways=gateways, keys=found, site=site)


def make(place: Place, out: Path, *, passphrase: str | None, now: datetime) -> tuple[Path, Manifest]:
    """Write a backup into the folder `out`, and read it again. Raises BackupError and what the stores say.

    `passphrase` None: it is not locked, and only its mode keeps others from reading it.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"shouwang-{place.name}-{now.strftime(_STAMP)}{SUFFIX}"
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with workplace(place.station or next(iter(place.gateways.values()))) as folder:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as raw:
            to: IO[bytes] = raw
            if passphrase is not None:
                to = cast("IO[bytes]", Locking(raw, passphrase, random_bytes=secrets.token_bytes))
            try:
                manifest = _write(place, to, folder, now)
                if to is not raw:
                    to.close()
            except BaseException:
                fresh.unlink(missing_ok=True)
                raise
            raw.flush()
            os.fsync(raw.fileno())
        found = read(fresh, passphrase=passphrase)
        if found != manifest:
            fresh.unlink(missing_ok=True)
            raise Unreadable(path, "what was written is not what is read again: another medium, please")
    fresh.replace(path)
    _sync(out)
    return path, manifest


def end_old(out: Path, place: Place, *, keep_days: int, now: datetime) -> list[Path]:
    """Delete backups of this place that are older than `keep_days`. Returns which; the newest stays in any case."""
    pattern = re.compile(rf"shouwang-{re.escape(place.name)}-(\d{{8}}T\d{{6}}Z){re.escape(SUFFIX)}")
    dated = sorted((found[1], path) for path in out.iterdir() if (found := pattern.fullmatch(path.name)))
    until = (now - timedelta(days=keep_days)).strftime(_STAMP)
    gone = [path for stamp, path in dated[:-1] if stamp < until]
    for path in gone:
        path.unlink()
    return gone


def read(path: Path, *, passphrase: str | None, into: Path | None = None) -> Manifest:
    """Look at every octet of a backup; put its files into the new folder `into`. Raises Unreadable or NewerBackup."""
    try:
        with path.open("rb") as raw:
            source: IO[bytes] = raw
            if is_locked(raw):
                if passphrase is None:
                    raise Unreadable(path, "is locked: give its passphrase")
                source = cast("IO[bytes]", Unlocking(raw, passphrase))
            found, text = _unpack(path, source, into)
    except LockedError as error:
        raise Unreadable(path, str(error)) from None
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Unreadable(path, f"is damaged: {error}") from None
    return _agreed(path, _manifest(path, text), found)


def is_protected(path: Path) -> bool:
    """Whether it takes a passphrase. Raises OSError."""
    with path.open("rb") as raw:
        return is_locked(raw)


# Writing


@contextmanager
def workplace(state: Path) -> Iterator[Path]:
    """Room for copies that are not locked: on the disk where the originals lie, and on no other medium.

    What a power cut left of an earlier one goes.
    """
    for left in state.glob(f"{_WORKPLACE}*"):
        if time.time() - left.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_WORKPLACE, dir=state))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Writer:
    def __init__(self, tar: tarfile.TarFile, now: datetime) -> None:
        self._tar = tar
        self._now = now
        self.files: dict[str, Kept] = {}

    def add(self, name: str, path: Path) -> None:
        """Put a file into the backup; its digest is of what went in."""
        with path.open("rb") as file:
            info = self._tar.gettarinfo(arcname=name, fileobj=file)
            info.mode, info.uid, info.gid, info.uname, info.gname = 0o600, 0, 0, "", ""
            hashing = _Hashing(file)
            self._tar.addfile(info, cast("IO[bytes]", hashing))
        self.files[name] = Kept(size=info.size, sha256=hashing.digest.hexdigest())

    def add_folder(self, name: str, folder: Path, *, but: Collection[Path] = ()) -> None:
        """Put in all files below a folder, but those below some others; one that goes meanwhile was erased."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
            if any(path.is_relative_to(other) for other in but):
                continue
            member = f"{name}{path.relative_to(folder).as_posix()}"
            if _MEMBER.fullmatch(member):
                try:
                    self.add(member, path)
                except FileNotFoundError:
                    continue

    def close(self, manifest: Manifest) -> None:
        text = manifest.as_json().encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode, info.mtime = len(text), 0o600, int(self._now.timestamp())
        self._tar.addfile(info, io.BytesIO(text))


class _Hashing:
    """A file whose digest grows as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def _write(place: Place, to: IO[bytes], folder: Path, now: datetime) -> Manifest:
    station, tables = None, None
    elsewhere: tuple[Path, ...] = ()
    gateways: dict[str, Journalled] = {}
    with closing(tarfile.open(fileobj=to, mode="w|gz", format=tarfile.PAX_FORMAT)) as tar:
        writer = _Writer(tar, now)
        if place.station is not None:
            station, tables, elsewhere = _add_station(writer, place, place.station, folder)
        for gateway, state in place.gateways.items():
            copy = folder / f"journal-{gateway}.db"
            gateways[gateway] = copy_journal(state / "journal.db", copy)
            writer.add(f"gateway/{gateway}/journal.db", copy)
            if (state / "register.json").exists():
                writer.add(f"gateway/{gateway}/register.json", state / "register.json")
        if place.keys is not None:
            writer.add_folder(KEYS, place.keys, but=elsewhere)
        if place.site is not None:
            writer.add(SITE, place.site)
        manifest = Manifest(
            made_ms=int(now.timestamp() * 1_000),
            made_by=version("shouwang"),
            station=station,
            tables=tables,
            gateways={gateway: asdict(found) for gateway, found in gateways.items()},
            files=writer.files,
        )
        writer.close(manifest)
    return manifest


def _add_station(
    writer: _Writer, place: Place, state: Path, folder: Path
) -> tuple[str, dict[str, Any], tuple[Path, ...]]:
    """The tables first: what they name lies among the attachments before it is named.

    Returns also what may lie among the keys and is none of them.
    """
    from api import settings as station_settings
    from api.database import copying
    from api.privacy import erasures

    settings = station_settings.load(state / "settings.json")
    copy = folder / "tables"
    contents = copying.copy_out(settings.database, station=settings.station, to=copy)
    writer.add(TABLES, copy)
    copy.unlink()
    writer.add(SETTINGS, state / "settings.json")
    if settings.attachments_folder.is_dir():
        writer.add_folder(ATTACHMENTS, settings.attachments_folder)
    if place.keys is None or not settings.signing.path.resolve().is_relative_to(place.keys.resolve()):
        writer.add(SIGNING, settings.signing.path)
    tls = settings.http.tls
    for path in () if tls is None else (tls.certificate, tls.key, tls.root, tls.issued):
        if path is not None and path.exists():
            writer.add(f"{TLS}{path.name}", path)
    plain = {**asdict(contents), "rows": dict(contents.rows), "head": [*contents.head]}
    attachments = settings.attachments_folder
    return settings.station, plain, (attachments, erasures.file_beside(attachments))


# Reading


def _unpack(path: Path, source: IO[bytes], into: Path | None) -> tuple[dict[str, Kept], bytes]:
    """Every file with its digest, and the manifest's text."""
    found: dict[str, Kept] = {}
    text = b""
    with tarfile.open(fileobj=source, mode="r|gz") as tar:
        for member in tar:
            if not member.isreg() or not _MEMBER.fullmatch(member.name) or member.name in found:
                raise Unreadable(path, f"has a part that no backup has: {member.name!r}")
            file = tar.extractfile(member)
            assert file is not None, "it is a regular file"
            if member.name == MANIFEST:
                text = file.read(_CHUNK * 64)
                continue
            found[member.name] = _copy(file, None if into is None else into / member.name)
    while source.read(_CHUNK):  # to the last piece, which says that nothing is missing
        pass
    return found, text


def _copy(file: IO[bytes], to: Path | None) -> Kept:
    digest, size = hashlib.sha256(), 0
    if to is not None:
        to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.devnull, "wb") if to is None else to.open("xb") as out:  # noqa: PTH123 - either of two files
        while data := file.read(_CHUNK):
            digest.update(data)
            size += len(data)
            out.write(data)
    if to is not None:
        to.chmod(0o600)
    return Kept(size=size, sha256=digest.hexdigest())


def _manifest(path: Path, text: bytes) -> Manifest:
    try:
        said = json.loads(text)
        made_by, format_ = str(said["made_by"]), said.pop("format")
        if not isinstance(format_, int) or format_ > FORMAT:
            raise NewerBackup(path, made_by)
        said["files"] = {name: Kept(**kept) for name, kept in said["files"].items()}
        return Manifest(**said)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unreadable(path, "has no manifest, so that nobody knows whether it is whole") from None


def _agreed(path: Path, manifest: Manifest, found: Mapping[str, Kept]) -> Manifest:
    names: Iterable[str] = sorted({*manifest.files, *found})
    for name in names:
        if manifest.files.get(name) != found.get(name):
            raise Unreadable(path, f"{name} is not what its manifest says")
    return manifest


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
