"""`shouwang doctor`: what is well on a box and what is not, each line with the command that mends it.

It changes nothing and disturbs nobody: ports that a gateway has are not opened, and at the broker it says no account's
name, since a second one of a name would put out the first. What a running gateway says of itself (`health.json`)
counts for what only it can know.

`bundle` puts findings, health and the site's shape into an archive for whoever helps from afar. No key, no password, no
token, no name and no place goes into it.
"""

import io
import json
import os
import platform
import shutil
import socket
import ssl
import stat
import tarfile
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from broker.ids import GatewayId
from broker.kinds import Words
from broker.redaction import REDACTED, without_values
from broker.signing import STATION_KID, gateway_kid
from deploy import assembly, check
from deploy import keys as keyring
from deploy.listening import Listener, listeners
from deploy.rules import UNSTABLE_PORT
from deploy.site import Gateway, Site

WITHIN_S: Final = 5.0
"""How long something that is asked may take to answer."""
TAKEN_S: Final = 1.0
"""A broker that refuses a certificate says so at once."""
SYNCS: Final = 5
SYNC_SLOW_S: Final = 0.2
SYNC_BAD_S: Final = 2.0
"""A unit repeats what was not kept after seconds: beyond this everybody presses twice."""
ROOM_LEAST: Final = 256 << 20
ROOM_BAD: Final = 32 << 20
"""Octets: the ballast that is kept for alarms is a part of it (`gateway.journal`)."""
OLD_S: Final = 180
"""A gateway tells its health every minute at the least."""
QUEUE_LONG: Final = 1_000
OPERATIONS: Final = "/usr/share/doc/shouwang/operations.md"
"""Where the package puts it."""
MEMORY: Final = frozenset({"tmpfs", "ramfs"})
ENDS_SOON_MS: Final = 30 * 86_400_000
NAMES: Final = ("shouwang", "serial/by-id", "serial/by-path")
"""Folders of /dev with names of ports that stay, the one first in which nothing can have another's name."""
SEE_PORTS: Final = "ls -l /dev/shouwang /dev/serial/by-id"
NUMBER: Final = "ID_SERIAL_SHORT"
"""What udev knows of an adapter that has a number of its own."""
ADDRESS_ITSELF: Final = frozenset({("udp", 68), ("udp", 546)})
"""Clients of DHCP: a machine that gets its address has to listen for it."""
NEEDLESS: Final = {
    ("tcp", 22): ("ssh", "远程登录", "remote login: on purpose? Otherwise close it"),
    ("udp", 5353): ("avahi-daemon.socket avahi-daemon", "mDNS 名字广播", "tells its name to the network (mDNS)"),
    ("tcp", 5900): ("wayvnc vncserver-x11-serviced", "远程桌面", "a remote desktop"),
    ("tcp", 631): ("cups.socket cups", "打印服务", "printing"),
    ("tcp", 111): ("rpcbind.socket rpcbind", "RPC 端口映射", "the map of RPC"),
    ("udp", 111): ("rpcbind.socket rpcbind", "RPC 端口映射", "the map of RPC"),
}
"""What Raspberry Pi OS and Debian start, by protocol and port: units, and what it is."""
SAID: Final = frozenset({
    "id", "kind", "line", "baud", "address", "form", "gpio", "port", "role", "group", "grid", "community", "gateway",
    "silent", "volume", "heartbeat_s", "status_s", "siren_s", "after_s", "private", "mqtt", "pin", "pins", "household",
})  # fmt: skip
"""Fields of a site file that go into a bundle as they are. Of all others it says only that they are there."""


class State(StrEnum):
    """How a thing is."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, in words, and what to type when it is not well."""

    what: str
    state: State
    words: Words
    mend: str | None = None


def good(what: str, zh: str, en: str) -> Finding:
    """It is well."""
    return Finding(what, State.GOOD, Words(zh, en))


def doubtful(what: str, zh: str, en: str, mend: str | None = None) -> Finding:
    """It works, and somebody should look."""
    return Finding(what, State.DOUBTFUL, Words(zh, en), mend)


def bad(what: str, zh: str, en: str, mend: str | None = None) -> Finding:
    """It does not work."""
    return Finding(what, State.BAD, Words(zh, en), mend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at. `gateway`: the one that this box is; None: the station. `now_ms`: unix time."""

    path: Path
    keys: Path
    state: Path
    gateway: str | None = None
    broker_port: int | None = None
    http_port: int | None = None
    now_ms: int
    root: Path = Path("/")
    """Below it are dev, proc, run and sys."""


def examine(patient: Patient) -> list[Finding]:
    """Everything that can be looked at; one thing that cannot be hides no other."""
    findings = [*_versions()]
    try:
        checked = check.check(patient.path)
    except check.SiteUnreadable as error:
        return [*findings, bad("site", error.words.zh, error.words.en, f"ls -l {patient.path}")]
    findings.append(_site(patient, checked))
    site = checked.site
    if site is None:
        return findings
    gateway = None
    if patient.gateway is not None:
        try:
            gateway = assembly.find_gateway(site, patient.gateway)
        except assembly.UnknownGateway as error:
            known = "、".join(one.id for one in site.gateways)
            return [*findings, bad("site", f"站点文件里没有网关 {patient.gateway}，有：{known}", str(error))]
    findings += [
        _keys(patient, site),
        _clock(patient.now_ms),
        *_disk(patient.state, patient.root),
        _broker(patient, site),
    ]
    findings += _certificates(patient, site)
    if gateway is not None:
        findings += [*_lines(patient, site), *_pins(gateway), _watchdog(patient.root), *_road(patient, site)]
        findings += _health(patient)
    else:
        findings += _station(patient, site)
    return [*findings, *_doors(patient, site)]


# What any box has


def _versions() -> Iterator[Finding]:
    from gateway.journal import LIBRARY

    text = f"shouwang {version('shouwang')}, Python {platform.python_version()}, {LIBRARY}, {platform.machine()}"
    yield good("versions", text, text)


def _site(patient: Patient, checked: check.Checked) -> Finding:
    command = f"shouwang check {patient.path}"
    if checked.errors:
        return bad("site", f"站点文件有 {checked.errors} 处错误", f"the site file has {checked.errors} errors", command)
    if checked.warnings:
        many = checked.warnings
        return doubtful("site", f"站点文件有 {many} 处提醒", f"the site file has {many} warnings", command)
    return good("site", "站点文件没有问题", "the site file is sound")


def _keys(patient: Patient, site: Site) -> Finding:
    try:
        found = keyring.read(patient.keys)
        if patient.gateway is not None:
            assembly.gateway_settings(site, found, patient.gateway, state=patient.state)
        else:
            assembly.station_settings(site, found, state=patient.state)
    except keyring.KeysExposed as error:
        return bad("keys", f"密钥别人也能读：{error}", str(error), f"chmod -R go= {patient.keys}")
    except keyring.KeysError as error:
        return bad("keys", f"密钥不能用：{error}", str(error), f"shouwang keys {patient.path}")
    return good("keys", "密钥齐全，只有本机能读", "keys are there, and nobody else reads them")


def _clock(now_ms: int) -> Finding:
    from gateway.stamps import EARLIEST_UNIX_MS, kernel_synced

    if now_ms < EARLIEST_UNIX_MS:
        return bad("clock", "时钟不对，年份不可能", "the clock shows a year that cannot be", "timedatectl set-ntp true")
    if not kernel_synced():
        return doubtful(
            "clock", "没有对时：时间不准，报警照常", "nothing keeps the clock right; alarms do not mind",
            "timedatectl set-ntp true",
        )  # fmt: skip
    return good("clock", "时钟已对时", "the clock is kept right")


def _disk(state: Path, root: Path) -> Iterator[Finding]:
    where = next(one for one in (state, *state.parents) if one.exists())
    try:
        free = shutil.disk_usage(where).free
    except OSError as error:
        yield bad("disk", f"看不到磁盘：{error}", f"the disk cannot be seen: {error}", f"ls -ld {where}")
        return
    room = f"{free >> 20} MiB"
    command = f"df -h {where}; journalctl --vacuum-size=100M"
    if free < ROOM_BAD:
        yield bad("disk", f"磁盘快满了，只剩 {room}", f"the disk is nearly full: {room} left", command)
    elif free < ROOM_LEAST:
        yield doubtful("disk", f"磁盘剩 {room}", f"{room} left on the disk", command)
    else:
        yield good("disk", f"磁盘剩 {room}", f"{room} left on the disk")
    yield from _lasting(where, root)
    yield _sync(where)


def _lasting(where: Path, root: Path) -> Iterator[Finding]:
    """Whether what is written there outlives the power. A read-only root is often an overlay with memory on top."""
    kinds: dict[Path, str] = {}
    with suppress(OSError):
        for line in (root / "proc/self/mounts").read_text(encoding="utf-8").splitlines():
            _, target, named, *_ = line.split(" ")
            kinds[Path(target.replace("\\040", " "))] = named
    inside = where.resolve()
    kind = next((kinds[one] for one in (inside, *inside.parents) if one in kinds), None)
    mend = f"findmnt -T {where}; less -p 'A read-only root' {OPERATIONS}"
    if kind in MEMORY:
        yield bad(
            "lasting", f"{where} 在内存里（{kind}）：断电后确认过的报警就没了",
            f"{where} lies in memory ({kind}): what was confirmed is gone with the power", mend,
        )  # fmt: skip
    elif kind == "overlay":
        yield doubtful(
            "lasting", f"{where} 在叠加层（overlay）上：上层若在内存里，断电就没了",
            f"{where} lies in an overlay: where its upper side is memory, all is gone with the power", mend,
        )  # fmt: skip
    elif kind is not None:
        yield good("lasting", f"数据在 {kind} 上，断电还在", f"what is kept lies on {kind}, and outlives the power")


def _sync(where: Path) -> Finding:
    probe = where / f".doctor-{os.getpid()}"
    took: list[float] = []
    try:
        descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            for _ in range(SYNCS):
                os.write(descriptor, bytes(4_096))
                began = time.monotonic()
                os.fsync(descriptor)
                took.append(time.monotonic() - began)
        finally:
            os.close(descriptor)
            probe.unlink()
    except OSError as error:
        why = error.strerror or type(error).__name__
        return bad(
            "writing", f"不能写入 {where}（{why}）", f"{where} cannot be written: {why}", f"ls -ld {where}; mount"
        )
    slow = sorted(took)[SYNCS // 2]
    zh, en = f"写盘 {slow * 1_000:.0f} 毫秒", f"a sync takes {slow * 1_000:.0f} ms"
    if slow > SYNC_BAD_S:
        return bad("writing", f"{zh}：存储卡可能要坏", f"{en}: the card may be failing", "dmesg | grep mmc")
    if slow > SYNC_SLOW_S:
        return doubtful("writing", f"{zh}，偏慢", f"{en}, which is slow", "dmesg | grep mmc")
    return good("writing", zh, en)


def _broker(patient: Patient, site: Site) -> Finding:
    address = assembly.broker_address(site, state=patient.state)
    if address.mutual and address.ca is None:
        address = replace(address, ca=patient.keys / keyring.ROOT)
    if patient.broker_port is not None:
        address = replace(address, port=patient.broker_port, ca=None)
    where = f"{address.host}:{address.port}"
    try:
        with socket.create_connection((address.host, address.port), timeout=WITHIN_S) as connection:
            if address.ca is not None:
                context = ssl.create_default_context(cafile=str(address.ca))
                if address.mutual:
                    own = keyring.folder_of(patient.keys, _kid(patient))
                    context.load_cert_chain(own / keyring.BROKER_CERTIFICATE, own / keyring.BROKER_KEY)
                with context.wrap_socket(connection, server_hostname=address.host) as secured:
                    if address.mutual and not _is_taken(secured):
                        return bad(
                            "broker", f"{where} 不接受本机证书：过期、吊销或不是它的",
                            f"{where} does not take our certificate: ended, revoked, or of another authority",
                            f"shouwang provision {_whose(patient)}",
                        )  # fmt: skip
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message
        return bad(
            "broker", f"{where} 的证书不可信：{why}", f"the certificate of {where} is not trusted: {why}",
            f"openssl x509 -in {address.ca} -noout -enddate -subject",
        )  # fmt: skip
    except OSError as error:
        why = error.strerror or str(error)
        return bad(
            "broker", f"连不上消息服务器 {where}（{why}）", f"the broker at {where} cannot be reached: {why}",
            f"ping -c 3 {address.host}; systemctl status mosquitto",
        )  # fmt: skip
    return good("broker", f"消息服务器 {where} 有应答", f"the broker at {where} answers")


def _is_taken(secured: ssl.SSLSocket) -> bool:
    """Whether a certificate that was shown is good: in TLS 1.3 a refusal comes after the handshake. Says no name."""
    secured.settimeout(TAKEN_S)
    try:
        secured.recv(1)
    except TimeoutError:
        return True  # it waits for our first word
    except OSError:
        return False
    return False


def _kid(patient: Patient) -> str:
    return STATION_KID if patient.gateway is None else gateway_kid(GatewayId(patient.gateway))


def _whose(patient: Patient) -> str:
    """What `shouwang provision` makes anew."""
    return "station" if patient.gateway is None else f"gateway {patient.gateway} --renew"


def _certificates(patient: Patient, site: Site) -> Iterator[Finding]:
    from api.certificates import CertificateError, read
    from deploy.authority import STATION

    files = {"ca": site.broker.ca, "road ca": None if site.road is None else site.road.ca}
    if site.broker.mutual:
        folder = keyring.folder_of(patient.keys.absolute(), _kid(patient))
        files["broker certificate"] = str(folder / keyring.BROKER_CERTIFICATE)
        files["ca"] = site.broker.ca or str(patient.keys.absolute() / keyring.ROOT)
    if site.tls is not None and patient.gateway is None:
        files["https"] = f"{site.tls.folder}/{STATION}"
    for what, file in files.items():
        mend = {"https": "shouwang ca renew", "broker certificate": f"shouwang provision {_whose(patient)}"}.get(
            what, "shouwang ca list"
        )
        if file is None:
            continue
        try:
            certificate = read(patient.state / file)
        except CertificateError as error:
            yield bad(what, f"证书读不出来：{error}", str(error), f"ls -l {patient.state / file}")
            continue
        days = (certificate.not_after_ms - patient.now_ms) // 86_400_000
        if days < 0:
            yield bad(what, f"证书已过期 {-days} 天", f"expired {-days} days ago", mend)
        elif certificate.not_after_ms - patient.now_ms < ENDS_SOON_MS:
            yield doubtful(what, f"证书 {days} 天后到期", f"ends in {days} days", mend)
        else:
            yield good(what, f"证书还有 {days} 天", f"{days} days left")


# What a gateway has


def _lines(patient: Patient, site: Site) -> Iterator[Finding]:
    assert patient.gateway is not None
    for name, port in assembly.ports(site, patient.gateway, state=patient.state).items():
        what = f"line {name}"
        try:
            found = port.stat()
        except OSError:
            yield bad(
                what, f"没有串口 {port}：线没插好，或换了口", f"there is no port {port}: unplugged, or another name",
                SEE_PORTS,
            )  # fmt: skip
            continue
        if not stat.S_ISCHR(found.st_mode):
            yield bad(what, f"{port} 不是串口", f"{port} is no port", SEE_PORTS)
        elif not os.access(port, os.R_OK | os.W_OK):
            yield bad(what, f"没有权限使用 {port}", f"{port} may not be used by this user", "adduser $USER dialout")
        else:
            yield _name(what, port, patient.root)


def _name(what: str, port: Path, root: Path) -> Finding:
    """Whether a port that is there will be called so tomorrow."""
    unstable = UNSTABLE_PORT.fullmatch(f"/dev/{port.name}") is not None and port.parent == root / "dev"
    twice = port.parent == root / "dev/serial/by-id" and not _has_number(port, root)
    if not (unstable or twice):
        return good(what, f"{port} 可用", f"{port} is there")
    names = [
        f'port = "/{name.relative_to(root)}"'
        for folder in NAMES
        for name in sorted((root / "dev" / folder).glob("*"))
        if name != port and name.resolve() == port.resolve() and not (twice and folder == "serial/by-id")
    ]
    mend = names[0] if names else "udevadm trigger --settle --subsystem-match=tty; ls -l /dev/shouwang"
    if unstable:
        return doubtful(
            what, f"{port} 可用，但重启后这个名字可能是另一个设备，站点文件应写：",
            f"{port} is there, but may be another device after a restart; write into the site file:", mend,
        )  # fmt: skip
    return doubtful(
        what, f"{port} 可用，但这个转换器没有自己的编号，再插一个同型号的就会重名，站点文件应写：",
        f"{port} is there, but this adapter has no number of its own, and the next of its kind has the same name; "
        "write into the site file:", mend,
    )  # fmt: skip


def _has_number(port: Path, root: Path) -> bool:
    """What udev wrote down of it. Where it wrote nothing nobody knows better, and nothing is said against it."""
    try:
        device = port.stat().st_rdev
        known = (root / f"run/udev/data/c{os.major(device)}:{os.minor(device)}").read_text(encoding="utf-8")
    except OSError:
        return True
    return f"E:{NUMBER}=" in known


def _pins(gateway: Gateway) -> Iterator[Finding]:
    if gateway.factory != "lgpio":
        return
    chips = sorted(Path("/dev").glob("gpiochip*"))
    if not chips:
        yield bad("pins", "这台机器没有 GPIO", "this machine has no GPIO pins", "raspi-config nonint get_pi_type")
    elif not any(os.access(chip, os.R_OK | os.W_OK) for chip in chips):
        yield bad("pins", "没有权限使用 GPIO", "GPIO pins may not be used by this user", "adduser $USER gpio")
    else:
        yield good("pins", "GPIO 可用", "GPIO pins are there")


def _watchdog(root: Path) -> Finding:
    """Whether the board starts itself anew when nothing on it runs any more."""
    kernels = sorted((root / "sys/class/watchdog").glob("watchdog[0-9]*"))
    if not kernels:
        return doubtful(
            "watchdog", "没有硬件看门狗：系统卡死后要有人断电重启",
            "there is no watchdog: when the system stands still somebody has to pull the plug",
            "echo dtparam=watchdog=on >> /boot/firmware/config.txt; reboot",
        )  # fmt: skip
    states = {kernel: _word(kernel / "state") for kernel in kernels}
    if not any(states.values()):  # a kernel without CONFIG_WATCHDOG_SYSFS
        return doubtful(
            "watchdog", "有硬件看门狗，内核不说是否启用：应是 15s",
            "the board has a watchdog, and its kernel does not say whether it is armed: this should say 15s",
            "systemctl show --property=RuntimeWatchdogUSec",
        )  # fmt: skip
    for kernel, state in states.items():
        if state == "active":
            seconds = _word(kernel / "timeout") or "?"
            return good("watchdog", f"硬件看门狗已启用（{seconds} 秒）", f"the board's watchdog is armed ({seconds} s)")
    return doubtful(
        "watchdog", "有硬件看门狗，但没有启用", "the board has a watchdog, and nothing arms it",
        "apt install ./shouwang-board_*.deb && systemctl daemon-reexec",
    )  # fmt: skip


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _road(patient: Patient, site: Site) -> Iterator[Finding]:
    if site.road is None:
        return
    url = f"{site.road.url.rstrip('/')}/healthz"
    if not url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        yield bad("road", "第二通道必须是 https", "the other road has to be https", "shouwang check")
        return
    try:
        status = _status(url, None if site.road.ca is None else patient.state / site.road.ca)
    except (OSError, ValueError) as error:
        yield bad("road", f"第二通道不通：{error}", f"the other road is closed: {error}", f"curl -v {url}")
        return
    yield good("road", f"第二通道通（{status}）", f"the other road is open ({status})")


def _status(url: str, ca: Path | None) -> int:
    context = ssl.create_default_context(cafile=ca) if url.startswith("https:") else None
    try:
        with urllib.request.urlopen(url, timeout=WITHIN_S, context=context) as answer:  # noqa: S310 - looked at above
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _health(patient: Patient) -> Iterator[Finding]:
    path = patient.state / "health.json"
    start = "systemctl start shouwang-gateway"
    try:
        age_s = patient.now_ms / 1_000 - path.stat().st_mtime
        health: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        yield bad("gateway", "网关没有运行过", "the gateway has not run here", start)
        return
    if age_s > OLD_S:
        minutes = int(age_s // 60)
        yield bad("gateway", f"网关 {minutes} 分钟没有消息", f"the gateway has said nothing for {minutes} min", start)
        return
    yield good("gateway", "网关在运行", "the gateway runs")
    uplink = health["uplink"]
    if uplink["up"]:
        yield good("uplink", "已连上消息服务器", "connected to the broker")
    else:
        yield bad(
            "uplink", f"没有连上消息服务器：{uplink['trouble']}", f"not connected to the broker: {uplink['trouble']}",
            "journalctl -u shouwang-gateway -n 50",
        )  # fmt: skip
    queued = int(health["queued"])
    words = (f"{queued} 条等待上报", f"{queued} wait to be told")
    yield (doubtful("queue", *words) if queued > QUEUE_LONG else good("queue", *words))
    for name, line in health["lines"].items():
        if not line["up"]:
            yield bad(
                f"line {name}", f"网关打不开线路：{line['trouble']}", f"the gateway cannot use it: {line['trouble']}",
                SEE_PORTS,
            )  # fmt: skip
    faults = ", ".join(health["faults"])
    if faults:
        yield doubtful("faults", f"故障：{faults}", f"faults: {faults}", f"less {OPERATIONS}")
    else:
        yield good("faults", "没有故障", "no faults")


# What a station has


def _station(patient: Patient, site: Site) -> Iterator[Finding]:
    port = patient.http_port or site.station.port
    start = "systemctl start shouwang-station; journalctl -u shouwang-station -n 50"
    host = "127.0.0.1" if site.station.host in {"0.0.0.0", "::"} else site.station.host  # noqa: S104 - what is listened on
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/healthz", timeout=WITHIN_S) as answer:
            health: Mapping[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            health = _read(error)
    except (OSError, ValueError) as error:
        yield bad("station", f"所端没有应答：{error}", f"the station does not answer: {error}", start)
        return
    status = str(health.get("status", "unknown"))
    words = (f"所端状态：{status}", f"the station says: {status}")
    look = f"curl http://{host}:{port}/healthz"
    match status:
        case "ok":
            yield good("station", *words)
        case "attention":
            yield doubtful("station", *words, look)
        case _:
            yield bad("station", *words, look)


def _read(error: urllib.error.HTTPError) -> Mapping[str, Any]:
    try:
        found = json.load(error)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# What others can reach


def _doors(patient: Patient, site: Site) -> Iterator[Finding]:
    """Each port at which others can knock, and whether it has to be there (ETSI EN 303 645, 5.6-1)."""
    ours = _ours(patient, site)
    found = listeners(patient.root / "proc")
    inside = [one for one in found if one.loopback]
    many = ", ".join(str(one.port) for one in inside) or "-"
    ports = "port" if len(inside) == 1 else "ports"
    yield good(
        "listening",
        f"只有本机能连的端口 {len(inside)} 个：{many}",
        f"{len(inside)} {ports} for this machine alone: {many}",
    )
    for one in found:
        if not one.loopback:
            yield _door(one, ours)


def _ours(patient: Patient, site: Site) -> dict[int, Words]:
    """Ports that the site file opens to others on this machine: none on a box that has a gateway alone."""
    if patient.gateway is not None and not keyring.folder_of(patient.keys, STATION_KID).exists():
        return {}
    found: dict[int, Words] = {}
    if site.broker.mutual or site.broker.plain or site.broker.listen is not None:
        found[site.broker.port] = Words("消息服务器，站点文件里有", "the broker, as the site file says")
    if not _is_loopback(site.station.host):
        found[patient.http_port or site.station.port] = Words("所端网页", "the station's pages")
    if site.tls is not None:
        found[site.tls.port] = Words("所端网页（HTTPS）", "the station's pages (HTTPS)")
    return found


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


def _door(one: Listener, ours: Mapping[int, Words]) -> Finding:
    what = f"listening {one.protocol}/{one.port}"
    who_zh, who = (f"（{one.program}）", f" ({one.program})") if one.program else ("", "")
    if one.protocol == "tcp" and (known := ours.get(one.port)) is not None:
        return good(what, f"{known.zh}{who_zh}", f"{known.en}{who}")
    if (one.protocol, one.port) in ADDRESS_ITSELF:
        return good(what, f"自动获取地址（DHCP）{who_zh}", f"gets this machine its address (DHCP){who}")
    if one.program == "mosquitto":
        return doubtful(
            what, "消息服务器对外开着，站点文件没有这样要求",
            "the broker is open to others, and the site file does not ask for that",
            "cp /usr/share/doc/shouwang/examples/mosquitto.conf /etc/mosquitto/conf.d/shouwang.conf; "
            "systemctl restart mosquitto",
        )  # fmt: skip
    if (needless := NEEDLESS.get((one.protocol, one.port))) is not None:
        units, zh, en = needless
        return doubtful(what, f"{zh}{who_zh}，不需要就关掉", f"{en}{who}", f"systemctl disable --now {units}")
    if one.unit is not None:
        return doubtful(
            what, f"别人能连到 {one.unit}{who_zh}，守望不需要它",
            f"others reach {one.unit}{who}; Shouwang does not need it", f"systemctl disable --now {one.unit}",
        )  # fmt: skip
    return doubtful(
        what, f"别人能连到{who_zh or '不知道是谁的端口'}，守望不需要它",
        f"others reach{who or ' it, whoever it is'}; Shouwang does not need it",
        f"sudo ss -lnp --{one.protocol} 'sport = :{one.port}'",
    )  # fmt: skip


# Telling


def worst(findings: list[Finding]) -> State:
    """How the box is as a whole."""
    states = {one.state for one in findings}
    return next((state for state in (State.BAD, State.DOUBTFUL) if state in states), State.GOOD)


def as_plain(findings: list[Finding]) -> list[dict[str, Any]]:
    """For a program."""
    return [{**asdict(one), "words": {"zh": one.words.zh, "en": one.words.en}} for one in findings]


def bundle(patient: Patient, findings: list[Finding], to: Path) -> None:
    """Write an archive for whoever helps (tar, gzip; for its owner alone). Raises OSError."""
    parts: dict[str, Callable[[], str]] = {
        "findings.json": lambda: json.dumps(as_plain([*map(_withheld, findings)]), ensure_ascii=False, indent=1),
        "health.json": lambda: json.dumps(_said(json.loads((patient.state / "health.json").read_bytes())), indent=1),
        "site.json": lambda: json.dumps(_shape(tomllib.loads(patient.path.read_text("utf-8"))), indent=1),
    }
    descriptor = os.open(to, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, make in parts.items():
            try:
                octets = make().encode()
            except (OSError, ValueError) as error:
                octets = f"{type(error).__name__}\n".encode()
            member = tarfile.TarInfo(f"shouwang-doctor/{name}")
            member.size, member.mtime, member.mode = len(octets), patient.now_ms // 1_000, 0o600
            archive.addfile(member, io.BytesIO(octets))


def _withheld(found: Finding) -> Finding:
    """A finding for somebody else: where it repeats what somebody wrote, only the English around it is left."""
    en = without_values(found.words.en)
    words = found.words if en == found.words.en else Words(zh=REDACTED, en=en)
    return replace(found, words=words, mend=None if found.mend is None else without_values(found.mend))


def _said(value: Any) -> Any:
    """What a program said of itself, without what somebody wrote: a trouble repeats what it did not like."""
    match value:
        case dict():
            return {without_values(name): _said(inner) for name, inner in value.items()}
        case list():
            return [_said(inner) for inner in value]
        case str():
            return without_values(value)
        case _:
            return value


def _shape(value: Any, *, said: bool = False) -> Any:
    """A site file without what could name somebody or open something."""
    match value:
        case dict():
            return {name: _shape(inner, said=name in SAID) for name, inner in value.items()}
        case list():
            return [_shape(inner, said=said) for inner in value]
        case bool() | int() | float():
            return value
        case _:
            return value if said else "[left out]"
