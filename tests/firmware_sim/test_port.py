"""A simulated line's end in the operating system: pseudo-terminals behind stable paths, and ports that exist."""

import asyncio
import errno
import os
import termios
import tty
from pathlib import Path

import pytest

from firmware_sim.port import Port, PortUnusable
from firmware_sim.program import new_loop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "asyncio", {"loop_factory": new_loop}


class Ear:
    """Collects what a port hears."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self._more = asyncio.Event()

    def __call__(self, data: bytes) -> None:
        self.heard += data
        self._more.set()

    async def wait_for(self, count: int) -> bytes:
        async with asyncio.timeout(60):
            while len(self.heard) < count:
                self._more.clear()
                await self._more.wait()
        return bytes(self.heard)


def open_raw(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(descriptor, termios.TCSANOW)
    return descriptor


async def test_every_byte_value_goes_both_ways(tmp_path: Path) -> None:
    ear = Ear()
    port = Port(tmp_path / "ports" / "line1", baud=9600, received=ear)
    port.plug()
    gateway = open_raw(port.path)
    everything = bytes(range(256))
    os.write(gateway, everything)
    assert await ear.wait_for(256) == everything
    port.write(everything)
    assert os.read(gateway, 1000) == everything
    assert port.plugged
    os.close(gateway)
    port.unplug()


async def test_a_gateway_may_come_and_go_without_a_hang_up(tmp_path: Path) -> None:
    ear = Ear()
    port = Port(tmp_path / "line1", baud=9600, received=ear)
    port.plug()
    for turn in range(3):
        gateway = open_raw(port.path)
        os.write(gateway, b"x")
        await ear.wait_for(turn + 1)
        os.close(gateway)
    assert port.plugged
    port.unplug()


async def test_pulling_the_plug_is_a_hang_up_and_a_new_port_stands_behind_the_same_path(tmp_path: Path) -> None:
    ear = Ear()
    port = Port(tmp_path / "line1", baud=9600, received=ear)
    port.plug()
    port.plug()  # once is enough
    gateway = open_raw(port.path)
    port.unplug()
    port.unplug()
    assert not port.path.is_symlink()
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        os.write(gateway, b"x")
    assert os.read(gateway, 10) == b""
    port.write(b"lost")
    os.close(gateway)
    port.plug()
    gateway = open_raw(port.path)
    os.write(gateway, b"here again")
    assert await ear.wait_for(10) == b"here again"
    os.close(gateway)
    port.unplug()


async def test_what_nobody_reads_is_lost_and_counted_and_blocks_nothing(tmp_path: Path) -> None:
    port = Port(tmp_path / "line1", baud=9600, received=Ear())
    port.plug()
    for _ in range(100):
        port.write(bytes(1000))
    assert 0 < port.dropped_bytes < 100_000
    port.unplug()


async def test_a_port_that_is_not_read_keeps_what_was_sent(tmp_path: Path) -> None:
    ear = Ear()
    port = Port(tmp_path / "line1", baud=9600, received=ear)
    port.plug()
    port.listen(on=False)
    port.listen(on=False)
    gateway = open_raw(port.path)
    os.write(gateway, b"patience")
    await asyncio.sleep(0)
    assert ear.heard == b""
    port.listen(on=True)
    assert await ear.wait_for(8) == b"patience"
    os.close(gateway)
    port.unplug()


async def test_a_port_that_exists_is_taken_as_it_is_at_its_baud(tmp_path: Path) -> None:
    master, slave = os.openpty()
    link = tmp_path / "cable"
    link.symlink_to(os.ttyname(slave))
    ear = Ear()
    port = Port(link, baud=115_200, received=ear, attach=True)
    port.plug()
    assert termios.tcgetattr(slave)[4] == termios.B115200
    os.write(master, b"\x00\x03\x04\r\n")
    assert await ear.wait_for(5) == b"\x00\x03\x04\r\n"
    port.write(b"\x11\x13")
    assert os.read(master, 10) == b"\x11\x13"
    port.unplug()
    assert link.is_symlink()
    os.close(master)
    os.close(slave)


async def test_a_cable_that_is_pulled_at_the_other_end_unplugs_the_port() -> None:
    master, slave = os.openpty()
    path = Path(os.ttyname(slave))
    lost = asyncio.Event()
    port = Port(path, baud=9600, received=Ear(), lost=lost.set, attach=True)
    port.plug()
    os.close(slave)
    os.close(master)
    port.write(b"into nothing")
    async with asyncio.timeout(60):
        await lost.wait()
    assert not port.plugged
    assert port.dropped_bytes == 12


@pytest.mark.parametrize("attach", [True, False])
async def test_what_is_no_port_is_refused_with_its_name(tmp_path: Path, *, attach: bool) -> None:
    path = tmp_path / "letter"
    path.write_text("not a port")
    port = Port(path, baud=9600, received=Ear(), attach=attach)
    with pytest.raises(PortUnusable, match="letter"):
        port.plug()
    port.unplug()
    assert path.read_text() == "not a port"


async def test_a_port_that_is_missing_or_too_slow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PortUnusable, match="No such file"):
        Port(tmp_path / "nothing", baud=9600, received=Ear(), attach=True).plug()
    master, slave = os.openpty()
    with pytest.raises(PortUnusable, match="does not take 1234 baud"):
        Port(Path(os.ttyname(slave)), baud=1234, received=Ear(), attach=True).plug()
    os.close(master)
    os.close(slave)


async def test_a_link_that_a_killed_simulator_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "line1"
    path.symlink_to("/dev/pts/9999999")
    ear = Ear()
    port = Port(path, baud=9600, received=ear)
    port.plug()
    gateway = open_raw(path)
    os.write(gateway, b"x")
    assert await ear.wait_for(1) == b"x"
    os.close(gateway)
    port.unplug()
