"""Each import that .importlinter forbids is planted in a copy of the tree, and must break its contract."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "broker", "deploy", "devices", "firmware_sim", "gateway")

FORBIDDEN = [
    # planted in                 the import                     the contract that must break
    ("gateway/planted.py", "import api", "Composition on top"),
    ("api/planted.py", "import gateway", "Composition on top"),
    ("firmware_sim/planted.py", "import gateway", "Composition on top"),
    ("gateway/planted.py", "import deploy", "Composition on top"),
    ("broker/planted.py", "import devices", "Composition on top"),
    ("devices/planted.py", "import broker", "Composition on top"),
    ("api/planted.py", "import devices", "The station knows no hardware"),
    ("firmware_sim/planted.py", "import broker", "Simulated units know the wire"),
    ("devices/planted.py", "import time", "The two contracts do no I/O"),
    ("devices/planted.py", "from asyncio import Queue", "The two contracts do no I/O"),
    ("broker/planted.py", "import structlog", "The two contracts do no I/O"),
    ("gateway/planted.py", "import fastapi", "The gateway carries no screen"),
    ("gateway/recorder.py", "import gateway.uplink", "Recording never imports sending"),
    ("gateway/links/planted.py", "import gateway.outbox", "Recording never imports sending"),
    ("gateway/planted.py", "import paho.mqtt.client", "paho only"),
    ("api/planted.py", "import aiomqtt", "aiomqtt only"),
    ("gateway/links/planted.py", "import serial", "pyserial only"),
    ("gateway/planted.py", "import gpiozero", "gpiozero only"),
    ("firmware_sim/planted.py", "from cobs import cobs", "cobs only"),
    ("api/planted.py", "import rfc8785", "rfc8785 only"),
    ("gateway/planted.py", "from cryptography import x509", "cryptography only"),
    ("gateway/planted.py", "import sqlite3", "sqlite3 only"),
    ("api/planted.py", "import psycopg", "psycopg only"),
    ("api/planted.py", "import rich", "typer and rich only"),
    ("deploy/planted.py", "import sqlmodel", "SQLModel, SQLAlchemy and Alembic only"),
]

THROUGH_THE_DOORS = {
    "gateway/mqtt.py": "import paho.mqtt.client",
    "gateway/uplink.py": "import gateway.mqtt, gateway.outbox",
    "gateway/outbox.py": "import gateway.journal",
    "gateway/journal.py": "import sqlite3",
    "gateway/links/uart.py": "import serial",
    "gateway/links/gpio.py": "import gpiozero",
    "api/mqtt.py": "import paho.mqtt.client",
    "api/database.py": "import psycopg",
    "api/planted.py": "import api.mqtt, sqlmodel, broker.ed25519",
    "devices/framing.py": "import cobs",
    "devices/sealing.py": "import cryptography",
    "broker/ed25519.py": "import cryptography",
    "api/certificates.py": "import cryptography",
    "deploy/authority.py": "import cryptography",
    "deploy/watch.py": "import aiomqtt, typer",
    "deploy/planted.py": "import api, gateway, firmware_sim, gateway.uplink, api.planted, deploy.watch",
}


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """The packages with nothing in them but the modules that contracts speak of."""
    shutil.copy(ROOT / ".importlinter", tmp_path)
    modules = [f"{package}/__init__.py" for package in PACKAGES]
    modules += ["gateway/links/__init__.py", "gateway/uplink.py", "gateway/outbox.py"]
    for module in modules:
        path = tmp_path / module
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def broken_contracts(tree: Path) -> list[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {"PYTHONPATH": str(tree), "NO_COLOR": "1"}  # the copy is found before the installed tree
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert "Contracts: " in done.stdout, done.stdout + done.stderr
    return re.findall(r"^(.+?) ?BROKEN", done.stdout, re.MULTILINE)


def test_skeleton_without_a_forbidden_import_keeps_every_contract(skeleton: Path) -> None:
    assert broken_contracts(skeleton) == []


@pytest.mark.parametrize(("module", "statement", "contract"), FORBIDDEN)
def test_forbidden_import_breaks_its_contract(skeleton: Path, module: str, statement: str, contract: str) -> None:
    skeleton.joinpath(module).write_text(f"{statement}\n", encoding="utf-8")
    assert any(broken.startswith(contract) for broken in broken_contracts(skeleton))


def test_libraries_are_reached_through_their_doors(skeleton: Path) -> None:
    for module, statement in THROUGH_THE_DOORS.items():
        skeleton.joinpath(module).write_text(f"{statement}\n", encoding="utf-8")
    assert broken_contracts(skeleton) == []
