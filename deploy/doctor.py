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
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from broker.ids import GatewayId
from broker.kinds import Words
from broker.signing import STATION_KID, gateway_kid
from deploy import assembly, check
from deploy import keys as keyring
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
ENDS_SOON_MS: Final = 30 * 86_400_000
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
    findings += [_keys(patient, site), _clock(patient.now_ms), *_disk(patient.state), _broker(patient, site)]
    findings += _certificates(patient, site)
    if gateway is not None:
        findings += [*_lines(patient, site), *_pins(gateway), *_road(patient, site), *_health(patient)]
    else:
        findings += _station(patient, site)
    return findings


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


def _disk(state: Path) -> Iterator[Finding]:
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
    yield _sync(where)


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
                "ls -l /dev/serial/by-id",
            )  # fmt: skip
            continue
        if not stat.S_ISCHR(found.st_mode):
            yield bad(what, f"{port} 不是串口", f"{port} is no port", "ls -l /dev/serial/by-id")
        elif not os.access(port, os.R_OK | os.W_OK):
            yield bad(what, f"没有权限使用 {port}", f"{port} may not be used by this user", "adduser $USER dialout")
        else:
            yield good(what, f"{port} 可用", f"{port} is there")


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
                "ls -l /dev/serial/by-id",
            )  # fmt: skip
    faults = ", ".join(health["faults"])
    if faults:
        yield doubtful("faults", f"故障：{faults}", f"faults: {faults}", "docs/operations.md")
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
        "findings.json": lambda: json.dumps(as_plain(findings), ensure_ascii=False, indent=1),
        "health.json": lambda: (patient.state / "health.json").read_text(encoding="utf-8"),
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
