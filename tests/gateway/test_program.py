"""The whole program: it boots with nothing, alerts with nothing, and goes on with whatever comes back."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.kinds import EventType
from devices.commands import Lamp
from devices.readings import Key
from gateway import keeping
from gateway import lines as line_rules
from gateway.journal import Damaged, InUse, Refused
from gateway.program import Gateway, leave, run
from gateway.settings import GatewaySettings
from gateway.stamps import Clock
from tests.gateway.disks import SmallDisk
from tests.gateway.place import settings
from tests.gateway.running import around, journalled, running, until_fault
from tests.gateway.waiting import until
from tests.gateway.wire import Units, Wire

pytestmark = pytest.mark.anyio


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    one = Wire(tmp_path / "line1")
    one.plug()
    yield one
    one.close()


@pytest.fixture
def own_umask() -> Iterator[None]:
    """A gateway takes rights away from its process, which is that of the other tests here."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def place(wire: Wire, state: Path, **more: Any) -> GatewaySettings:
    return settings(state, lines=[{"name": "line1", "port": wire.name, "baud": 115200}], **more)


@asynccontextmanager
async def town(
    wire: Wire, state: Path, *, clock: Clock | None = None, wrap: Any = leave, **more: Any
) -> AsyncIterator[tuple[Gateway, Units]]:
    async with running(place(wire, state, **more), clock=clock, wrap=wrap) as gateway:
        units = Units(wire, range(1, 6))
        try:
            yield gateway, units
        finally:
            units.close()


async def rings(units: Units, presser: int = 1) -> int:
    number = units.press(presser)
    await until(lambda: all(units.plays(unit) for unit in (1, 3, 4)))
    return number


@pytest.mark.proves("A4", "N5", "N8", "N14")
async def test_without_any_store_it_starts_rings_confirms_nothing_and_goes_on_when_there_is_one(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_rules, "RETRY_S", 0.05)
    state = tmp_path / "state"
    state.write_text("a file where the folder should be")
    async with town(wire, state) as (gateway, units):
        number = await rings(units)
        await until_fault(gateway, "journal")
        await until_fault(gateway, "counters_improvised")
        assert (gateway._keeper.journal, gateway._keeper.epoch) == (None, keeping.NO_EPOCH)
        assert gateway._status("0" * 32, 1).head == 0  # type: ignore[arg-type] # any session
        assert not units.is_kept(1, number)
        state.unlink()
        state.mkdir(exist_ok=True)
        await until(lambda: units.is_kept(1, number))
        await until(lambda: "journal" not in gateway._supervision.faults)
        assert [event.type for event in await journalled(gateway)].count(EventType.PRESS) == 1


@pytest.mark.proves("A4", "N5", "N14", "F08")
async def test_on_a_card_that_became_read_only_it_starts_and_rings(
    wire: Wire, small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_rules, "CLOSE_S", 0.1)
    async with town(wire, small_disk.folder / "state") as (_, units):
        number = await rings(units)
        await until(lambda: units.is_kept(1, number))
    await asyncio.to_thread(small_disk.remount, "ro")
    async with town(wire, small_disk.folder / "state") as (gateway, units):
        units.links[1].boot += 1
        number = await rings(units)
        await until_fault(gateway, "journal")
        assert not units.is_kept(1, number)


@pytest.mark.proves("N14")
@pytest.mark.parametrize("rubbish", [b"", b"rubbish" * 4_000])
async def test_with_a_damaged_journal_and_lost_counters_it_rings_and_confirms(
    wire: Wire, tmp_path: Path, rubbish: bytes
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "journal.db").write_bytes(rubbish)
    (state / "counters").write_bytes(b"\xff")
    async with town(wire, state) as (gateway, units):
        number = await rings(units)
        await until(lambda: units.is_kept(1, number))
        await until_fault(gateway, "counters_lost")
        assert len(list(state.glob("journal.db.damaged-*"))) == bool(rubbish)


@pytest.mark.proves("N1", "N3", "N14", "F05")
async def test_a_journal_that_goes_bad_while_running_costs_no_press_and_its_windows_go_along(
    wire: Wire, tmp_path: Path
) -> None:
    bad = [False]

    def damaging(append: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            if bad[0]:
                bad[0] = False
                raise Damaged(tmp_path, "malformed")
            return append(*args, **named)

        return wrapped

    state = tmp_path / "state"
    async with town(wire, state, wrap=around("journal.append", damaging)) as (gateway, units):
        first = await rings(units)
        await until(lambda: units.is_kept(1, first))
        old = gateway._keeper.epoch
        bad[0] = True
        second = units.press(3, Key.FIRE)
        await until(lambda: units.is_kept(3, second))
        assert gateway._keeper.epoch != old
        presses = {event.press for event in await journalled(gateway) if event.type is EventType.PRESS}
        assert presses == {f"u01:1:{first}", f"u03:1:{second}"}
        heard = await gateway._keeper.ask(lambda journal: journal.heard())
        assert heard["u01"] >= 1 << 16
        assert heard["u03"] >= 1 << 16
    async with town(wire, state) as (gateway, _):
        assert {f"u01:1:{first}", f"u03:1:{second}"} <= set(gateway._intake.known)


@pytest.mark.proves("N3", "N5", "N12")
async def test_a_restart_takes_up_what_was_interrupted_and_knows_repeats(wire: Wire, tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with running(place(wire, state)) as gateway:
        units = Units(wire, range(1, 6))
        number = await rings(units)
        await until(lambda: units.is_kept(1, number))
        epoch = gateway._keeper.epoch
        units.close()
    wire.heard = lambda _data: None
    for told in units.sirens.values():
        told.clear()
    async with running(place(wire, state)) as gateway:
        wire.heard = units._heard
        await until(lambda: units.plays(3) and units.plays(4))
        assert gateway._keeper.epoch == epoch
        assert f"u01:1:{number}" in gateway._intake.known
        units.close()


@pytest.mark.proves("A5")
async def test_police_who_are_not_reached_show_on_the_lamp_after_the_time(wire: Wire, tmp_path: Path) -> None:
    async with town(wire, tmp_path / "state", not_reached_s=1) as (_, units):
        await rings(units)
        await until(lambda: units.lamps[1] is Lamp.KEPT)
        await until(lambda: units.lamps[1] is Lamp.NOT_REACHED)


async def test_a_siren_ends_after_its_time(wire: Wire, tmp_path: Path) -> None:
    async with town(wire, tmp_path / "state", siren_s=10) as (gateway, units):
        await rings(units)
        for ringing in gateway._alert.ringing:
            ringing.until_ns = gateway._clock().mono_ns + 300_000_000
        gateway._wake()
        await until(lambda: [units.plays(unit) for unit in (1, 3, 4)] == [None] * 3)


# As a process


@pytest.mark.usefixtures("own_umask")
async def test_run_ends_in_order_on_a_signal(tmp_path: Path) -> None:
    state = tmp_path / "state"
    task = asyncio.create_task(run(settings(state, lines=[], units=[])))
    await until((state / "health.json").exists)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(task, 10)
    async with running(settings(state, lines=[], units=[])):
        pass
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)


@pytest.mark.proves("F11")
@pytest.mark.usefixtures("own_umask")
async def test_a_second_gateway_on_the_same_state_refuses_to_start(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with running(settings(state, lines=[], units=[])):
        with pytest.raises(InUse):
            await run(settings(state, lines=[], units=[]))
    assert shutil.disk_usage(state)


async def test_a_new_epoch_that_cannot_be_opened_is_told_and_tried_at_the_next_hello(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    async with running(settings(tmp_path / "state", lines=[], units=[])) as gateway:

        async def refused() -> None:
            raise Refused(tmp_path, "full")

        monkeypatch.setattr(gateway._keeper, "open_epoch", refused)
        await gateway._open_epoch()
        assert "no new epoch could be opened" in [entry["event"] for entry in logged]
