"""The card of a gateway died: a new box takes its place, and the old one, should it come back, is nobody."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy import check, replacing
from deploy.provisioning import ProvisioningError
from faults.town import town


@pytest.mark.proves("N1", "N2", "N10", "N14", "F29")
def test_a_new_box_takes_the_place_of_a_dead_one_and_the_old_one_is_refused(tmp_path: Path) -> None:
    stick, old = tmp_path / "stick", tmp_path / "old"
    with town(tmp_path) as before:
        before.wait_greeted()
        before.press("u03")
        before.settle()
        before.gateway.kill()
        keyring, http_port = before.box.directory / "keys", before.box.http_port
        shutil.copytree(keyring, old / "keys")
        shutil.move(before.state, old / "state")
        text = before.box.site_path.read_text()
        site = check.load(before.box.site_path)
        with closing(sqlite3.connect(before.database)) as tables, tables:  # else an administrator gives the role
            grant = "INSERT INTO account_grant (account, role, scope, from_ms, given_ms)"
            tables.execute(f"{grant} VALUES ('desk', 'duty_leader', 'north', 1, 1)")
        done = replacing.replace(
            site, text, "gw1", keyring=keyring, out=stick, signs=None, now=datetime.now(UTC)
        )  # fmt: skip
        replacing.tell(f"http://127.0.0.1:{http_port}", before.box.tokens["desk"], gateway="gw1", public=done.public)
        (believed,) = before.box.get("/api/v1/register/gateways")
        assert [*believed["public_keys"].values()] == [done.public]
        with pytest.raises(replacing.NotTold, match="401"):
            replacing.tell(f"http://127.0.0.1:{http_port}", "nobody", gateway="gw1", public=done.public)
        with pytest.raises(replacing.NotTold, match="https"):
            replacing.tell("http://desk.north.example", "nobody", gateway="gw1", public=done.public)
        with pytest.raises(ProvisioningError, match="something"):
            replacing.replace(site, text, "gw1", keyring=keyring, out=stick, signs=None, now=datetime.now(UTC))
        tokens = before.box.tokens

    units = "gateways/gw1/units"
    assert (stick / "keys" / units).read_bytes() == (old / "keys" / units).read_bytes()
    for name in ("seed", "account"):
        new, gone = (folder / "gateways/gw1" / name for folder in (stick / "keys", old / "keys"))
        assert new.read_bytes() != gone.read_bytes()
    assert not list((stick / "keys").glob("station/*"))

    with town(tmp_path, start=False) as after:
        after.box.tokens = tokens
        after.box.start_station()
        after.box.site_path = stick / "site.toml"
        whole = after.box.directory / "keys"
        shutil.move(whole, tmp_path / "office")  # the new box has what was carried to it, and nothing else
        shutil.copytree(stick / "keys", whole)
        after.box.start_gateway()
        message = after.press("u05")
        after.wait_siren("u08", message)
        after.settle()
        assert {body["press"] for body in after.stored("press")} >= {message}
        assert len({row["epoch"] for row in after.stored("epoch_opened")}) == 2
        verdict = after.verdict()
        assert (verdict.lost, verdict.leaked, verdict.rung_twice) == ([], [], [])

        lost = old / "village.toml"
        lost.write_text(text.replace(f"{tmp_path}/ports/", f"{old}/ports/"))
        arguments = ["gateway", "--site", str(lost), "--id", "gw1", "--keys", str(old / "keys")]
        arguments += ["--state", str(old / "state"), "--broker-port", str(after.box.broker.port)]
        (old / "state/health.json").unlink(missing_ok=True)
        running = after.box._start("gateway-old", arguments)

        def is_refused() -> bool:
            health = old / "state/health.json"
            return health.exists() and "not authori" in json.loads(health.read_text())["uplink"]["trouble"].lower()

        after.box.wait_until(is_refused, "the old box is refused", timeout_s=60)
        running.stop()
        faults = [fault["code"] for fault in after.box.get("/api/v1/faults")["faults"]]
        assert {"clone", "gap", "history_changed"} & {*faults} == set()
