"""Glue in the right order: what sounds before it is kept, what is answered after."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.ids import UnitId
from broker.kinds import EventType, Kind
from devices.commands import Lamp
from devices.readings import (
    ButtonPressed,
    CancelPressed,
    ContactClosed,
    Heartbeat,
    Key,
    Part,
    PartFailed,
    PartRestored,
    Proof,
    SealRefused,
    Sounded,
)
from gateway.alert import Alert, Play, Switch
from gateway.counters import Counters
from gateway.events import Entry
from gateway.intake import Intake
from gateway.journal import Carried
from gateway.keeping import Keeper
from gateway.ladder import Ladder, Show
from gateway.opening import open_journal
from gateway.recorder import Batch, Recorder
from gateway.supervision import Supervision
from tests.gateway.place import DICE, GATEWAY, STATION, Clock, register

pytestmark = pytest.mark.anyio
LINE = "line1"


class Desk:
    """A recorder with everything that it needs, and what it had done."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        known = register(contacts=[{"id": "k1", "pin": 4, "household": "h01"}])
        journal = open_journal(
            folder / "journal.db", station=STATION, gateway=GATEWAY, now=self.clock(), random_bytes=DICE
        ).journal
        self.keeper = Keeper(
            journal,
            Counters(folder / "counters", random_bytes=DICE),
            reopen=lambda **_: journal,
            carry=Carried,
            renewed=lambda: None,
        )
        self.supervision = Supervision(
            [(unit.id, unit.line) for unit in known.units()], heartbeat_s=100, now_ns=self.clock().mono_ns
        )
        self.did: list[Play | Switch | Show | Entry] = []
        self.recorder = Recorder(
            gateway=GATEWAY,
            intake=Intake(known, gateway=GATEWAY, random_bytes=DICE),
            alert=Alert(known, siren_s=180, night=(22, 6), utc_offset_min=480),
            ladder=Ladder(not_reached_s=30),
            supervision=self.supervision,
            keeper=self.keeper,
            clock=self.clock,
            sound=self._note,
            show=self._note,
            committed=self._note,
        )

    def _note(self, what: Sequence[Play | Switch | Show | Entry]) -> None:
        self.did += what

    def kinds(self) -> list[str]:
        return [type(one).__name__ for one in self.did]

    async def keep(self, batch: Batch) -> list[Entry]:
        entries = await self.recorder.keep(batch, heard={})
        self.recorder.kept(batch, entries)
        return entries


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    one = await asyncio.to_thread(Desk, folder)
    try:
        yield one
    finally:
        await one.keeper.close()


def pressed(number: int = 1, *, unit: int = 1, key: Key = Key.PANIC, proof: Proof = Proof.SEALED) -> ButtonPressed:
    return ButtonPressed(unit, 1, number, key, 0, proof)


@pytest.mark.proves("N1", "N5")
async def test_a_press_sounds_before_it_is_kept_and_lights_its_lamp_after(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        batch = one.recorder.hear(LINE, [pressed()])
        assert one.kinds() == ["Play"] * 3
        assert [told.number for told in batch.told] == [1]
        await one.keep(batch)
        assert one.kinds() == ["Play"] * 3 + ["Show", "Entry"]
        assert [show for show in one.did if isinstance(show, Show)] == [Show(UnitId("u01"), Lamp.KEPT)]


@pytest.mark.proves("N3")
async def test_a_press_heard_twice_before_its_commit_rings_once_and_is_answered_once_it_is_kept(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        batch = one.recorder.hear(LINE, [pressed(), pressed()])
        again = one.recorder.hear(LINE, [pressed()])
        assert len(batch.events) == 1
        assert (again.events, again.told, again.again) == ([], [], [])
        assert one.kinds() == ["Play"] * 3
        await one.keep(batch)
        later = one.recorder.hear(LINE, [pressed()])
        assert [told.number for told in later.again] == [1]
        assert later.told == []


@pytest.mark.proves("N1", "N9", "F55")
async def test_a_press_that_could_not_be_sounded_is_kept_all_the_same_and_not_answered_before(tmp_path: Path) -> None:
    """It was answered once, and in no journal: its repeat was taken for one of a press that is kept."""

    def no_memory(_what: object) -> None:
        raise MemoryError

    async with desk(tmp_path) as one:
        one.recorder._sound = no_memory
        batch = one.recorder.hear(LINE, [pressed(), pressed(unit=3)])
        assert [event.unit for event in batch.events] == ["u01", "u03"]
        assert [told.address for told in batch.told] == [1, 3]
        assert one.recorder.hear(LINE, [pressed()]).again == []
        await one.keep(batch)
        assert [told.number for told in one.recorder.hear(LINE, [pressed()]).again] == [1]


async def test_what_was_let_go_of_is_taken_again_as_new(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        batch = one.recorder.hear(LINE, [pressed()])
        one.recorder.forget(batch.events)
        again = one.recorder.hear(LINE, [pressed()])
        assert len(again.events) == 1
        assert len(again.told) == 1


@pytest.mark.proves("N4")
async def test_duress_makes_no_sound_and_no_lamp_and_is_answered_as_a_heartbeat_is(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        batch = one.recorder.hear(LINE, [pressed(key=Key.DURESS)])
        await one.keep(batch)
        assert one.kinds() == ["Entry"]
        cancel = one.recorder.hear(LINE, [CancelPressed(1, 1, 2, 1, Proof.SEALED)])
        assert one.kinds() == ["Entry"]
        assert [event.type for event in cancel.events] == [EventType.CANCEL]
        assert cancel.events[0].targets(GATEWAY) == ["station"]


@pytest.mark.proves("N13")
async def test_only_a_verified_cancel_ends_the_sound(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        one.recorder.hear(LINE, [pressed()])
        one.did.clear()
        one.recorder.hear(LINE, [CancelPressed(1, 1, 2, 1, Proof.STALE)])
        assert one.did == []
        one.recorder.hear(LINE, [CancelPressed(1, 1, 3, 1, Proof.SEALED)])
        assert [play.siren for play in one.did if isinstance(play, Play)] == [None] * 3


async def test_a_heartbeat_is_answered_without_an_event(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        beat = Heartbeat(1, 1, 9, 10, True, False, False, 1, 0, Proof.SEALED)
        batch = one.recorder.hear(LINE, [beat])
        assert [told.number for told in batch.idle] == [9]
        assert [event.detail["fault"] for event in batch.events] == ["battery"]
        assert one.recorder.hear(LINE, [beat]).events == []


@pytest.mark.proves("A10")
async def test_what_a_unit_says_about_itself_reaches_supervision(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        failed = one.recorder.hear(LINE, [PartFailed(1, 1, 2, Part.MAINS, Proof.SEALED)])
        assert failed.events == []
        assert len(failed.told) == 1
        one.clock.pass_s(11)
        assert [change.fault for change in one.supervision.advance(one.clock().mono_ns)] == ["mains"]
        one.recorder.hear(LINE, [PartRestored(1, 1, 3, Part.MAINS, Proof.SEALED)])
        assert one.supervision.faults == ()
        broken = one.recorder.hear(LINE, [Sounded(3, 1, 2, works=False)])
        assert [event.detail["fault"] for event in broken.events] == ["sounder"]


async def test_a_frame_that_does_not_open_is_no_sign_of_life(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        one.clock.pass_s(230)
        one.supervision.state("unit_silent", "u01", wrong=True, unit=UnitId("u01"))
        one.recorder.hear(LINE, [SealRefused(1, known=True), pressed(proof=Proof.STALE)])
        assert "unit_silent" in one.supervision.faults
        one.recorder.hear(LINE, [pressed(5)])
        assert "unit_silent" not in one.supervision.faults


async def test_a_wired_key_rings_and_needs_no_answer(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        batch = one.recorder.hear_contact(UnitId("k1"), 1, ContactClosed(1))
        assert (batch.events[0].kind, batch.told) == (Kind.PANIC, [])
        assert one.kinds() == ["Play"] * 3


async def test_what_is_known_leaves_out_what_is_not_on_disk_yet(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        await one.keep(one.recorder.hear(LINE, [pressed(1)]))
        one.recorder.hear(LINE, [pressed(2)])
        assert set(one.recorder.known) == {"u01:1:1"}
