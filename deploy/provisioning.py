"""What a technician carries: to a gateway, to whoever receives at the broker, and on the labels of units.

    FOLDER/                     0700, every file 0600
      site.toml                 the gateway's part of the site file, and nobody else's people
      gateway.env               GATEWAY=g1, for the service
      keys/                     as `deploy.keys` says: `public`, `root.crt`, and this gateway's own folder

It extends what is there: keys are made by `deploy.keys`, certificates by `deploy.authority`, and the rights of an
account come from the station's register, wherever it was made. Nothing secret is printed.

    ProvisioningError           .path: it cannot be done
"""

import json
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, Final

from broker.acl import Principal, rights
from broker.ids import UnitId
from broker.signing import STATION_KID, gateway_kid
from broker.topics import Role
from deploy import accounts, assembly, authority, keys, screen
from deploy.authority import Authority, Issued
from deploy.site import Gateway, Site

SITE: Final = "site.toml"
ENVIRONMENT: Final = "gateway.env"
NOTE: Final = "broker.json"

GROUPED: Final = 4
LABEL_STYLE: Final = (
    "body{font-family:sans-serif;margin:8mm}.label{display:inline-block;width:58mm;border:.3mm solid #000;padding:3mm;"
    "margin:2mm;break-inside:avoid;vertical-align:top}svg{width:34mm;height:34mm;display:block}b{font-size:14pt}"
    "code{font-size:9pt}p{margin:1mm 0;font-size:8pt}"
)


class ProvisioningError(Exception):
    """It cannot be done. Field: `path`."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}")


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it: where it lies, and the certificate that was signed, if one was."""

    where: Path
    issued: Issued | None = None


def provision_station(site: Site, folder: Path, *, signs: Authority, now: datetime) -> Made:
    """Give the station its certificate for the broker, among its keys. Raises AuthorityError, KeysError, OSError."""
    keys.provision(site, folder, officers=False)
    user = Principal(station=site.station.id, role=Role.STATION).user
    return Made(keys.folder_of(folder, STATION_KID), _certify(folder, STATION_KID, user, signs=signs, now=now))


def provision_gateway(
    site: Site,
    text: str,
    gateway: str,
    *,
    keyring: Path,
    out: Path,
    signs: Authority | None,
    now: datetime,
) -> Made:
    """Make all that a gateway's box needs, in a new folder. `text`: of the site file.

    With `signs` it gets a certificate for the broker: for the key that it has already, else with a new one.
    Raises UnknownGateway, ProvisioningError, AuthorityError, KeysError, OSError.
    """
    own = assembly.find_gateway(site, gateway)
    refuse_full(out)
    made = keys.provision(site, keyring, officers=False).keys
    kid = gateway_kid(own.id)
    user = accounts.gateway_user(site, own.id)
    issued = None if signs is None else _certify(keyring, kid, user, signs=signs, now=now)
    part = accounts.slice_of(site, own)
    kids = (STATION_KID, kid, *(gateway_kid(one) for one in part.peers))
    public = "".join(f"{one} {made.public_key(one)}\n" for one in kids)
    _put(out / "keys/public", public.encode())
    source, target = keys.folder_of(keyring, kid), keys.folder_of(out / "keys", kid)
    names = ["seed", "units", "zigbee"]
    names += ["account"] if issued is None else [keys.BROKER_CERTIFICATE, keys.BROKER_KEY]
    for name in names:
        if (source / name).exists():
            _put(target / name, (source / name).read_bytes())
    if issued is not None:
        _put(out / "keys" / keys.ROOT, (keyring / keys.ROOT).read_bytes())
    _put(out / ENVIRONMENT, f"GATEWAY={own.id}\n".encode())
    _put(out / SITE, slice_text(site, tomllib.loads(text), own).encode())
    return Made(out, issued)


def renew_gateway(site: Site, gateway: str, *, keyring: Path, out: Path, signs: Authority, now: datetime) -> Made:
    """Sign a new certificate for the key that a gateway has: what is carried then is no secret.

    Raises UnknownGateway, ProvisioningError, AuthorityError, KeysError, OSError.
    """
    own = assembly.find_gateway(site, gateway)
    kid, user = gateway_kid(own.id), accounts.gateway_user(site, own.id)
    path = keys.folder_of(keyring, kid) / keys.BROKER_CERTIFICATE
    if not path.exists():
        raise ProvisioningError(path, "it had no certificate that could be renewed: leave --renew out")
    issued = _certify(keyring, kid, user, signs=signs, now=now)
    where = keys.folder_of(out / "keys", kid) / keys.BROKER_CERTIFICATE
    _put(where, path.read_bytes())
    return Made(where, issued)


def provision_user(site: Site, who: Principal, *, out: Path, signs: Authority, now: datetime) -> Made:
    """Make certificate and key for an account that receives at the broker, in a new folder, with where and what.

    Raises ProvisioningError, AuthorityError, OSError.
    """
    refuse_full(out)
    pair = signs.client(who.user, now=now)
    _put(out / keys.BROKER_KEY, pair.key)
    _put(out / keys.BROKER_CERTIFICATE, pair.certificate)
    _put(out / keys.ROOT, (signs.directory / authority.ROOT).read_bytes())
    said = {
        "host": site.broker.host,
        "port": site.broker.port,
        "user": who.user,
        "client_id": who.user,
        "ca": keys.ROOT,
        "certificate": keys.BROKER_CERTIFICATE,
        "key": keys.BROKER_KEY,
        "subscribe": [right.filter for right in rights(who) if right.access == "read"],
    }
    _put(out / NOTE, (json.dumps(said, indent=1) + "\n").encode())
    return Made(out, pair.issued)


def receiver(site: Site, text: str) -> Principal:
    """Whom `police`, `police@desk-2`, `grid:w1`, `household:h03` name. Raises ValueError."""
    named, _, seat = text.partition("@")
    role, _, id_ = named.partition(":")
    known = {Role.POLICE, Role.COMMUNITY, Role.GRID, Role.HOUSEHOLD}
    if role not in {str(one) for one in known}:
        raise ValueError(f"{text!r}: give police, community:ID, grid:ID or household:ID, and @SEAT for a further one")
    return Principal(station=site.station.id, role=Role(role), id=id_, seat=seat)


def has_rights(site: Site, who: Principal) -> bool:
    """Whether the site file gives this account; else the station's register has to."""
    return any(one.audience == who.audience for one in accounts.principals(site)) and not who.seat


def labels(site: Site, units: Sequence[str], *, keyring: Path) -> str:
    """A page of labels, one for each unit: its id, its address, and its key in words and as a QR code.

    What a scanner types is the key as the desk takes it. Raises KeysError, ProvisioningError.
    """
    made = keys.provision(site, keyring, officers=False).keys
    known = {unit.id: (gateway, unit) for gateway in site.gateways for unit in gateway.units}
    parts: list[str] = []
    for name in units:
        if UnitId(name) not in known:
            raise ProvisioningError(keyring, f"there is no unit {name!r} in the site file that speaks on a line")
        gateway, unit = known[UnitId(name)]
        key = made.unit(gateway.id, unit.id).hex()
        parts.append(_label(unit.id, f"{gateway.id} {unit.line} {unit.address}", key))
    head = f'<meta charset="utf-8"><title>报警器标签</title><style>{LABEL_STYLE}</style>'
    return f'<!doctype html><html lang="zh">{head}{"".join(parts)}</html>\n'


def put_labels(text: str, out: Path) -> None:
    """Write the page for its owner alone: who reads it can imitate these units. Raises OSError."""
    _put(out, text.encode())


def slice_text(site: Site, document: Mapping[str, Any], own: Gateway) -> str:
    """The part of a site file with which one gateway works: its own tables, its groups' people, nobody else's."""
    part = accounts.slice_of(site, own)
    groups, households = {one.id for one in part.groups}, {one.id for one in part.households}
    grids = {one.grid for one in part.groups}
    communities = {site.community(one) for one in part.groups} | {one.community for one in part.groups}
    communities |= {one.community for one in site.grids if one.id in grids}
    said: dict[str, Any] = {}
    for name, value in document.items():
        match name:
            case "station" | "road":
                said[name] = value
            case "broker":
                said[name] = {key: inner for key, inner in value.items() if key not in {"private", "listen"}}
            case "tag":
                said[name] = [{"tag": one["tag"]} for one in value]
            case "community":
                said[name] = [one for one in value if one["id"] in communities]
            case "grid":
                said[name] = [one for one in value if one["id"] in grids]
            case "group":
                said[name] = [one for one in value if one["id"] in groups]
            case "household":
                said[name] = [_place(one, households) for one in value if one["id"] in households]
            case "gateway":
                said[name] = [
                    one if one["id"] == own.id else _peer(one, households)
                    for one in value
                    if one["id"] == own.id or one["id"] in part.peers
                ]
            case _:
                pass  # officers, HTTPS, notifying: the station's own
    return "# Made by `shouwang provision gateway`. What the station says of people and units replaces it.\n" + _toml(
        {name: value for name, value in said.items() if value not in ([], {})}
    )


def _place(household: Mapping[str, Any], known: set[Any]) -> dict[str, Any]:
    """A household, without those outside whom it excludes: they hear nothing from here anyway."""
    said = dict(household)
    if "excludes" in said:
        said["excludes"] = [one for one in said["excludes"] if one in known]
    return said


def _peer(gateway: Mapping[str, Any], households: set[Any]) -> dict[str, Any]:
    """Another gateway, as far as its neighbours must know of it: who of theirs hangs there."""
    said: dict[str, Any] = {"id": gateway["id"]}
    units = [one for one in gateway.get("unit", ()) if one["household"] in households]
    lines = {one["line"] for one in units}
    if units:
        said |= {"line": [one for one in gateway["line"] if one["name"] in lines], "unit": units}
    for name in ("contact", "sounder", "remote"):
        found = [one for one in gateway.get(name, ()) if one.get("household") in households]
        said |= {name: found} if found else {}
    return said


def _certify(keyring: Path, kid: str, user: str, *, signs: Authority, now: datetime) -> Issued:
    """A certificate among the keys; the key that is there stays, so that what was carried away goes on counting."""
    folder = keys.folder_of(keyring, kid)
    path, key = folder / keys.BROKER_CERTIFICATE, folder / keys.BROKER_KEY
    known = path.read_bytes() if path.exists() and key.exists() else None
    pair = signs.client(user, now=now, known=known)
    if pair.key:
        keys.put(key, pair.key)
    keys.put(path, pair.certificate)
    keys.put(keyring / keys.ROOT, (signs.directory / authority.ROOT).read_bytes())
    return pair.issued


def _label(unit: str, where: str, key: str) -> str:
    drawn = screen.picture(key.upper(), screen.Form.SVG).decode()
    drawn = drawn[drawn.index("<svg") :]  # without its declaration, since it stands within a page
    words = " ".join(key[at : at + GROUPED] for at in range(0, len(key), GROUPED))
    return (
        f'<div class="label"><b>{escape(unit)}</b><p>{escape(where)}</p>{drawn}'
        f"<p><code>{words}</code></p><p>密钥：装好后撕下保管 / key: keep apart once installed</p></div>"
    )


def refuse_full(out: Path) -> None:
    """Nothing of ours is mixed with what is there. Raises ProvisioningError."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ProvisioningError(out, "there is something already: give a new folder")


def _put(path: Path, content: bytes) -> None:
    for folder in (*reversed(path.parents), path.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


# TOML as tomllib reads it


def _toml(document: Mapping[str, Any], at: str = "") -> str:
    plain = {name: value for name, value in document.items() if not isinstance(value, dict) and not _is_tables(value)}
    text = "".join(f"{_key(name)} = {_value(value)}\n" for name, value in plain.items())
    for name, value in document.items():
        path = f"{at}.{_key(name)}" if at else _key(name)
        if _is_tables(value):
            text += "".join(f"\n[[{path}]]\n{_toml(one, path)}" for one in value)
        elif isinstance(value, dict):
            text += f"\n[{path}]\n{_toml(value, path)}"
    return text


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else _string(name)


def _value(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return _string(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            return str(value)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
