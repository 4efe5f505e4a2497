"""HTTPS beside HTTP: what each says to whom, over real sockets, with certificates of `shouwang ca`."""

import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http.client import HTTPResponse
from pathlib import Path

import pytest
from pydantic import ValidationError

from api.faults.certificates import CertificateWatch, stage
from api.health.metrics import Figures
from api.rights.rules import Role
from api.settings import StationSettings, TlsListener
from api.tls import Identity, hsts_s
from deploy import authority
from deploy.authority import Authority, names_of
from tests.api.conftest import only_sqlite
from tests.api.peers import DEADLINE_S, STATION
from tests.api.people import Hands
from tests.api.signing_in import PASSWORD, account
from tests.screens.seeing import Serving

DAY_MS = 86_400_000
BROWSER = {"Upgrade-Insecure-Requests": "1", "Accept": "text/html"}
Answer = tuple[int, http.client.HTTPMessage, bytes]


@pytest.fixture
def root(tmp_path: Path) -> Authority:
    return authority.establish(tmp_path / "ca", name="test", passphrase=None, now=datetime.now(UTC))


@pytest.fixture
def folder(root: Authority, tmp_path: Path) -> Path:
    sign(root, tmp_path / "tls")
    return tmp_path / "tls"


def sign(root: Authority, folder: Path, *, now: datetime | None = None, names: Sequence[str] = ("127.0.0.1",)) -> None:
    pair = root.server(names_of([*names, "desk.lan"]), now=now or datetime.now(UTC))
    authority.put_station(pair, root, folder)


def with_tls(settings: StationSettings, folder: Path, **how: object) -> StationSettings:
    tls = TlsListener.model_validate(
        {"port": 0, "certificate": folder / "station.crt", "key": folder / "station.key", "root": folder / "root.crt"}
        | how
    )
    return settings.model_copy(update={"http": settings.http.model_copy(update={"tls": tls})})


@pytest.fixture
def hands() -> Hands:
    made = Hands()
    made.now_ms = int(time.time() * 1_000)
    return made


Serve = Callable[..., Serving]


@pytest.fixture
def serving(settings: StationSettings, folder: Path, hands: Hands) -> Iterator[Serve]:
    running: list[Serving] = []

    def one(**how: object) -> Serving:
        for before in running:
            before.stop()
        running.append(Serving(with_tls(settings, folder, **how), clock=hands))
        running[-1].start()
        return running[-1]

    yield one
    for each in running:
        each.stop()


def trusting(root: Authority, *versions: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(root.directory / "root.crt"))
    if versions:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = versions[0], versions[-1]
    return context


def ask(
    origin: str,
    path: str,
    *,
    method: str = "GET",
    root: Authority | None = None,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    scheme, _, at = origin.partition("://")
    connection: http.client.HTTPConnection = http.client.HTTPConnection(at, timeout=DEADLINE_S)
    if scheme == "https":
        assert root is not None
        connection = http.client.HTTPSConnection(at, timeout=DEADLINE_S, context=trusting(root))
    sent = dict(headers or {})
    if body is not None:
        sent["Content-Type"] = "application/json"
    connection.request(method, path, None if body is None else json.dumps(body), sent)
    answer: HTTPResponse = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer.status, answer.headers, read


@only_sqlite
def test_both_doors_serve_and_only_browsers_that_can_do_better_are_sent_to_the_better_one(
    serving: Serve, root: Authority, hands: Hands
) -> None:
    one = serving()
    plain, secure = one.origin, one.secure_origin
    assert ask(secure, "/healthz", root=root)[0] == 200
    status, headers, _ = ask(plain, "/alarms/a%20b?x=1&y=%E5%AE%88", headers=BROWSER)
    assert (status, headers["location"]) == (307, f"{secure}/alarms/a%20b?x=1&y=%E5%AE%88")
    assert headers["cache-control"] == "no-store"
    assert ask(plain, "/desk", headers=BROWSER)[0] == 307
    assert ask(plain, "/desk", method="HEAD", headers=BROWSER)[0] == 307
    # What phones, households, scanners of checkpoints and machines ask for stays where it is.
    for path in ("/phone/", "/phone", "/phone/guard", "/phone/c/PT1:x", "/trust", "/healthz", "/api/v1/session",
                 "/static/base.css", "/login?to=/phone/c/PT1%3Ax", "/login?to=%2Fphone%2F"):  # fmt: skip
        assert ask(plain, path, headers=BROWSER)[0] != 307, path
    # So do scripts, programs, what is sent, and whoever came by a name that the certificate does not have.
    assert ask(plain, "/desk")[1]["location"] == "/login?to=/desk"
    assert ask(plain, "/desk", headers={"Upgrade-Insecure-Requests": "0"})[0] == 303
    assert ask(plain, "/login", method="POST", headers=BROWSER)[0] == 401
    port = plain.rpartition(":")[2]
    assert ask(plain, "/desk", headers=BROWSER | {"Host": f"desk.lan:{port}"})[1]["location"].startswith(
        "https://desk.lan:"
    )
    for host in ("evil.example", f"10.0.0.1:{port}", "", "[::1]:80", "desk.lan.evil.example", "desk.lan@evil.example"):
        assert ask(plain, "/desk", headers=BROWSER | {"Host": host})[0] == 303, host
    # A gateway's road: the answer is the station's own, not a way elsewhere.
    status, _, body = ask(plain, "/api/v1/gateways/gw1/events", method="POST", body={"events": []}, headers=BROWSER)
    assert status in {400, 401, 403, 422}, body
    # Nobody is sent before a wall, nor by a station whose clock says 1970.
    now = hands.now_ms
    for wrong in (now + 500 * DAY_MS, 0, now - 30 * DAY_MS):
        hands.now_ms = wrong
        assert ask(plain, "/desk", headers=BROWSER)[0] == 303
        assert ask(secure, "/healthz", root=root)[0] == 200
    hands.now_ms = now


@only_sqlite
def test_a_station_may_leave_browsers_where_they_are_and_name_another_port(serving: Serve) -> None:
    assert ask(serving(redirect=False).origin, "/desk", headers=BROWSER)[0] == 303
    assert ask(serving(public_port=443).origin, "/desk", headers=BROWSER)[1]["location"] == "https://127.0.0.1/desk"


@only_sqlite
def test_nothing_older_than_tls_1_2_is_spoken_and_nothing_plain_on_the_secure_port(
    serving: Serve, root: Authority
) -> None:
    one = serving()
    port = int(one.secure_origin.rpartition(":")[2])

    def shake(context: ssl.SSLContext) -> str | None:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as secured,
        ):
            return secured.version()

    assert shake(trusting(root, ssl.TLSVersion.TLSv1_2)) == "TLSv1.2"
    assert shake(trusting(root, ssl.TLSVersion.TLSv1_3)) == "TLSv1.3"
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old = trusting(root, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
    with pytest.raises(ssl.SSLError, match=r"EOF|(?i:alert)"):
        shake(old)
    assert identity_of(one).context.minimum_version is ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(ssl.create_default_context())  # a machine that does not trust the root
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not raw.recv(100).startswith(b"HTTP")
    # Somebody who does not shake hands keeps nobody else from it.
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S):
        assert ask(one.secure_origin, "/healthz", root=root)[0] == 200


@only_sqlite
def test_browsers_insist_only_where_it_was_asked_for_and_never_beyond_the_certificate(
    serving: Serve, root: Authority, hands: Hands
) -> None:
    quiet = serving()
    assert "strict-transport-security" not in ask(quiet.secure_origin, "/login", root=root)[1]
    one = serving(public_port=443, hsts=True)
    for path in ("/login", "/api/v1/session", "/static/base.css", "/nowhere"):
        assert ask(one.secure_origin, path, root=root)[1]["strict-transport-security"] == f"max-age={30 * 86_400}"
        assert "strict-transport-security" not in ask(one.origin, path)[1]
    certificate = identity_of(one).certificate
    assert certificate is not None
    hands.now_ms = certificate.not_after_ms - 20 * DAY_MS
    assert ask(one.secure_origin, "/login", root=root)[1]["strict-transport-security"] == f"max-age={6 * 86_400}"
    hands.now_ms = certificate.not_after_ms - 13 * DAY_MS
    assert ask(one.secure_origin, "/login", root=root)[1]["strict-transport-security"] == "max-age=0"
    assert hsts_s(certificate, certificate.not_after_ms + DAY_MS) == 0
    # At any other port insisting would close HTTP without opening HTTPS: browsers keep the port.
    with pytest.raises(ValidationError, match="port 443"):
        TlsListener(certificate=Path("x"), key=Path("y"), port=8443, hsts=True)


@only_sqlite
def test_cookies_of_https_are_held_to_it_and_those_of_http_are_left_alone(serving: Serve, root: Authority) -> None:
    one = serving()
    account(one.station, "wang", (Role.DUTY_OFFICER, STATION))
    given = {"login": "wang", "password": PASSWORD}
    cookies = {}
    for origin in (one.origin, one.secure_origin):
        status, headers, _ = ask(
            origin, "/api/v1/session", method="POST", body=given, root=root, headers={"Origin": origin}
        )
        assert status == 200
        cookies[origin] = headers["set-cookie"]
    assert cookies[one.secure_origin].startswith("__Host-shouwang_session=")
    for part in ("; Secure", "; HttpOnly", "; SameSite=lax", "; Path=/"):
        assert part in cookies[one.secure_origin]
    assert "Domain" not in cookies[one.secure_origin]
    assert cookies[one.origin].startswith("shouwang_session=")
    assert "Secure" not in cookies[one.origin]
    # Each is good where it was given, and a plain one that somebody planted is nothing by HTTPS.
    for origin, cookie in cookies.items():
        assert ask(origin, "/api/v1/session", root=root, headers={"Cookie": cookie.partition(";")[0]})[0] == 200
    secret = cookies[one.secure_origin].partition(";")[0].partition("=")[2]
    planted = f"shouwang_session={secret}"
    assert ask(one.secure_origin, "/api/v1/session", root=root, headers={"Cookie": planted})[0] == 401
    page = ask(one.secure_origin, "/login", root=root)
    assert page[1]["content-security-policy"] == ask(one.origin, "/login")[1]["content-security-policy"]
    token = json.loads(
        ask(one.secure_origin, "/api/v1/session", root=root, headers={"Cookie": f"__Host-{planted}"})[2]
    )["csrf"]
    status, headers, _ = ask(
        one.secure_origin, "/api/v1/session", method="DELETE", root=root,
        headers={"Cookie": f"__Host-{planted}", "X-CSRF-Token": token, "Origin": one.secure_origin},
    )  # fmt: skip
    assert status == 204
    assert "Max-Age=0" in headers["set-cookie"]
    assert "; Secure" in headers["set-cookie"]


def identity_of(serving: Serving) -> Identity:
    assert serving.station.identity is not None
    return serving.station.identity


def serial_at(port: int, root: Authority, *, name: str = "127.0.0.1") -> str:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as raw,
        trusting(root).wrap_socket(raw, server_hostname=name) as secured,
    ):
        shown = secured.getpeercert()
        assert shown is not None
        return str(shown["serialNumber"]).lower().lstrip("0")


@only_sqlite
def test_a_renewed_certificate_is_shown_without_a_restart_and_what_cannot_be_used_is_left_alone(
    serving: Serve, root: Authority, folder: Path, tmp_path: Path
) -> None:
    one = serving()
    port = int(one.secure_origin.rpartition(":")[2])
    identity = identity_of(one)

    def issued() -> str:
        return authority.listed(root.directory)[-1].serial

    first = issued()
    assert serial_at(port, root) == serial_at(port, root, name="desk.lan") == first
    # Half of a renewal: the new key, and still the old certificate.
    sign(root, tmp_path / "new")
    (folder / "station.key").write_bytes((tmp_path / "new/station.key").read_bytes())
    identity.look()
    assert serial_at(port, root) == first
    # All of it; whoever was connected stays so.
    (folder / "station.crt").write_bytes((tmp_path / "new/station.crt").read_bytes())
    kept = http.client.HTTPSConnection("127.0.0.1", port, timeout=DEADLINE_S, context=trusting(root))
    kept.request("GET", "/healthz")
    kept.getresponse().read()
    identity.look()
    kept.request("GET", "/healthz")
    assert kept.getresponse().status == 200
    kept.close()
    assert serial_at(port, root) == serial_at(port, root, name="desk.lan") == issued() != first
    for wrong in (b"", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", b"\xff"):
        (folder / "station.crt").write_bytes(wrong)
        identity.look()
        assert serial_at(port, root) == issued()
    (folder / "station.crt").unlink()
    identity.look()
    assert serial_at(port, root) == issued()
    assert identity.certificate is not None
    assert identity.certificate.valid(int(time.time() * 1_000))
    ends_s = identity.certificate.not_after_ms // 1_000
    [shown] = re.findall(
        r"^shouwang_certificate_ends_timestamp_seconds (.*)$", Figures(one.station).text().decode(), re.MULTILINE
    )
    assert float(shown) == ends_s


@only_sqlite
def test_many_handshakes_while_it_is_renewed_each_find_a_whole_certificate(
    serving: Serve, root: Authority, folder: Path
) -> None:
    one = serving()
    port = int(one.secure_origin.rpartition(":")[2])
    identity = identity_of(one)
    stop, seen, wrong = threading.Event(), set[str](), list[str]()

    def knock() -> None:
        while not stop.is_set():
            try:
                seen.add(serial_at(port, root))
            except OSError as error:
                wrong.append(str(error))

    knocking = [threading.Thread(target=knock) for _ in range(2)]
    for each in knocking:
        each.start()
    for _ in range(10):
        sign(root, folder)
        identity.look()
        serial_at(port, root)
    stop.set()
    for each in knocking:
        each.join(DEADLINE_S)
    assert wrong == []
    assert len(seen) > 1


@only_sqlite
def test_a_station_without_a_certificate_starts_all_the_same_and_is_there_by_http_until_it_has_one(
    serving: Serve, root: Authority, folder: Path, tmp_path: Path
) -> None:
    (folder / "station.key").unlink()
    one = serving()
    identity = identity_of(one)
    assert identity.certificate is None
    assert "station.key" in identity.trouble
    assert ask(one.origin, "/desk", headers=BROWSER)[0] == 303
    with pytest.raises(OSError, match=r"(?i)alert|EOF|reset"):
        ask(one.secure_origin, "/healthz", root=root)
    sealed = authority.establish(tmp_path / "sealed", name="x", passphrase="eight or more", now=datetime.now(UTC))
    for key, why in (
        (folder / "station.crt", "cannot be used together"),
        (root.directory / "root.key", "cannot be used together"),
        (sealed.directory / "root.key", "encrypted"),
    ):
        (folder / "station.key").write_bytes(key.read_bytes())
        identity.look()
        assert why in identity.trouble
        assert str(tmp_path) in identity.trouble
    sign(root, folder)
    identity.look()
    assert identity.trouble == ""
    assert ask(one.secure_origin, "/healthz", root=root)[0] == 200
    assert ask(one.origin, "/desk", headers=BROWSER)[0] == 307


@pytest.mark.proves("F58")
def test_a_certificate_is_a_fault_30_7_and_1_days_before_its_end() -> None:
    ends = 100 * DAY_MS
    for days, code in (
        (31, None), (30, "certificate_ends"), (8, "certificate_ends"), (7, "certificate_ends_soon"),
        (2, "certificate_ends_soon"), (1, "certificate_ends_now"), (0, "certificate_ended"), (-9, "certificate_ended"),
    ):  # fmt: skip
        assert stage(0, ends, ends - days * DAY_MS) == code
    assert stage(5, ends, 4) == "certificate_not_yet"


@only_sqlite
def test_each_stage_is_said_anew_until_the_certificate_is_renewed(
    serving: Serve, root: Authority, folder: Path, hands: Hands
) -> None:
    root.client("north.gateway.g1", now=datetime.now(UTC))
    root.client("north.gateway.g2", now=datetime.now(UTC))
    root.revoke("north.gateway.g2", now=datetime.now(UTC))
    sign(root, folder)
    one = serving(issued=folder / "issued.json")
    tls = one.station.settings.http.tls
    assert tls is not None
    identity = identity_of(one)
    assert identity.certificate is not None
    watch = CertificateWatch(
        one.station.database, one.station.register, tls, identity, clock=hands, host="pi"
    )  # fmt: skip

    def found(days: int) -> list[tuple[str, str]]:
        assert identity.certificate is not None
        hands.now_ms = identity.certificate.not_after_ms - days * DAY_MS
        watch.look()
        rows = one.served.rows("SELECT code, about FROM fault WHERE cleared_ms IS NULL AND about LIKE 'pi %'")
        return sorted((str(code), str(about)) for code, about in rows)

    both = [(code, f"pi {what}") for code in ("certificate_ends",) for what in ("https", "north.gateway.g1")]
    assert found(40) == []
    assert found(20) == both
    assert found(20) == both
    assert found(5) == [("certificate_ends_soon", about) for _, about in both]
    assert found(0) == [("certificate_ended", about) for _, about in both]
    hands.now_ms = 0
    watch.look()
    assert found(40) == []
    hands.now_ms = identity.certificate.not_after_ms - 5 * DAY_MS
    health = json.loads(ask(one.origin, "/healthz")[2])
    assert health["certificate"]["days_left"] == 5
    assert health["certificate"]["trouble"] is False
    (folder / "root.crt").write_bytes(b"x")
    (folder / "station.crt").write_bytes(b"x")
    (folder / "issued.json").write_bytes(b"x")
    assert found(40) == [("certificate_unusable", "pi https"), ("certificate_unusable", "pi root")]
    sign(root, folder)
    assert found(40) == []
