"""`shouwang init`: the few questions of a technician on a Pi, and the site file and folders that follow from them.

Pure but for `found_ports`, `write` and `adopt`: answers go in, the text of a site file comes out, and `deploy.check`
judges it like any other. Nothing that is there is ever overwritten.

WizardError         .path: something is there, or what was brought is not what a gateway needs
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from broker.kinds import Words

ID: Final = r"[a-z0-9-]{1,32}"
GATEWAY: Final = "gw1"
ENVIRONMENT: Final = "gateway.env"
GROUP_MOST: Final = 30
HEADER_PINS: Final = range(2, 28)


class Kind(StrEnum):
    """What this machine is to be."""

    BOX = "box"
    STATION = "station"
    GATEWAY = "gateway"


class WizardError(Exception):
    """It cannot be set up. Field: `path`."""

    def __init__(self, path: Path, why: Words) -> None:
        self.path = path
        self.words = Words(f"{path}：{why.zh}", f"{path}: {why.en}")
        super().__init__(self.words.en)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What was said. `ports`: serial ports, the first of which has the units; `broker`: HOST:PORT, empty: our own."""

    kind: Kind = Kind.BOX
    station: str = "station1"
    label: str = ""
    group: str = ""
    households: int = 10
    first_door: int = 101
    ports: tuple[str, ...] = ()
    baud: int = 9600
    key_pin: int | None = None
    siren_pin: int | None = None
    broker: str = ""
    broker_ca: str = ""
    host: str = "127.0.0.1"
    tls: str = ""


QUESTIONS: Final[Mapping[str, Words]] = {
    "kind": Words(
        "这台机器做什么: box 村级一体机(消息服务器+平台+网关), station 只做平台, gateway 只做网关",
        "What is this machine: box (broker, station and gateway), station alone, gateway alone",
    ),
    "station": Words("派出所编号(小写字母、数字、-，以后不能改)", "Id of the station (a-z, 0-9, -; stays for good)"),
    "label": Words("派出所名称", "What people call it"),
    "group": Words("联防组名称(如 3号楼5至6层)", "What people call the group of neighbours"),
    "households": Words("组内户数(1至30)", "Households in the group (1 to 30)"),
    "first_door": Words("第一户门号(其余依次加一)", "Door number of the first (the others count on)"),
    "ports": Words("报警器所在串口(逗号分隔，没有就留空)", "Serial ports of the units (commas between; empty: none)"),
    "key_pin": Words("接线报警按钮的 GPIO 号(没有就留空)", "GPIO number of a wired alarm key (empty: none)"),
    "siren_pin": Words("接线警号的 GPIO 号(没有就留空)", "GPIO number of a wired siren (empty: none)"),
    "broker": Words("消息服务器 主机:端口 (留空: 本机自带)", "Message broker HOST:PORT (empty: our own, here)"),
    "broker_ca": Words("消息服务器证书的签发机构文件", "File of the authority that signed the broker's certificate"),
    "host": Words("网页服务地址(0.0.0.0: 局域网可访问)", "Where to serve pages (0.0.0.0: for the local network)"),
    "tls": Words(
        "HTTPS 证书目录(shouwang ca station 所建，留空: 暂无)", "Folder of `shouwang ca station` (empty: no HTTPS yet)"
    ),
}
BAD: Final = Words("填写有误: ", "this cannot be: ")


def found_ports(devices: Path) -> list[str]:
    """Serial ports by names that stay: by their socket (our udev rule), else by their adapter; the board's own last."""
    for folder in (devices / "shouwang", devices / "serial/by-id"):
        if found := sorted(folder.glob("*"), key=lambda path: ("usb-" not in path.name, path.name)):
            return [str(path) for path in found]
    return []


def asked(kind: Kind) -> list[str]:
    """Which questions concern a machine of this kind, in order."""
    return ["station", "label", "group", "households", "first_door", "ports", "key_pin", "siren_pin"] + (
        ["broker", "broker_ca", "host", "tls"] if kind is Kind.STATION else ["host", "tls"]
    )


def read(name: str, text: str) -> Any:
    """One answer as it was typed or stands in a file. Raises ValueError."""
    text = text.strip()
    match name:
        case "kind":
            return Kind(text)
        case "households":
            return _within(int(text), range(1, GROUP_MOST + 1))
        case "first_door":
            return _within(int(text), range(1, 9_999 - GROUP_MOST + 1))
        case "key_pin" | "siren_pin":
            return None if not text else _within(int(text), HEADER_PINS)
        case "baud":
            return int(text)
        case "ports":
            found = tuple(part.strip() for part in text.split(",") if part.strip())
            if wrong := [port for port in found if not port.startswith("/")]:
                raise ValueError(f"{wrong[0]}: /dev/...")
            return found
        case "broker":
            host, colon, port = text.rpartition(":")
            if text and (not colon or not host or not port.isdecimal()):
                raise ValueError("HOST:PORT")
            return text
        case _:
            if any(ord(char) < 32 for char in text) or len(text) > 96:
                raise ValueError(text[:20])
            return text


def answers_of(said: Mapping[str, object]) -> Answers:
    """Answers out of a file or of flags; what is not said is as it is by itself. Raises ValueError, with the name."""
    known = {field.name for field in fields(Answers)}
    found: dict[str, Any] = {}
    for name, value in said.items():
        if name not in known:
            raise ValueError(f"{name}: ?")
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        try:
            found[name] = read(name, text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return Answers(**found)


def site_text(said: Answers) -> str:
    """The site file that follows: one group, its households, a unit for each on the first port."""
    doors = [said.first_door + number for number in range(said.households)]
    lines = [
        "# Made by `shouwang init`. What each table and key means: docs/site.md. Keys and passwords lie in keys/.",
        "# 由 shouwang init 生成。各项含义见 docs/site.md; 密钥和口令在 keys/ 中。",
        "",
        *_table("[station]", id=said.station, label=said.label or None, host=said.host),
    ]
    if said.broker:
        host, _, port = said.broker.rpartition(":")
        lines += _table("[broker]", host=host, port=int(port), ca=said.broker_ca or None)
    else:
        lines += _table("[broker]", private=True)
    if said.tls:
        lines += _table("[tls]", folder=said.tls)
    lines += _table("[[officer]]", id="desk", label="值班台", role="duty_officer")
    lines += _table("[[community]]", id="c1")
    lines += _table("[[grid]]", id="w1", community="c1")
    lines += _table("[[group]]", id="ten1", grid="w1", gateway=GATEWAY, label=said.group or None)
    for number, door in enumerate(doors, 1):
        lines += _table("[[household]]", id=f"h{number:02}", group="ten1", door=door, label=f"{said.group}{door}")
    lines += _table("[[gateway]]", id=GATEWAY, place=said.group or None)
    for number, port in enumerate(said.ports, 1):
        lines += _table("[[gateway.line]]", name=f"line{number}", port=port, baud=said.baud)
    for number in range(1, said.households + 1) if said.ports else ():
        lines += _table("[[gateway.unit]]", id=f"u{number:02}", line="line1", address=number, household=f"h{number:02}")
    if said.key_pin is not None:
        lines += _table("[[gateway.contact]]", id="button", pin=said.key_pin, household="h01")
    if said.siren_pin is not None:
        lines += _table("[[gateway.sounder]]", id="siren", pin=said.siren_pin, group="ten1")
    return "\n".join(lines)


def write(said: Answers, folder: Path) -> Path:
    """Write the site file, and who this box is for its service. Raises WizardError, OSError."""
    path, environment = folder / "site.toml", folder / ENVIRONMENT
    for one in (path, environment):
        _refuse_there(one)
    folder.mkdir(parents=True, exist_ok=True)
    _put(path, site_text(said))
    if said.kind is not Kind.STATION:
        _put(environment, f"GATEWAY={GATEWAY}\n")
    return path


def adopt(brought: Path, folder: Path) -> tuple[Path, str]:
    """Take over what `shouwang provision gateway` made for this box, with no keys but its own; site file and id.

    Raises WizardError, OSError.
    """
    try:
        said = (brought / ENVIRONMENT).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        said = ""
    gateway = said.removeprefix("GATEWAY=")
    keys = brought / "keys"
    others = (keys / "station").exists() or [path.name for path in (keys / "gateways").glob("*")] != [gateway]
    if gateway == said or others or not (brought / "site.toml").is_file():
        raise WizardError(
            brought,
            Words(
                "不是 shouwang provision gateway 所建的目录", "this is no folder that `shouwang provision gateway` made"
            ),
        )
    for name in ("site.toml", ENVIRONMENT, "keys"):
        _refuse_there(folder / name)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(brought / "keys", folder / "keys")
    for path in ((folder / "keys"), *(folder / "keys").rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    for name in ("site.toml", ENVIRONMENT):
        _put(folder / name, (brought / name).read_text(encoding="utf-8"))
    return folder / "site.toml", gateway


def next_steps(kind: Kind, site: Path, gateway: str, *, home: Path) -> Words:
    """What is left to be done, as commands. `home`: where a box keeps everything of its own."""
    services = {
        Kind.BOX: f"shouwang box --site {site} --state {home}",
        Kind.STATION: "systemctl enable --now shouwang-station",
        Kind.GATEWAY: "systemctl enable --now shouwang-gateway",
    }
    start, who = services[kind], "" if kind is Kind.STATION else f" --id {gateway}"
    who += f" --keys {home}/keys --state {home}/gateway-{gateway}" if kind is Kind.BOX else ""
    more = f"\n3. shouwang provision gateway {gateway} --site {site} --out ..." if kind is Kind.STATION else ""
    more_en = more and f"{more}   (for each box)"
    more_zh = more and f"{more}   (每台网关一次)"
    return Words(
        f"接下来:\n1. {start}\n2. shouwang doctor {site}{who}{more_zh}\n"
        "标签、逐户安装、夜间备份见 docs/operations.md。",
        f"What is left:\n1. {start}\n2. shouwang doctor {site}{who}{more_en}\n"
        "Labels, hanging the units, a backup every night: docs/operations.md.",
    )


def converse(
    kind: Kind,
    ports: Sequence[str],
    given: Mapping[str, object],
    *,
    ask: Callable[[str, str], str],
    tell: Callable[[str, str], None],
) -> Answers:
    """Ask what is not given. `ask(name, default)` returns what was typed; `tell(name, why)` says what was wrong."""
    said: dict[str, object] = {"kind": kind.value, **given}
    for name in asked(kind):
        if name in said or (name == "broker_ca" and not said.get("broker")):
            continue
        default = ",".join(ports[:1]) if name == "ports" else str(getattr(Answers(), name) or "")
        while True:
            text = ask(name, default)
            try:
                read(name, text)
            except ValueError as error:
                tell(name, str(error))
                continue
            said[name] = text
            break
    return answers_of(said)


def _within(number: int, allowed: range) -> int:
    if number not in allowed:
        raise ValueError(f"{number}: {allowed.start} - {allowed.stop - 1}")
    return number


def _table(head: str, **values: str | float | None) -> list[str]:
    said = {name: value for name, value in values.items() if value is not None}
    return [head, *(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in said.items()), ""]


def _refuse_there(path: Path) -> None:
    if path.exists():
        raise WizardError(path, Words("已经存在，不会覆盖", "is there already, and is not overwritten"))


def _put(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
