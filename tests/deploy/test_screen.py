"""The QR code on a screen at a checkpoint: it changes, it is this checkpoint's alone, and a wrong clock shows none."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from broker import qr
from deploy.screen import BadScreenKey, Form, Screen, form_of, picture, put, read_key

KEY = qr.point_key(b"secret", "gate", 3)
SCREEN = Screen("gate", 3, KEY)
NOW_S = 1_800_000_000


def key_file(folder: Path, mode: int = 0o600, **changed: object) -> Path:
    path = folder / "gate.json"
    path.write_text(json.dumps({"point": "gate", "version": 3, "key": KEY.hex()} | changed))
    path.chmod(mode)
    return path


@pytest.mark.proves("P1")
def test_what_a_screen_shows_holds_for_a_minute_at_its_checkpoint(tmp_path: Path) -> None:
    screen = read_key(key_file(tmp_path))
    shown = [screen.shows(NOW_S + late_s, synced=True) for late_s in (0, qr.WINDOW_S - 1, qr.WINDOW_S)]
    assert shown[0] == shown[1] != shown[2]
    payload = qr.parse(shown[0])
    assert payload is not None
    assert (payload.point, payload.version, payload.freshness) == ("gate", 3, qr.Freshness.ROTATING)
    assert qr.holds(payload, key=KEY, at_s=NOW_S + qr.WINDOW_S)
    assert not qr.holds(payload, key=KEY, at_s=NOW_S + 2 * qr.WINDOW_S)


@pytest.mark.proves("P1", "N6")
def test_without_a_clock_that_is_kept_right_no_code_is_shown() -> None:
    assert qr.parse(SCREEN.shows(NOW_S, synced=False)) is None


@pytest.mark.parametrize(
    ("changed", "mode"), [({}, 0o644), ({"key": "00"}, 0o600), ({"point": "Gate"}, 0o600), ({"more": 1}, 0o600)]
)
def test_a_key_that_others_can_read_or_that_is_none_is_refused(
    tmp_path: Path, changed: dict[str, object], mode: int
) -> None:
    with pytest.raises(BadScreenKey) as raised:
        read_key(key_file(tmp_path, mode, **changed))
    assert raised.value.path == tmp_path / "gate.json"
    with pytest.raises(BadScreenKey):
        read_key(tmp_path / "nothing.json")


def test_a_file_is_replaced_as_a_whole_in_the_form_of_its_ending(tmp_path: Path) -> None:
    text = SCREEN.shows(NOW_S, synced=True)
    for form in Form:
        path = tmp_path / f"code{form}"
        assert form_of(path) is form
        put(path, b"before")
        put(path, picture(text, form))
    assert (tmp_path / "code.txt").read_text() == text + "\n"
    assert (tmp_path / "code.png").read_bytes().startswith(b"\x89PNG")
    assert ET.fromstring((tmp_path / "code.svg").read_bytes()).tag.endswith("svg")  # noqa: S314 - we wrote it
    assert sorted(one.name for one in tmp_path.iterdir()) == ["code.png", "code.svg", "code.txt"]
    assert form_of(tmp_path / "code.gif") is None


@pytest.mark.parametrize(("name", "code"), [("code.svg", 0), ("code.gif", 2)])
def test_the_command_writes_once(tmp_path: Path, name: str, code: int) -> None:
    out = tmp_path / name
    options = ["--key", str(key_file(tmp_path)), "--out", str(out), "--once"]
    done = subprocess.run([sys.executable, "-m", "deploy.cli", "code", *options], capture_output=True, check=False)
    assert (done.returncode, out.exists()) == (code, code == 0), done.stderr
