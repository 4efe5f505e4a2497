"""`shouwang init`: by flags, by a file, and by a technician who types wrongly, on a terminal of his own."""

import os
import pty
import re
import select
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.ids import GatewayId
from deploy import check, provisioning, wizard
from deploy.cli import app
from deploy.wizard import Answers, Kind

RUNNER = CliRunner()
ROOT = Path(__file__).parents[2]


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    """A board with a UART and two adapters, named by their socket and by themselves."""
    sockets = ["platform-fe201000_serial", "usb-0_1_2", "usb-0_1_3"]
    for folder, names in (("shouwang", sockets), ("serial/by-id", ["usb-FTDI_A10-if00-port0"])):
        (tmp_path / "dev" / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / "dev" / folder / name).touch()
    return tmp_path / "dev"


def run(*arguments: object) -> tuple[int, str]:
    done = RUNNER.invoke(app, ["init", *map(str, arguments)])
    return done.exit_code, done.output


def test_every_kind_of_answer_makes_a_site_without_an_error() -> None:
    for said in (
        Answers(),
        Answers(key_pin=17, siren_pin=27, households=1),
        Answers(ports=("/dev/shouwang/a", "/dev/shouwang/b"), group='3号楼"5层"\\', households=30, label="城北派出所"),
        Answers(
            kind=Kind.STATION, broker="mqtt.north.example:8883", broker_ca="/etc/ca.pem", host="192.168.7.2", tls="tls"
        ),
    ):
        checked = check.check_text(wizard.site_text(said))
        assert [one for one in checked.problems if one.severity == "error"] == []
        assert checked.site is not None
        assert len(checked.site.households) == said.households
        gateway = checked.site.gateway(GatewayId("gw1"))
        assert gateway is not None
        assert len(gateway.units) == (said.households if said.ports else 0)


def test_flags_set_a_box_up_once_and_nothing_is_overwritten(tmp_path: Path, devices: Path) -> None:
    out = tmp_path / "etc"
    setting = ["--out", out, "--devices", devices, "--state", tmp_path / "state", "--kind", "box", "--lang", "en"]
    code, said = run(*setting, "--set", "station=north", "--set", "households=10", "--set", "key_pin=17")
    assert code in {0, 1}, said  # what doctor says of a machine on which nothing runs yet
    assert "shouwang box --site" in said
    assert re.search(r"^desk: \S{32} ", said, re.MULTILINE)
    document = tomllib.loads((out / "site.toml").read_text("utf-8"))
    assert document["gateway"][0]["line"][0]["port"] == str(devices / "shouwang/usb-0_1_2")
    assert (out / "gateway.env").read_text() == "GATEWAY=gw1\n"
    assert (tmp_path / "state/keys").stat().st_mode & 0o777 == 0o700
    assert not (out / "keys").exists()  # `shouwang box` looks for them where it keeps everything
    assert "keys: keys are there" in said
    assert "site: the site file is sound" in said or "site: the site file has" in said
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    code, said = run(*setting)
    assert (code, "not overwritten" in said) == (2, True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("wrong", "named"),
    [("households=31", "households"), ("key_pin=40", "key_pin"), ("ports=ttyUSB0", "ports"), ("doors=1", "doors"),
     ("broker=mqtt", "broker"), ("kind=castle", "castle"), ("station=Norden!", "station")],
)  # fmt: skip
def test_what_cannot_be_is_named_and_nothing_is_written(tmp_path: Path, wrong: str, named: str) -> None:
    answers = tmp_path / "answers.toml"
    answers.write_text('station = "north"\nhouseholds = 5\nports = ["/dev/shouwang/a"]\n')
    code, said = run("--out", tmp_path / "etc", "--answers", answers, "--set", wrong)
    assert (code, named in said) == (2, True), said
    assert not (tmp_path / "etc").exists()


def test_a_gateway_takes_over_what_the_office_made_for_it_and_nothing_else(tmp_path: Path) -> None:
    office = tmp_path / "office"
    path = wizard.write(Answers(station="north", ports=("/dev/shouwang/a",)), office)
    text = path.read_text("utf-8")
    provisioning.provision_gateway(
        check.load(path),
        text,
        "gw1",
        keyring=office / "keys",
        out=tmp_path / "stick",
        signs=None,
        now=datetime.now(UTC),
    )
    code, said = run("--out", tmp_path / "etc", "--kind", "gateway")
    assert (code, "provision gateway" in said) == (2, True)
    code, said = run("--out", tmp_path / "etc", "--from", office)
    assert (code, (tmp_path / "etc").exists()) == (2, False)
    taking = ["--out", tmp_path / "etc", "--from", tmp_path / "stick", "--state", tmp_path / "state"]
    code, said = run(*taking)
    assert "systemctl enable --now shouwang-gateway" in said
    assert "密钥齐全" in said
    brought = {path.relative_to(tmp_path / "stick") for path in (tmp_path / "stick").rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path / "etc") for path in (tmp_path / "etc").rglob("*") if path.is_file()} == brought
    assert run(*taking)[0] == 2


def test_a_technician_is_asked_on_a_terminal_and_asked_again(tmp_path: Path, devices: Path) -> None:
    """Ten questions in Chinese; a wrong number of households is asked for once more."""
    terminal, ours = pty.openpty()
    command = [sys.executable, "-m", "deploy.cli", "init", "--out", str(tmp_path / "etc"), "--devices", str(devices)]
    running = subprocess.Popen(
        [*command, "--state", str(tmp_path / "state")],
        stdin=ours, stdout=ours, stderr=ours, cwd=ROOT, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    os.close(ours)
    typed = {
        "这台机器做什么": "box", "派出所编号": "north", "派出所名称": "城北派出所", "联防组名称": "3号楼",
        "组内户数": "99", "填写有误": "", "组内户数(1至30) [": "12", "第一户门号": "501", "所在串口": "",
        "报警按钮": "17", "警号": "", "网页服务地址": "", "HTTPS": "",
    }  # fmt: skip
    said, questions = "", list(typed)
    try:
        for question in questions:
            deadline = time.monotonic() + 60
            while question not in said:
                assert time.monotonic() < deadline, (question, said)
                if select.select([terminal], [], [], 0.2)[0]:
                    said += os.read(terminal, 65_536).decode(errors="replace")
            said = said.rpartition(question)[2]
            if question != "填写有误":
                os.write(terminal, f"{typed[question]}\n".encode())
        with suppress(OSError):  # the other end is closed
            while os.read(terminal, 65_536):
                pass
        assert running.wait(60) in {0, 1}
    finally:
        running.kill()
        running.wait()
    os.close(terminal)
    site = check.load(tmp_path / "etc/site.toml")
    assert (site.station.id, site.station.label, len(site.households)) == ("north", "城北派出所", 12)
    assert [site.households[0].door, site.households[-1].label] == [501, "3号楼512"]
    assert site.gateways[0].lines[0].port == str(devices / "shouwang/usb-0_1_2")
    assert [contact.pin for contact in site.gateways[0].contacts] == [17]
    assert site.gateways[0].sounders == ()
