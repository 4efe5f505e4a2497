"""How phones and desks come to trust the station, as whoever has no account sees it."""

import plistlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from api.settings import StationSettings
from deploy import authority
from deploy.authority import Authority
from tests.api.browsing import Visitor
from tests.api.conftest import Served, only_sqlite
from tests.api.test_tls import sign, with_tls

pytestmark = only_sqlite


@pytest.fixture
def root(tmp_path: Path) -> Authority:
    return authority.establish(
        tmp_path / "ca", name="<b>城北</b>派出所", permit=["testserver"], passphrase=None, now=datetime.now(UTC)
    )


@pytest.fixture
def settings(settings: StationSettings, root: Authority, tmp_path: Path) -> StationSettings:
    sign(root, tmp_path / "tls", names=("192.168.1.10", "testserver"))
    return with_tls(settings, tmp_path / "tls", port=8443, public_port=8443)


def test_whoever_has_no_account_gets_the_root_and_what_to_compare_it_with(
    served: Served, root: Authority, tmp_path: Path
) -> None:
    visitor = Visitor(served)
    assert '<a href="/trust">安装平台证书</a>' in visitor.get("/login")
    page = visitor.get("/trust").replace("<wbr>", "")
    sha256 = root.root.fingerprint(hashes.SHA256()).hex(":").upper()
    assert sha256 == authority.fingerprint(root.root)
    assert sha256 in page
    assert authority.fingerprint(root.root, sha1=True) in page
    assert "&lt;b&gt;城北" in page
    assert "https://testserver:8443/" in page
    for words in ("证书信任设置", "受信任的根证书颁发机构", "仍然安装", "统信", "先核对", "<svg"):
        assert words in page
    assert re.search(r"有效期至 20\d\d年", page)
    english = Visitor(served, "en").get("/trust")
    assert "Certificate Trust Settings" in english
    assert "证书" not in english
    # By another name than the certificate has, the address is one that it has.
    assert "https://testserver:8443/" in visitor.client.get("/trust", headers={"Host": "evil.example"}).text

    # On paper stands where somebody without the root comes to, also when it is printed by HTTPS.
    assert "http://testserver/trust</p>" in page
    at_desk = visitor.client.get("https://testserver/trust")
    assert "http://testserver/trust</p>" in at_desk.text
    assert at_desk.headers["cross-origin-opener-policy"] == "same-origin"

    answer = visitor.client.get("/trust/root.crt")
    assert answer.headers["content-type"] == "application/x-x509-ca-cert"
    assert answer.headers["content-disposition"] == 'attachment; filename="shouwang-root.crt"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert x509.load_der_x509_certificate(answer.content) == root.root

    answer = visitor.client.get("/trust/root.mobileconfig")
    assert answer.headers["content-type"] == "application/x-apple-aspen-config"
    profile = plistlib.loads(answer.content)
    assert profile["PayloadType"] == "Configuration"
    [inner] = profile["PayloadContent"]
    assert inner["PayloadType"] == "com.apple.security.root"
    assert inner["PayloadContent"] == answer_of(visitor, "/trust/root.crt")
    assert inner["PayloadUUID"] != profile["PayloadUUID"]
    assert answer_of(visitor, "/trust/root.mobileconfig") == answer.content

    # Nothing secret is to be had, and nothing where there is no root.
    for path in ("/trust/station.key", "/trust/root.key", "/trust/../tls/station.key"):
        assert visitor.client.get(path).status_code == 404
    (tmp_path / "tls/root.crt").unlink()
    assert "没有需要安装的证书" in visitor.get("/trust", status=404)
    for path in ("/trust/root.crt", "/trust/root.mobileconfig"):
        assert visitor.client.get(path).status_code == 404


def answer_of(visitor: Visitor, path: str) -> bytes:
    return visitor.client.get(path).content


def test_the_page_of_the_station_says_how_long_its_certificate_lasts(served: Served) -> None:
    health = served.health()
    assert health["certificate"]["trouble"] is False
    assert 394 <= health["certificate"]["days_left"] <= 396
