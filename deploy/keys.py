"""The keys of a site: made once, kept beside the site file in `keys/`, never inside it.

    keys/                       0700, every file 0600
      public                    kid and public key (Ed25519, hexadecimal) of the station and of each gateway
      accounts                  user name and password of those who only receive at the broker
      station/seed              the station's signing key, 64 hexadecimal digits
      station/account           its user name and password
      station/officers          officer and SHA-256 of the token, which was shown once and is nowhere
      gateways/g1/seed, account as the station's
      gateways/g1/units         unit and its AES-128 key
      gateways/g1/zigbee        user name and password for the Zigbee broker: written by hand
      root.crt                  the site's authority, where the broker knows its accounts by certificate
      station/broker.crt, broker.key, gateways/g1/broker.crt, broker.key
                                certificate and key for the broker (PEM); `shouwang provision` makes them

Each gateway needs `public` and its own folder, and nothing else. A line is a name, a space and a value; `#` begins
a comment. Making keys adds what is missing and changes nothing that is there.

    KeysError                   .path
    +-- KeysExposed             others can read it; .command mends that
    +-- KeysDamaged             .line: not what stands above
    +-- KeysUnreachable         the operating system refuses
    +-- KeyMissing              .what: needed, and not there
"""

import fcntl
import os
import secrets
import stat
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from broker.ids import GatewayId, UnitId
from broker.signing import SEED_BYTES, STATION_KID, Signer, gateway_kid
from deploy.accounts import gateway_user, principals, station_user
from deploy.site import Site
from devices.sealing import KEY_BYTES

Draw = Callable[[int], bytes]
"""So many random bytes. Only a test or a demo that shall repeat itself draws them from anything but the system."""

PASSWORD_BYTES: Final = 18
TOKEN_BYTES: Final = 24
PUBLIC_BYTES: Final = 32
DIGEST_BYTES: Final = 32

ROOT: Final = "root.crt"
BROKER_CERTIFICATE: Final = "broker.crt"
BROKER_KEY: Final = "broker.key"

LOST: Final = (
    "its signing key is not here. It is on another machine (then make keys there), or lost "
    "(then take its line out of `public` and copy the new `public` everywhere)"
)

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class KeysError(Exception):
    """Keys that cannot be used. Field: `path`."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}")


class KeysExposed(KeysError):
    """Somebody else on this machine can read it. Field: `command`, which mends it."""

    def __init__(self, path: Path, *, is_directory: bool) -> None:
        self.command = f"chmod {'700' if is_directory else '600'} '{path}'"
        super().__init__(path, f"others can read this. Mend it with: {self.command}")


class KeysDamaged(KeysError):
    """Not what it should be. Field: `line`, None when it is about the whole file."""

    def __init__(self, path: Path, why: str, *, line: int | None = None) -> None:
        self.line = line
        super().__init__(path, why if line is None else f"line {line}: {why}")


class KeysUnreachable(KeysError):
    """The operating system refuses."""


class KeyMissing(KeysError):
    """Something is needed and not there. Field: `what`."""

    def __init__(self, path: Path, what: str, *, hint: str = "`shouwang keys` makes what is missing") -> None:
        self.what = what
        super().__init__(path, f"{what} is missing. {hint}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Files by which somebody is known at the broker, and knows it: certificate and key, and the authority of both."""

    certificate: Path
    key: Path
    root: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All keys that were found. On a gateway most of this is empty."""

    directory: Path
    seeds: Mapping[str, bytes] = field(repr=False)
    """Signing keys by kid."""
    public: Mapping[str, bytes] = field(repr=False)
    """Public keys by kid."""
    units: Mapping[UnitId, bytes] = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)
    """Of the site's own broker, by user name."""
    zigbee: Mapping[GatewayId, Mapping[str, str]] = field(repr=False)
    """Passwords by user name, for each gateway's Zigbee broker."""
    officers: Mapping[str, str] = field(repr=False)
    """SHA-256 of each officer's token, hexadecimal."""
    of_gateways: Mapping[GatewayId, frozenset[UnitId]] = field(default_factory=dict)
    """The units whose keys lie in each gateway's folder."""

    def units_of(self, gateway: GatewayId) -> dict[UnitId, bytes]:
        """The keys of all units that may come to hang on a gateway, whether its site file names them or not."""
        return {unit: self.units[unit] for unit in sorted(self.of_gateways.get(gateway, ()))}

    def seed_path(self, kid: str) -> Path:
        """Where the signing key of `kid` lies. Raises KeyMissing when it does not."""
        path = _seed_path(self.directory, kid)
        if kid not in self.seeds:
            raise KeyMissing(path, f"the signing key of {kid}")
        return path

    def seed(self, kid: str) -> bytes:
        """The signing key of `kid`. Raises KeyMissing."""
        self.seed_path(kid)
        return self.seeds[kid]

    def public_key(self, kid: str) -> str:
        """The public key of `kid` in hexadecimal. Raises KeyMissing."""
        if kid not in self.public:
            raise KeyMissing(self.directory / "public", f"the public key of {kid}")
        return self.public[kid].hex()

    def unit(self, gateway: GatewayId, unit: UnitId) -> bytes:
        """The key of a unit. Raises KeyMissing."""
        if unit not in self.units:
            raise KeyMissing(_of_gateway(self.directory, gateway) / "units", f"the key of unit {unit}")
        return self.units[unit]

    def password(self, user: str) -> str:
        """The password of an account. Raises KeyMissing."""
        if user not in self.passwords:
            raise KeyMissing(self.directory, f"the password of {user}")
        return self.passwords[user]

    def identity(self, kid: str) -> Identity:
        """The certificate of `kid` for the broker. Raises KeyMissing, KeysExposed or KeysUnreachable."""
        folder = folder_of(self.directory, kid)
        found = Identity(folder / BROKER_CERTIFICATE, folder / BROKER_KEY, self.directory / ROOT)
        who = "station" if kid == STATION_KID else f"gateway {kid.partition(':')[2]}"
        for path in (found.certificate, found.key, found.root):
            if _text_of(path) is None:
                raise KeyMissing(path, f"the certificate of {kid}", hint=f"`shouwang provision {who}` makes it")
        return found

    def officer(self, officer: str) -> str:
        """The SHA-256 of an officer's token in hexadecimal. Raises KeyMissing."""
        if officer not in self.officers:
            raise KeyMissing(self.directory / "station/officers", f"the token of {officer}")
        return self.officers[officer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """What making keys came to. `tokens` are new officers' tokens: show them now, they are kept nowhere."""

    keys: Keys
    added: tuple[str, ...]
    tokens: Mapping[str, str] = field(repr=False)


def read(directory: Path) -> Keys:
    """Read what is in `directory`, the whole of it or a gateway's part. Raises KeysError."""
    _refuse_exposed(directory)
    gateways = {GatewayId(path.name): path for path in sorted((directory / "gateways").glob("*")) if path.is_dir()}
    seeds = dict(_seeds(directory, gateways))
    units: dict[UnitId, bytes] = {}
    of_gateways: dict[GatewayId, frozenset[UnitId]] = {}
    for gateway, path in gateways.items():
        found = _hexadecimal(path / "units", KEY_BYTES)
        of_gateways[gateway] = frozenset(UnitId(unit) for unit in found)
        for unit, key in found.items():
            if units.setdefault(UnitId(unit), key) != key:
                raise KeysDamaged(path / "units", f"unit {unit} has another key in another gateway's folder")
    passwords: dict[str, str] = {}
    for path in (directory / "accounts", directory / "station/account", *(p / "account" for p in gateways.values())):
        passwords |= _pairs(path)
    return Keys(
        directory=directory,
        seeds=seeds,
        public=_public(directory / "public", seeds),
        units=units,
        passwords=passwords,
        zigbee={gateway: _pairs(path / "zigbee") for gateway, path in gateways.items()},
        officers={name: key.hex() for name, key in _hexadecimal(directory / "station/officers", DIGEST_BYTES).items()},
        of_gateways=of_gateways,
    )


def provision(site: Site, directory: Path, *, draw: Draw = secrets.token_bytes, officers: bool = True) -> Provisioned:
    """Make every key that `site` needs and `directory` lacks. What is there stays as it is. Raises KeysError.

    `officers` False: make no tokens, for whoever has nobody to show them to: they are shown once and kept nowhere.
    """
    with _locked(directory):
        maker = _Maker(directory, read(directory), draw)
        maker.make(site, officers=officers)
        return Provisioned(keys=read(directory), added=tuple(maker.added), tokens=maker.tokens)


def forget(directory: Path, kid: str) -> None:
    """Let nobody be a gateway by what its box had: its signing key, its account, its certificate. Raises KeysError.

    What it needs to speak with others stays: the units' keys, the password of its Zigbee broker. `provision` makes the
    rest anew. In `public` first: while the key is there and its line is not, the next start mends that.
    """
    with _locked(directory):
        read(directory)
        public, folder = directory / "public", folder_of(directory, kid)
        lines = (_text_of(public) or "").splitlines()
        _write(public, "".join(f"{line}\n" for line in lines if not line.startswith(f"{kid} ")))
        for name in ("seed", "account", BROKER_CERTIFICATE, BROKER_KEY):
            (folder / name).unlink(missing_ok=True)


class _Maker:
    def __init__(self, directory: Path, keys: Keys, draw: Draw) -> None:
        self._directory = directory
        self._keys = keys
        self._draw = draw
        self.added: list[str] = []
        self.tokens: dict[str, str] = {}

    def make(self, site: Site, *, officers: bool) -> None:
        station, own = self._directory / "station", station_user(site)
        self._seed(STATION_KID)
        self._passwords(station / "account", own)
        taken = {own}
        for gateway in site.gateways:
            folder, user = _of_gateway(self._directory, gateway.id), gateway_user(site, gateway.id)
            self._seed(gateway_kid(gateway.id))
            self._passwords(folder / "account", user)
            self._units(folder / "units", [unit.id for unit in gateway.units])
            taken.add(user)
        self._passwords(self._directory / "accounts", *(p.user for p in principals(site) if p.user not in taken))
        if officers:  # last: a token that a failure swallows is lost for good
            self._officers(station / "officers", site)

    def _seed(self, kid: str) -> None:
        public = dict(self._keys.public)
        if kid not in self._keys.seeds:
            if (
                kid in public
            ):  # whoever has the public key believes the old one: a new one must not come about by itself
                raise KeysDamaged(_seed_path(self._directory, kid), f"{kid} is in `public`, but {LOST}")
            seed = self._draw(SEED_BYTES)
            _write(_seed_path(self._directory, kid), f"{seed.hex()}\n")
            self.added.append(f"signing key {kid}")
            public[kid] = Signer(kid, seed).public
        self._add(self._directory / "public", {kid: public[kid].hex()})

    def _passwords(self, path: Path, *users: str) -> None:
        new = {user: _text(self._draw(PASSWORD_BYTES)) for user in users if user not in self._keys.passwords}
        self._add(path, new)
        self.added += (f"password {user}" for user in new)

    def _units(self, path: Path, units: list[UnitId]) -> None:
        """A unit that moved here from another gateway keeps its key: it is in the unit, too."""
        there = _pairs(path)
        new = {unit: self._keys.units.get(unit) or self._draw(KEY_BYTES) for unit in units if unit not in there}
        self._add(path, {unit: key.hex() for unit, key in new.items()})
        self.added += (f"unit key {unit}" for unit in new)

    def _officers(self, path: Path, site: Site) -> None:
        for officer in site.officers:
            if officer.id not in self._keys.officers:
                token = _text(self._draw(TOKEN_BYTES))
                self._add(path, {officer.id: sha256(token.encode()).hexdigest()})
                self.tokens[officer.id] = token
                self.added.append(f"token {officer.id}")

    @staticmethod
    def _add(path: Path, lines: Mapping[str, str]) -> None:
        new = {name: value for name, value in lines.items() if name not in _pairs(path)}
        if new:
            old = _text_of(path) or ""
            _write(path, _ended(old) + "".join(f"{name} {value}\n" for name, value in new.items()))


def _of_gateway(directory: Path, gateway: GatewayId) -> Path:
    return directory / "gateways" / gateway


def folder_of(directory: Path, kid: str) -> Path:
    """Where the keys of `kid` lie."""
    role, _, id_ = kid.partition(":")
    return directory / "gateways" / id_ if id_ else directory / role


def put(path: Path, content: bytes) -> None:
    """Put a file among the keys, whole and for its owner alone. Raises KeysUnreachable."""
    _write(path, content.decode())


def _seed_path(directory: Path, kid: str) -> Path:
    return folder_of(directory, kid) / "seed"


def _text(random: bytes) -> str:
    return urlsafe_b64encode(random).decode().rstrip("=")


def _ended(text: str) -> str:
    """The text, its last line ended: somebody may have written it by hand."""
    return text if not text or text.endswith("\n") else f"{text}\n"


def _seeds(directory: Path, gateways: Mapping[GatewayId, Path]) -> Iterator[tuple[str, bytes]]:
    for kid in (STATION_KID, *(gateway_kid(gateway) for gateway in gateways)):
        path = _seed_path(directory, kid)
        text = _text_of(path)
        if text is not None:
            yield kid, _bytes(text.strip(), SEED_BYTES, path, None)


def _public(path: Path, seeds: Mapping[str, bytes]) -> dict[str, bytes]:
    stated = _hexadecimal(path, PUBLIC_BYTES)
    derived = {kid: Signer(kid, seed).public for kid, seed in seeds.items()}
    for kid, key in derived.items():
        if stated.get(kid, key) != key:
            raise KeysDamaged(path, f"the public key of {kid} does not belong to {_seed_path(path.parent, kid)}")
    return stated | derived


def _hexadecimal(path: Path, length: int) -> dict[str, bytes]:
    return {name: _bytes(value, length, path, name) for name, value in _pairs(path).items()}


def _bytes(text: str, length: int, path: Path, name: str | None) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != length:
        raise KeysDamaged(path, f"{name or 'this'} needs {2 * length} hexadecimal digits")
    return value


def _pairs(path: Path) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for number, line in enumerate((_text_of(path) or "").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match line.split():
            case [name, value] if name not in pairs:
                pairs[name] = value
            case [name, _]:
                raise KeysDamaged(path, f"{name} is here twice", line=number)
            case _:
                raise KeysDamaged(path, "a line is a name, a space and a value", line=number)
    return pairs


def _text_of(path: Path) -> str | None:
    """The text of a file that nobody else may read; None when there is none."""
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & OTHERS:
                raise KeysExposed(path, is_directory=False)
            return file.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise KeysDamaged(path, "this is no text") from None
    except OSError as error:
        raise KeysUnreachable(path, error.strerror or "cannot be read") from None


def _refuse_exposed(directory: Path) -> None:
    try:
        mode = directory.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise KeysUnreachable(directory, error.strerror or "cannot be read") from None
    if mode & OTHERS:
        raise KeysExposed(directory, is_directory=True)


def _write(path: Path, text: str) -> None:
    """Put `text` there whole or not at all, and on the disk before it is used."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        _make_directory(path.parent)
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise KeysUnreachable(path, error.strerror or "cannot be written") from None


def _make_directory(directory: Path) -> None:
    for path in (*reversed(directory.parents), directory):
        path.mkdir(mode=0o700, exist_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One maker at a time: two would each draw what the other has just drawn."""
    try:
        _make_directory(directory.absolute())
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError as error:
        raise KeysUnreachable(directory, error.strerror or "cannot be made") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
