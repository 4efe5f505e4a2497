"""A wand on a real line: everything is read, kept by somebody else, and only then forgotten."""

import asyncio
import json
import os
import pty
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from devices.wand import CardRecord, Details
from gateway.wand import WandTrouble, read_wand
from tests.devices.wands import Wand
from tests.gateway.waiting import PATIENCE_S

pytestmark = pytest.mark.proves("P1")


@contextmanager
def plugged(answer: Callable[[bytes], bytes]) -> Iterator[Path]:
    """A port at whose other end `answer` answers each thing that is read."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)

    def serve() -> None:
        with suppress(OSError):
            while data := os.read(ours, 4_096):
                os.write(ours, answer(data))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Path(os.ttyname(theirs))
    finally:
        os.close(theirs)
        thread.join(PATIENCE_S)
        os.close(ours)


def reading(path: Path, keep: Callable[[Sequence[CardRecord], Details], None], *, reply_s: float = 5) -> int:
    return asyncio.run(read_wand(path, keep, random=Random(1), reply_s=reply_s))


def test_the_wand_forgets_what_somebody_else_keeps() -> None:
    wand, kept = Wand(1_000, 40, 0), list[int]()
    with plugged(wand.answer) as path:
        assert reading(path, lambda found, _details: kept.extend(one.serial for one in found)) == 40
    assert (kept, wand.store[2]) == ([*range(1, 41)], 40)


def test_what_nobody_keeps_is_not_forgotten() -> None:
    wand = Wand(1_000, 3, 0)

    def full(_found: Sequence[CardRecord], _details: Details) -> None:
        raise OSError("no room")

    with plugged(wand.answer) as path, pytest.raises(OSError, match="no room"):
        reading(path, full)
    assert wand.store[2] == 0


def test_a_reply_that_is_lost_is_asked_for_again() -> None:
    wand, heard = Wand(1_000, 3, 0), list[bytes]()

    def deaf(data: bytes) -> bytes:
        heard.append(data)
        return b"" if len(heard) == 1 else wand.answer(data)

    with plugged(deaf) as path:
        assert reading(path, lambda _found, _details: None, reply_s=0.2) == 3


def test_a_port_without_a_wand_is_said() -> None:
    with plugged(lambda _data: b"") as path, pytest.raises(WandTrouble, match="does not answer"):
        reading(path, lambda _found, _details: None, reply_s=0.01)
    with pytest.raises(WandTrouble, match="No such file"):
        reading(Path("/dev/no-wand-here"), lambda _found, _details: None)


def test_a_wand_that_says_what_cannot_be_is_not_believed() -> None:
    with plugged(Wand(10, 11, 0).answer) as path, pytest.raises(WandTrouble, match="cannot be"):
        reading(path, lambda _found, _details: None)


class Station(BaseHTTPRequestHandler):
    """Keeps what is uploaded, or says that it cannot."""

    got: list[Any]
    status = 200

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.got.append((self.path, self.headers["Authorization"], body))
        said = json.dumps({"added": len(body["records"])}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def listening(status: int) -> Iterator[tuple[str, list[Any]]]:
    got: list[Any] = []
    server = HTTPServer(("127.0.0.1", 0), type("One", (Station,), {"got": got, "status": status}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_command_uploads_and_lets_forget_only_what_the_station_keeps(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("a-token\n")
    wand = Wand(1_000, 2, 0)

    def command(path: Path, *more: str) -> Any:
        return CliRunner().invoke(app, ["wand", "--port", str(path), "--id", "wand-7", *more])

    with plugged(wand.answer) as path:
        printed = command(path)
        assert (printed.exit_code, len(json.loads(printed.stdout)["records"]), wand.store[2]) == (0, 2, 0)
        with listening(503) as (url, _):
            refused = command(path, "--station", url, "--token", str(token))
            assert (refused.exit_code, wand.store[2]) == (3, 0)
        with listening(200) as (url, got):
            done = command(path, "--station", url, "--token", str(token))
        assert (done.exit_code, json.loads(done.stdout), wand.store[2]) == (0, {"added": 2}, 2)
    ((where, who, body),) = got
    assert (where, who, body["wand"], body["wrapped"]) == ("/api/v1/wands/stores", "Bearer a-token", "wand-7", False)
    assert body["records"][0] == {
        "serial": 1, "guard_number": 23, "at": "2026-11-22T08:30:15", "state": 0, "card": "86F444",
    }  # fmt: skip


def test_wrong_usage_is_said(tmp_path: Path) -> None:
    command = ["wand", "--port", str(tmp_path / "port")]
    assert CliRunner().invoke(app, [*command, "--id", "Wand 7"]).exit_code == 2
    assert CliRunner().invoke(app, [*command, "--id", "w", "--station", "http://x"]).exit_code == 2
