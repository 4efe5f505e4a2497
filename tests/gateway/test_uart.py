import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import serial

from gateway.links.uart import MOST_UNWRITTEN, Port
from tests.gateway.waiting import until
from tests.gateway.wire import Wire

pytestmark = pytest.mark.anyio


class Owner:
    def __init__(self) -> None:
        self.opens = 0
        self.losses: list[str] = []
        self.data = bytearray()

    def opened(self) -> None:
        self.opens += 1

    def lost(self, why: str) -> None:
        self.losses.append(why)

    def heard(self, data: bytes) -> None:
        self.data += data


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    one = Wire(tmp_path / "line1")
    one.plug()
    yield one
    one.close()


@asynccontextmanager
async def port_at(path: Path) -> AsyncIterator[tuple[Port, Owner]]:
    owner = Owner()
    port = Port(path, 115_200, owner)
    try:
        yield port, owner
    finally:
        port.close()


async def test_bytes_go_both_ways(wire: Wire) -> None:
    async with port_at(wire.name) as (port, owner):
        port.start()
        wire.listen()
        assert (port.up, port.trouble, owner.opens) == (True, "", 1)
        wire.say(b"up")
        assert port.write(b"down")
        await until(lambda: owner.data == b"up" and wire.data == b"down")


@pytest.mark.proves("N9")
async def test_what_waited_in_the_port_before_it_was_opened_is_heard(wire: Wire) -> None:
    wire.say(b"a press while the gateway started")
    async with port_at(wire.name) as (port, owner):
        port.start()
        await until(lambda: owner.data == b"a press while the gateway started")


async def test_nobody_else_may_open_the_port(wire: Wire) -> None:
    async with port_at(wire.name) as (port, _):
        port.start()
        with pytest.raises(serial.SerialException, match="lock"):
            await asyncio.to_thread(serial.Serial, str(wire.name), exclusive=True)
        async with port_at(wire.name) as (second, owner):
            second.start()
            assert not second.up
            assert len(owner.losses) == 1


@pytest.mark.proves("A10", "N14", "F38")
async def test_an_unplugged_adapter_is_lost_and_heard_again_behind_the_same_name(wire: Wire) -> None:
    async with port_at(wire.name) as (port, owner):
        port.start()
        await asyncio.to_thread(wire.close)
        await until(lambda: owner.losses)
        assert not port.up
        assert not port.write(b"nobody hears this")
        await until(lambda: len(owner.losses) >= 2)
        await asyncio.to_thread(wire.plug)
        await until(lambda: port.up)
        assert port.opens == 2
        wire.listen()
        wire.say(b"again")
        await until(lambda: owner.data == b"again")


async def test_a_port_that_is_missing_or_no_port_is_told_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name, word in (("nothing", "No such file"), ("file", "")):
        async with port_at(tmp_path / name) as (port, owner):
            port.start()
            assert not port.up
            assert word in port.trouble
            assert owner.losses == [port.trouble]


async def test_a_paused_port_leaves_the_bytes_where_they_are(wire: Wire) -> None:
    async with port_at(wire.name) as (port, owner):
        port.start()
        port.pause()
        wire.say(b"later")
        await asyncio.sleep(0.02)
        assert owner.data == b""
        port.resume()
        await until(lambda: owner.data == b"later")


@pytest.mark.proves("N9")
async def test_a_port_that_takes_little_gets_everything_in_order_and_no_more_than_fits(wire: Wire) -> None:
    async with port_at(wire.name) as (port, _):
        port.start()
        sent = b""
        number = 0
        while port.write(frame := number.to_bytes(4, "big") * 512):
            sent += frame
            number += 1
        assert MOST_UNWRITTEN // 2 < len(sent) < MOST_UNWRITTEN + 65_536
        wire.listen()
        await until(lambda: len(wire.data) == len(sent))
        assert wire.data == sent
        assert port.write(b"and on")
        await until(lambda: wire.data.endswith(b"and on"))


async def test_a_port_that_goes_while_it_is_written_to_is_lost_once(wire: Wire) -> None:
    async with port_at(wire.name) as (port, owner):
        port.start()
        port.pause()
        while port.write(b"x" * 4_096):
            pass
        await asyncio.to_thread(wire.close)
        await until(lambda: not port.up)
        assert len(owner.losses) >= 1


async def test_a_closed_port_is_not_opened_again(tmp_path: Path) -> None:
    async with port_at(tmp_path / "nothing") as (port, owner):
        port.start()
        port.close()
        await asyncio.sleep(0.15)
        assert len(owner.losses) == 1
