"""The road of an alarm by HTTPS to a station that shows a certificate of its own authority, in real processes."""

import json
import ssl
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy import authority
from deploy.authority import names_of
from deploy.mosquitto import free_port
from faults.town import town


@pytest.mark.proves("A1", "N2")
def test_a_village_serves_https_and_its_gateway_believes_the_authority_of_the_site(tmp_path: Path) -> None:
    root = authority.establish(tmp_path / "ca", name="village", passphrase=None, now=datetime.now(UTC))
    tls, port, ca = tmp_path / "tls", free_port(), tmp_path / "tls/root.crt"
    authority.put_station(root.server(names_of(["127.0.0.1"]), now=datetime.now(UTC)), root, tls)
    more = (
        f'\n[tls]\nfolder = "{tls}"\nport = {port}\n'
        f'\n[road]\nurl = "https://127.0.0.1:{port}"\nca = "{ca}"\nafter_s = 1\n'
    )
    with town(tmp_path, more=more) as cut:
        cut.wait_greeted()
        trusting = ssl.create_default_context(cafile=str(ca))
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", context=trusting, timeout=60) as answer:
            health = json.load(answer)
        assert health["certificate"]["trouble"] is False
        assert not [one for one in cut.box.get("/api/v1/faults")["faults"] if one["code"].startswith("certificate")]
        cut.box.broker.kill()
        message = cut.press("u03")
        cut.wait_siren("u08", message)
        cut.box.wait_until(lambda: bool(cut.box.get("/api/v1/alarms")["items"]), "the police have it", timeout_s=60)
