import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from broker.kinds import EventType, Kind
from devices.readings import ContactClosed, ContactOpened, LoopCut, LoopRestored, TagSeen
from gateway.links.gpio import GpioError, Pins, make_factory
from gateway.settings import Contact, Reader, Sounder
from tests.gateway.place import settings
from tests.gateway.running import journalled, running, until_fault
from tests.gateway.waiting import until

pytestmark = pytest.mark.anyio

KEY = Contact.model_validate({"id": "k1", "pin": 4, "household": "h01"})
CUT_KEY = Contact.model_validate({"id": "k2", "pin": 6, "household": "h01", "normally_closed": True})
LOOP = Contact.model_validate({"id": "l1", "pin": 5, "role": "loop", "normally_closed": True})
SIREN = Sounder.model_validate({"id": "s1", "pin": 17})
LOW_SIREN = Sounder.model_validate({"id": "s2", "pin": 27, "active_high": False})


class Hearer:
    def __init__(self) -> None:
        self.said: list[tuple[str, object]] = []

    def contact_said(self, contact: Contact, reading: object) -> None:
        self.said.append((contact.id, reading))

    def reader_said(self, reader: Reader, readings: Sequence[object]) -> None:
        self.said += [(reader.id, reading) for reading in readings]


@asynccontextmanager
async def pins(
    *contacts: Contact, sounders: tuple[Sounder, ...] = ()
) -> AsyncIterator[tuple[Pins, MockFactory, Hearer]]:
    factory, hearer = MockFactory(), Hearer()
    made = Pins(factory, contacts=contacts, sounders=sounders, user=hearer)
    try:
        yield made, factory, hearer
    finally:
        made.close()


@pytest.mark.proves("A2")
async def test_a_key_is_heard_when_it_closes_and_told_how_long_it_was_held() -> None:
    async with pins(KEY) as (made, factory, hearer):
        made.start()
        factory.pin(4).drive_low()
        await until(lambda: hearer.said == [("k1", ContactClosed(1))])
        factory.pin(4).drive_high()
        await until(lambda: len(hearer.said) == 2)
        name, opened = hearer.said[1]
        assert isinstance(opened, ContactOpened)
        assert (name, opened.count) == ("k1", 1)


@pytest.mark.proves("P1")
async def test_a_wiegand_reader_on_two_pins_is_heard_and_its_pins_are_given_back() -> None:
    reader = Reader.model_validate({"id": "rd1", "d0": 5, "d1": 6})
    factory, hearer = MockFactory(), Hearer()
    made = Pins(
        factory, contacts=(), sounders=(), readers=(reader, reader.model_copy(update={"d0": None})), user=hearer
    )
    made.start()
    for bit in "00101101000000001010001000":
        pin = factory.pin(6 if bit == "1" else 5)
        pin.drive_low()
        pin.drive_high()
    await until(lambda: hearer.said == [("rd1", TagSeen("5A0144"))])
    assert made.wiegand["rd1"].frames == 1
    made.close()
    assert made._timers == {}


@pytest.mark.proves("F46")
async def test_a_spike_on_the_wire_is_no_press() -> None:
    async with pins(KEY) as (made, factory, hearer):
        made.start()
        factory.pin(4).drive_low()
        factory.pin(4).drive_high()
        await asyncio.sleep(0.1)
        assert hearer.said == []


async def test_a_key_that_is_held_while_the_gateway_starts_is_a_press() -> None:
    async with pins(KEY) as (made, factory, hearer):
        factory.pin(4).drive_low()
        made.start()
        await until(lambda: hearer.said == [("k1", ContactClosed(1))])


async def test_a_normally_closed_key_and_a_loop_are_heard_when_they_open() -> None:
    async with pins(CUT_KEY, LOOP) as (made, factory, hearer):
        for pin in (5, 6):
            factory.pin(pin).drive_low()
        made.start()
        for pin in (5, 6):
            factory.pin(pin).drive_high()
        await until(lambda: len(hearer.said) == 2)
        assert ("k2", ContactClosed(1)) in hearer.said
        assert ("l1", LoopCut(1)) in hearer.said
        factory.pin(5).drive_low()
        await until(lambda: len(hearer.said) == 3)
        assert isinstance(hearer.said[2][1], LoopRestored)


async def test_sounders_are_switched_and_silent_at_the_end() -> None:
    async with pins(sounders=(SIREN, LOW_SIREN)) as (made, factory, _):
        assert made.switch(SIREN, on=True) is None
        assert made.switch(LOW_SIREN, on=True) is None
        assert (factory.pin(17).state, factory.pin(27).state) == (1, 0)
        made.switch(LOW_SIREN, on=False)
        assert factory.pin(27).state == 1
        high = factory.pin(17)
    assert high.state == 0


@pytest.mark.proves("N5")
async def test_a_sounder_that_breaks_is_told_and_raises_nothing() -> None:
    async with pins(sounders=(SIREN,)) as (made, _, _):
        made._outputs["s1"].close()
        assert made.switch(SIREN, on=True)


async def test_a_pin_that_cannot_be_used_is_named_and_the_others_are_given_back() -> None:
    factory = MockFactory()
    twin = Sounder.model_validate({"id": "twin", "pin": SIREN.pin})
    with pytest.raises(GpioError, match="GPIO 17") as caught:
        Pins(factory, contacts=[KEY], sounders=[SIREN, twin], user=Hearer())
    assert caught.value.pin == 17


async def test_a_pin_that_is_no_input_is_named() -> None:
    class Stuck(MockFactory):  # type: ignore[misc] # gpiozero has no types
        def pin(self, name: int) -> Any:
            raise OSError(f"line {name} is busy")

    with pytest.raises(GpioError, match="busy"):
        Pins(Stuck(), contacts=[KEY], sounders=[], user=Hearer())


def test_factories_are_named() -> None:
    assert isinstance(make_factory("mock"), MockFactory)
    with pytest.raises(ImportError):
        make_factory("lgpio")


async def test_a_simulator_sets_levels_and_sees_outputs_over_a_private_socket(tmp_path: Path) -> None:
    async with pins(KEY, sounders=(SIREN,)) as (made, _, hearer):
        made.start()
        path = tmp_path / "gpio"
        server = await made.serve_simulator(path)
        assert await asyncio.to_thread(lambda: path.stat().st_mode & 0o777) == 0o600
        reader, writer = await asyncio.open_unix_connection(str(path))
        for order in (b"nonsense", b"[]", b'{"pin": 99, "high": true}', b'{"pin": 17, "high": true}'):
            writer.write(order + b"\n")
        writer.write(json.dumps({"pin": 4, "high": False}).encode() + b"\n")
        await until(lambda: hearer.said == [("k1", ContactClosed(1))])
        made.switch(SIREN, on=True)
        assert json.loads(await reader.readline()) == {"pin": 17, "high": True}
        writer.close()
        await until(lambda: not made._connections)
        _, second = await asyncio.open_unix_connection(str(path))
        await until(lambda: bool(made._connections))
        server.close()
        second.close()


@pytest.mark.proves("A1", "A2", "A4")
async def test_a_wired_key_of_the_gateway_rings_its_wired_sounder_and_is_kept(tmp_path: Path) -> None:
    more = {
        "lines": [], "units": [], "gpio": "mock", "gpio_socket": tmp_path / "gpio",
        "contacts": [KEY.model_dump()], "sounders": [SIREN.model_dump()],
    }  # fmt: skip
    async with running(settings(tmp_path / "state", **more)) as gateway:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "gpio"))
        writer.write(b'{"pin": 4, "high": false}\n')
        assert json.loads(await reader.readline()) == {"pin": 17, "high": True}
        await until(lambda: gateway._keeper.counts.events >= 1)
        await until(lambda: gateway._own.unkept == 0 and gateway._own._keeping is None)
        presses = [event for event in await journalled(gateway) if event.type is EventType.PRESS]
        assert [(event.kind, event.unit, event.place) for event in presses] == [(Kind.PANIC, "k1", "h01")]
        assert gateway._pins is not None
        gateway._pins._outputs["s1"].close()
        gateway._sound(gateway._alert.stop(presses[0].id))
        await until_fault(gateway, "sounder")
        writer.close()


@pytest.mark.proves("N8")
async def test_pins_that_cannot_be_had_are_a_fault_and_the_rest_of_the_gateway_works(tmp_path: Path) -> None:
    more = {"lines": [], "units": [], "gpio": "lgpio", "contacts": [KEY.model_dump()], "sounders": [SIREN.model_dump()]}
    async with running(settings(tmp_path / "state", **more)) as gateway:
        await until_fault(gateway, "pins_lost")
        gateway._sound([])
        assert gateway.health()["faults"]
