"""The pages by HTTPS in a browser that trusts the station's own root, and what only HTTPS gives them.

Names lead to this machine by a rule of the browser: a browser calls 127.0.0.1 secure without any certificate.
"""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from playwright.sync_api import Browser, Page
from playwright.sync_api import Error as BrowserError

from api.rights.rules import Role
from api.settings import StationSettings
from deploy import authority
from deploy.authority import Authority
from tests.api.peers import COMMUNITY, HOUSEHOLDS, STATION
from tests.api.signing_in import PASSWORD, account
from tests.api.test_tls import sign, with_tls
from tests.screens.seeing import Screen, Serving, chromium

NAME = "police.lan"
BANK = "bank.example.com"
OFFERED = """async () => ({
    secure: isSecureContext,
    camera: Boolean(navigator.mediaDevices?.getUserMedia),
    worker: Boolean(navigator.serviceWorker),
    lit: Boolean(navigator.wakeLock),
})"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("authority") / "ca"
    return authority.establish(folder, name="城北派出所", passphrase=None, now=datetime.now(UTC))


@pytest.fixture(scope="module")
def browser(root: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One in which somebody installed the root, as docs/tls.md says."""
    home = tmp_path_factory.mktemp("home")
    trusted = home / ".pki/nssdb"
    trusted.mkdir(parents=True)
    for command in (
        ["certutil", "-N", "-d", f"sql:{trusted}", "--empty-password"],
        ["certutil", "-A", "-d", f"sql:{trusted}", "-n", "root", "-t", "C,,", "-i", str(root.directory / "root.crt")],
    ):
        subprocess.run(command, check=True, capture_output=True)
    rules = f"--host-resolver-rules=MAP {NAME} 127.0.0.1, MAP {BANK} 127.0.0.1"
    with chromium(rules, home=home) as running:
        yield running


@pytest.fixture
def serving(settings: StationSettings, root: Authority, tmp_path: Path) -> Iterator[Serving]:
    sign(root, tmp_path / "tls", names=(NAME,))
    with Serving(with_tls(settings, tmp_path / "tls")) as running:
        for login, role, scope in (
            ("wang", Role.DUTY_OFFICER, STATION),
            ("gu", Role.GUARD, COMMUNITY),
            ("hu", Role.HOUSEHOLD, HOUSEHOLDS[0]),
        ):
            account(running.station, login, (role, scope))
        yield running


def by_name(origin: str, name: str = NAME) -> str:
    return origin.replace("127.0.0.1", name)


def enter(screen: Screen, login: str, to: str) -> Page:
    """As a person does: only the browser knows where the name leads."""
    page = screen.page
    page.goto(f"/login?to={to}")
    page.locator("input[name=login]").fill(login)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("form button.main").click()
    page.wait_for_url(f"**{to}")
    return page


def test_with_the_root_installed_everything_that_needs_https_is_there_and_nothing_complains(
    browser: Browser, serving: Serving
) -> None:
    one = Screen(browser, by_name(serving.secure_origin))
    page = enter(one, "wang", "/desk")
    one.connected()
    assert page.evaluate(OFFERED) == {"secure": True, "camera": True, "worker": True, "lit": True}
    assert {(cookie["name"], cookie["secure"]) for cookie in one.context.cookies()} >= {
        ("__Host-shouwang_session", True)
    }
    assert one.look_at("/trust") == []
    with page.expect_download() as loaded:
        page.get_by_role("link", name="下载证书").click()
    assert loaded.value.suggested_filename == "shouwang-root.crt"
    assert one.wrong == []
    one.close()


@pytest.mark.proves("A7")
def test_a_phone_that_trusts_the_root_opens_its_page_without_a_network(browser: Browser, serving: Serving) -> None:
    one = Screen(browser, by_name(serving.secure_origin), viewport={"width": 390, "height": 844})
    page = enter(one, "hu", "/phone/")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    assert page.evaluate(OFFERED)["secure"]
    asked = one.context.new_cdp_session(page)
    for name in ("guard", "field", "install", ""):
        page.goto(f"/phone/{name}")
        page.locator("#head #other").wait_for()
        errors = asked.send("Page.getInstallabilityErrors")["installabilityErrors"]
        assert [error["errorId"] for error in errors] == ["in-incognito"], name  # of every context of a test
        assert asked.send("Page.getAppManifest")["errors"] == []
    page.locator("#other").click()
    assert asked.send("Page.getAppManifest")["url"].endswith("/phone/household.en.webmanifest")
    page.locator("#other").click()
    page.goto("/trust")
    errors = asked.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [error["errorId"] for error in errors] == ["in-incognito", "no-manifest"]
    page.goto("/phone/")
    page.locator("#press").wait_for()
    serving.stop()
    one.away = True
    page.reload()
    page.get_by_text("没有网络：请打 110").first.wait_for()
    one.close()


def test_by_http_a_desk_is_led_to_https_and_a_phone_stays_and_presses(browser: Browser, serving: Serving) -> None:
    secure, plain = by_name(serving.secure_origin), by_name(serving.origin)
    desk = Screen(browser, secure)
    desk.context.on("request", lambda request: desk.wrong.remove(f"off origin: {request.url}")
                    if request.url == f"{plain}/desk" else None)  # fmt: skip
    desk.page.goto(f"{plain}/desk")
    assert desk.page.url == f"{secure}/login?to=/desk"
    assert desk.wrong == []
    desk.close()

    phone = Screen(browser, plain, viewport={"width": 390, "height": 844})
    page = enter(phone, "hu", "/phone/")
    assert page.url.startswith(f"{plain}/phone/")
    assert page.evaluate(OFFERED) == {"secure": False, "camera": False, "worker": False, "lit": False}
    page.locator("#press").click()
    page.wait_for_function("document.body.innerText.includes('已收到')")
    page.goto("/phone/#home")
    assert "没有走 HTTPS" in page.locator("#push").inner_text()
    page.goto("/trust")
    assert page.url == f"{plain}/trust"
    assert page.get_by_role("link", name=secure).is_visible()
    assert phone.wrong == []
    phone.close()


def test_a_browser_without_the_root_and_one_that_is_lied_to_by_a_thief_of_it_do_not_go_on(
    browser: Browser, serving: Serving, root: Authority, tmp_path: Path
) -> None:
    with pytest.raises(BrowserError, match="ERR_CERT_COMMON_NAME_INVALID"):
        Screen(browser, by_name(serving.secure_origin, BANK)).page.goto("/login")
    forge(root, BANK, tmp_path / "tls")
    assert serving.station.identity is not None
    serving.station.identity.look()
    assert serving.station.identity.certificate is not None
    assert serving.station.identity.certificate.covers(BANK)
    with pytest.raises(BrowserError, match="ERR_CERT_"):
        Screen(browser, by_name(serving.secure_origin, BANK)).page.goto("/login")
    forge(root, NAME, tmp_path / "tls")  # the same, but for the name, is taken
    serving.station.identity.look()
    one = Screen(browser, by_name(serving.secure_origin))
    one.page.goto("/login")
    one.close()


def forge(root: Authority, name: str, folder: Path) -> None:
    """What somebody with the root's key would sign for a bank."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(root.root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(root._key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    open_key = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "station.key").write_bytes(open_key)
    (folder / "station.crt").write_bytes(made.public_bytes(pem))
