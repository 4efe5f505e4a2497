"""The way out and the way back, with a real broker and a small station."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker.acl import acl_file
from broker.ids import EventId, UnitId
from broker.kinds import EventType, Kind, LadderState, Mark, UpdateState
from broker.messages import Action, AlarmUpdate, AlarmView, ChainHead, Head, Missing
from broker.signing import Signer
from deploy.mosquitto import PrivateBroker
from gateway.events import Event
from gateway.program import Gateway, leave
from gateway.recorder import Batch
from tests.gateway.place import (
    GATEWAY,
    OTHER_SIGNER,
    REMOTE,
    STATION,
    STATION_SIGNER,
    Clock,
    new_id,
    plain,
    press,
    seed,
    unit,
)
from tests.gateway.running import journalled, running, until_fault
from tests.gateway.station import AUDIENCES, EVERYBODY, OTHER, POLICE, Peer, Station, at_broker
from tests.gateway.tampering import rewrite
from tests.gateway.waiting import PATIENCE_S, until

pytestmark = pytest.mark.anyio
CLOCK = Clock()


@pytest.fixture
def station(broker: PrivateBroker) -> Iterator[Station]:
    with Station(broker) as one:
        yield one


@asynccontextmanager
async def sending(broker: PrivateBroker, folder: Path, *, wrap: Any = leave, **more: Any) -> AsyncIterator[Gateway]:
    async with running(at_broker(broker, folder, **more), wrap=wrap) as gateway:
        await until(lambda: gateway._uplink.link.up)
        yield gateway


async def keep(gateway: Gateway, *events: Event) -> None:
    """As a line does it."""
    now = gateway._clock()
    stamped = [replace(event, stamp=now) for event in events]
    batch = Batch(events=stamped)
    gateway._recorder.kept(batch, await gateway._recorder.keep(batch, heard={}))


async def until_delivered(gateway: Gateway, *, timeout_s: float = PATIENCE_S) -> None:
    async def nothing_is_owed() -> bool:
        await gateway._keeper.flush()
        return await gateway._keeper.ask(lambda journal: journal.queued() == 0 and not journal.pending(limit=1))

    await until(nothing_is_owed, timeout_s=timeout_s)


@pytest.mark.proves("A1", "N2", "N4")
async def test_a_press_reaches_the_station_and_each_audience_and_nobody_else(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    peers = [Peer(broker, who) for who in AUDIENCES]
    for peer in peers:
        await asyncio.to_thread(peer.__enter__)
    async with sending(broker, tmp_path) as gateway:
        event = press(CLOCK)
        await keep(gateway, event)
        await until_delivered(gateway)
        for peer in peers:
            await asyncio.to_thread(peer.catch_up)
        told = {who.audience: peer.bodies(AlarmView) for who, peer in zip(AUDIENCES, peers, strict=True)}
        reached = {audience for audience, views in told.items() if views}
        assert reached == {"police", "community:c1", "grid:r1", "household:h03", "household:h04"}
        assert all(len(views) == 1 and views[0].id == event.id for views in told.values() if views)
        assert station.stored[event.id].press == event.press
        assert station.copies[event.id] == 1
    for peer in peers:
        await asyncio.to_thread(peer.__exit__, None, None, None)


@pytest.mark.proves("N2")
async def test_without_receipts_nothing_is_closed_and_a_new_generation_gets_it_again(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with Station(broker, receipts=False) as station:
        async with sending(broker, tmp_path) as gateway:
            await keep(gateway, press(CLOCK), plain(CLOCK, EventType.FAULT))
            await until(lambda: len(station.stored) >= 3)
            await gateway._keeper.look()
            assert gateway._keeper.queued >= 3
            assert set(station.copies.values()) == {1}
            station.receipts = True
            station.say_status(7)
            await until_delivered(gateway)
            assert gateway._outbox.counts.resent >= 3


@pytest.mark.proves("N2", "F27", "F18")
async def test_what_nobody_listens_to_stays_here_and_goes_with_the_alarms_first_when_the_station_comes(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    async with sending(broker, tmp_path) as gateway:
        await keep(gateway, *(plain(CLOCK, EventType.FAULT) for _ in range(40)))
        await until(lambda: gateway._uplink.refused.get("broker: nobody listens"))
        pressed = press(CLOCK)
        await keep(gateway, pressed)
        await gateway._keeper.look()
        assert gateway._keeper.queued >= 41
        assert gateway._outbox.counts.handed <= len(AUDIENCES), "only neighbours' and the police's views are done with"
        with Station(broker) as station:
            station.say_status(1)
            await until_delivered(gateway)
            assert next(iter(station.stored)) == pressed.id
            assert set(station.copies.values()) == {1}


@pytest.mark.proves("N2", "N14", "F18")
async def test_a_press_during_a_long_pause_of_the_link_ends_the_pause(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    async with sending(broker, tmp_path) as gateway:
        link = gateway._uplink.link
        link._jitter = lambda: 1e6  # it would not try again this week
        await asyncio.to_thread(broker.kill)
        await until(lambda: not link.up)
        await asyncio.to_thread(broker.start)
        await keep(gateway, plain(CLOCK, EventType.FAULT))
        assert not link.up
        pressed = press(CLOCK)
        await keep(gateway, pressed)
        await until(lambda: pressed.id in station.stored)


@pytest.mark.proves("N2", "N3")
async def test_a_broker_killed_in_the_middle_costs_nothing(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    async with sending(broker, tmp_path) as gateway:
        for number in range(60):
            await keep(gateway, press(CLOCK, number=number + 1))
            if number == 30:
                await asyncio.to_thread(broker.kill)
                await asyncio.to_thread(broker.start)
        await until(lambda: gateway._uplink.link.up)
        station.say_status(9)
        await until_delivered(gateway)
        presses = {event.press for event in station.stored.values() if event.press}
        assert presses == {f"u01:1:{number}" for number in range(1, 61)}


@pytest.mark.proves("N3")
async def test_a_restart_sends_what_has_no_receipt_and_nothing_else(broker: PrivateBroker, tmp_path: Path) -> None:
    with Station(broker, receipts=False) as station:
        async with sending(broker, tmp_path) as gateway:
            done, owed = press(CLOCK, kind=Kind.DURESS), press(CLOCK, number=2, kind=Kind.DURESS)
            await keep(gateway, done, owed)
            await until(lambda: {done.id, owed.id} <= station.stored.keys())
            station.receipt([done.id])
            await until(lambda: gateway._outbox.counts.receipted == 1)
        async with sending(broker, tmp_path) as gateway:
            await until(lambda: station.copies[owed.id] == 2)
            await asyncio.sleep(0.2)
            assert station.copies[done.id] == 1


async def test_a_rejected_event_is_not_sent_for_ever(broker: PrivateBroker, tmp_path: Path) -> None:
    with Station(broker, receipts=False) as station:
        async with sending(broker, tmp_path) as gateway:
            await keep(gateway, plain(CLOCK, EventType.FAULT))
            await until(lambda: len(station.stored) >= 2)
            station.receipt(station.stored, rejected=True)
            await until(lambda: gateway._outbox.counts.rejected >= 2)
            station.receipts = True
            station.say_status(3)
            await until_delivered(gateway)


@pytest.mark.proves("N7", "N9")
async def test_a_topic_that_the_broker_refuses_holds_up_nobody_else(tmp_path: Path) -> None:
    right = f"topic write sw1/{STATION}/household/h03/alarm"

    def without(principals: Any) -> str:
        text = acl_file(principals)
        assert right in text
        return text.replace(right, "")

    with (
        PrivateBroker(tmp_path / "broker", EVERYBODY, render_acl=without) as broker,
        Station(broker) as station,
        Peer(broker, POLICE) as police,
    ):
        async with sending(broker, tmp_path) as gateway:
            for number in range(40):
                await keep(gateway, press(CLOCK, number=number + 1))
            await until(lambda: len(police.bodies(AlarmView)) == 40 and len(station.stored) >= 40)
            assert gateway._uplink.refused["broker: Not authorized"] >= 1

            async def only_one_is_owed() -> bool:
                await gateway._keeper.flush()
                owed = await gateway._keeper.ask(lambda journal: journal.pending(limit=99))
                return {target for _, targets in owed for target in targets} == {"household:h03"}

            await until(only_one_is_owed)


@pytest.mark.proves("N2", "N7", "N9", "F18")
async def test_a_backlog_of_thousands_goes_out_alarms_first_and_all_of_it(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    async with running(at_broker(broker, tmp_path, keep_events=100)) as gateway:
        for _ in range(20):
            await keep(gateway, *(plain(CLOCK, EventType.FAULT) for _ in range(100)))
        await keep(gateway, press(CLOCK, kind=Kind.DURESS))
        await until_delivered(gateway)
        assert len([event for event in station.stored.values() if event.event is EventType.FAULT]) >= 2_000
        assert max(event.seq for event in station.stored.values()) >= 2_002


async def test_what_no_message_can_be_made_of_is_told_and_the_rest_goes_on(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    async with sending(broker, tmp_path) as gateway:
        poison = press(CLOCK, door=123_456)
        after = press(CLOCK, number=2)
        await keep(gateway, poison, after)
        await until(lambda: after.id in station.stored)
        await until_fault(gateway, "unsendable")
        assert poison.id not in station.stored


# Presence


@pytest.mark.proves("N8")
async def test_its_presence_is_retained_and_its_farewell_ends_it(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    async with sending(broker, tmp_path) as gateway:
        await until(station.statuses)
        status = station.statuses()[0]
        assert (status.gateway, status.epoch, status.online) == (GATEWAY, gateway._keeper.epoch, True)
        with Station(broker) as late:
            await until(late.statuses)
    await until(lambda: station.statuses(online=False))
    assert len({status.session for status in station.statuses()}) == 1


@pytest.mark.proves("N8")
async def test_a_fault_is_in_the_status_within_seconds(broker: PrivateBroker, station: Station, tmp_path: Path) -> None:
    async with sending(broker, tmp_path) as gateway:
        gateway._supervision.state("line_lost", "line9", wrong=True)
        await until(lambda: any("line_lost" in status.faults for status in station.statuses()))
        gateway._supervision.state("line_lost", "line9", wrong=False)
        await until(lambda: "line_lost" not in station.statuses()[-1].faults)


@pytest.mark.proves("N8")
async def test_a_silent_unit_and_its_return_reach_the_station(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    clock = Clock()
    more = {"units": [unit(number) for number in range(1, 5)], "heartbeat_s": 30}
    async with running(at_broker(broker, tmp_path, **more), clock=clock) as gateway:
        await until(lambda: gateway._uplink.link.up)
        clock.pass_s(35)
        for other in ("u02", "u03", "u04"):
            gateway._supervision.heard(UnitId(other), clock().mono_ns)
        clock.pass_s(32)

        def told(type_: EventType) -> list[Any]:
            return [event.detail["fault"] for event in station.stored.values() if event.event is type_]

        await until(lambda: "unit_silent" in told(EventType.FAULT))
        gateway._own.note(gateway._supervision.heard(UnitId("u01"), clock().mono_ns))
        await until(lambda: "unit_silent" in told(EventType.FAULT_RESTORED))


# Orders


@asynccontextmanager
async def ordering(
    broker: PrivateBroker, station: Station, folder: Path, **more: Any
) -> AsyncIterator[tuple[Gateway, Event]]:
    """A gateway at which a press rings (its units are told nothing: there is no line)."""
    units = [unit(number) for number in range(1, 6)]
    async with sending(broker, folder, **({"units": units} | more)) as gateway:
        await until(station.statuses)
        event = replace(press(CLOCK), stamp=gateway._clock())
        gateway._sound(
            gateway._alert.ring(event, facts=event.facts(gateway._settings.gateway), now_ns=gateway._clock().mono_ns)
        )
        await keep(gateway, event)
        yield gateway, event


@pytest.mark.proves("N12")
@pytest.mark.parametrize(
    ("action", "how"),
    [(Action.STOP, {"by": "duty_officer"}), (Action.LADDER, {"state": LadderState.CLOSED})],
    ids=["stop", "closed"],
)
async def test_what_the_station_had_ended_does_not_ring_again_after_a_restart(
    broker: PrivateBroker, station: Station, tmp_path: Path, action: Action, how: dict[str, Any]
) -> None:
    units = [unit(number) for number in range(1, 6)]
    async with ordering(broker, station, tmp_path) as (gateway, event):
        pass
    async with sending(broker, tmp_path, units=units) as gateway:
        assert [ringing.alarms for ringing in gateway._alert.ringing] == [[event.id]]
        await until(lambda: station.statuses()[-1].session == gateway._uplink.session)
        station.order(action, alarm=event.id, **how)
        await until(lambda: not gateway._alert.ringing)
    async with sending(broker, tmp_path, units=units) as gateway:
        assert not gateway._alert.ringing


@pytest.mark.proves("A5")
async def test_the_ladder_moves_and_a_closed_alarm_is_quiet(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    async with ordering(broker, station, tmp_path) as (gateway, event):
        station.order(Action.LADDER, alarm=event.id, state=LadderState.SOMEBODY_COMING)
        await until(lambda: gateway._ladder._climbs[event.id].state is LadderState.SOMEBODY_COMING)
        assert gateway._alert.ringing
        station.order(Action.LADDER, alarm=event.id, state=LadderState.CLOSED)
        await until(lambda: not gateway._alert.ringing)


async def test_a_stop_is_obeyed_and_kept_with_who_had_it_done(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    async with ordering(broker, station, tmp_path) as (gateway, event):
        station.order(Action.STAND_BACK, alarm=event.id)
        await until(lambda: gateway._alert.ringing[0].stand_back)
        station.order(Action.STOP, alarm=event.id, by="officer")
        await until(lambda: not gateway._alert.ringing)
        await until(lambda: any(one.event is EventType.SILENCED for one in station.stored.values()))
        (silenced,) = [one for one in await journalled(gateway) if one.type is EventType.SILENCED]
        assert silenced.detail == {"alarm": event.id, "by": "officer"}
        station.order(Action.READINESS)
        await asyncio.sleep(0.1)


@pytest.mark.proves("N13")
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"session": "0" * 32}, "other_session"),
        ({"counter": 0}, "old_counter"),
        ({"retain": True}, "retained"),
        ({"age_ms": 61_000}, "too_old"),
    ],
)
async def test_an_order_of_another_session_an_old_one_or_a_kept_one_does_nothing(
    broker: PrivateBroker, station: Station, tmp_path: Path, how: dict[str, Any], reason: str
) -> None:
    async with ordering(broker, station, tmp_path) as (gateway, _):
        station.order(Action.READINESS, counter=0)
        before = len(gateway._alert.ringing)
        station.order(Action.ALERT, alarm=new_id(), kind=Kind.FIRE, group="g1", **how)
        if reason == "retained":  # the broker hands a kept copy to a new connection
            await until(lambda: len(gateway._alert.ringing) == before + 1)
            before += 1
            await asyncio.to_thread(broker.stop)
            await asyncio.to_thread(broker.start)
        await until(lambda: gateway._uplink.refused.get(reason))
        assert len(gateway._alert.ringing) == before


@pytest.mark.proves("A2", "N12")
async def test_an_order_to_alert_rings_once_for_one_alarm(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    async with ordering(broker, station, tmp_path) as (gateway, _):
        alarm = new_id()
        station.order(Action.ALERT, alarm=alarm, kind=Kind.FIRE, group="g1", place="h03", door=103)
        await until(lambda: len(gateway._alert.ringing) == 2)
        station.order(Action.ALERT, alarm=alarm, kind=Kind.FIRE, group="g1")
        await until(lambda: gateway._uplink.refused.get("already_known"))
        await until(lambda: any(one.event is EventType.ALERT for one in station.stored.values()))
        (told,) = [one for one in await journalled(gateway) if one.type is EventType.ALERT]
        assert told.detail == {"alarm": alarm, "group": "g1"}


@pytest.mark.proves("N13")
async def test_what_the_station_did_not_sign_is_refused_and_counted(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    async with ordering(broker, station, tmp_path) as (gateway, event):
        command = station.order(Action.READINESS)
        forged = command.model_copy(update={"action": Action.STOP, "alarm": event.id, "by": "x", "counter": 99})
        station.send(forged, signer=Signer("station", seed("a thief")))
        await until(lambda: gateway._uplink.refused.get("bad_signature"))
        station.send(forged, signer=OTHER_SIGNER)
        await until(lambda: gateway._uplink.refused.get("wrong_signer"))
        station.publish(command.topic, b"nonsense")
        await until(lambda: gateway._uplink.refused.get("malformed"))
        assert gateway._alert.ringing


@pytest.mark.proves("N10", "N14", "F03")
async def test_a_station_that_holds_more_than_we_do_makes_us_open_a_new_epoch(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with Station(broker, receipts=False) as station:
        async with sending(broker, tmp_path) as gateway:
            event = press(CLOCK)
            await keep(gateway, event)
            await until(lambda: event.id in station.stored)
            old = gateway._keeper.epoch
            station.greet(Head(epoch=old, seq=2))
            await asyncio.sleep(0.1)
            assert gateway._keeper.epoch == old
            station.greet(Head(epoch=old, seq=999))
            await until(lambda: gateway._keeper.epoch != old)
            await until(lambda: station.statuses()[-1].epoch == gateway._keeper.epoch)
            await until_fault(gateway, "old_journal")
            station.receipts = True
            station.say_status(5)
            await until_delivered(gateway)
            assert gateway._keeper.head_seq >= 2
            station.greet(Head(epoch=old, seq=999), Head(epoch=gateway._keeper.epoch, seq=1))
            await until(lambda: "old_journal" not in gateway._supervision.faults)


@pytest.mark.proves("N2", "N3", "N9", "N12", "F13")
async def test_a_station_that_lost_what_it_had_is_told_again_and_nobody_else_is(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    police = Peer(broker, POLICE)
    await asyncio.to_thread(police.__enter__)
    async with sending(broker, tmp_path) as gateway:
        events = [press(CLOCK, number=number + 1) for number in range(6)]
        for event in events:
            await keep(gateway, event)
        await until_delivered(gateway)
        station.receipts = False  # it comes back from a backup: what was told again is not receipted by itself
        before, epoch = dict(station.copies), gateway._keeper.epoch
        seqs = {event.id: station.stored[event.id].seq for event in events}
        held = seqs[events[3].id]
        lost = [events[1], events[4], events[5]]
        station.greet(Head(epoch=epoch, seq=gateway._keeper.head_seq))
        await asyncio.sleep(0.1)
        assert station.copies == before
        gap = Missing(first=seqs[events[1].id], last=seqs[events[1].id])
        station.greet(Head(epoch=epoch, seq=held, missing=(gap,)))
        await until(lambda: all(station.copies[event.id] == 2 for event in lost))
        assert gateway._keeper.low <= seqs[events[1].id]
        assert gateway._retelling.count == gateway._keeper.head_seq - held + 1
        station.receipt(seqs)
        station.receipts = True
        station.say_status(9)
        await until_delivered(gateway)
        assert [station.copies[events[number].id] for number in (0, 2, 3)] == [1, 1, 1]
        await asyncio.to_thread(police.catch_up)
        views = [view.id for view in police.bodies(AlarmView)]
        assert sorted(views) == sorted({*views}), "nobody but the station is told twice"
        told, now = gateway._retelling.count, CLOCK()
        gateway._retelling._clock = lambda: replace(now, wall_ms=now.wall_ms + 32 * 86_400_000, quality="synced")
        station.greet()  # it holds nothing; what is older than 31 days stays where it is
        await until(lambda: gateway._retelling._running is not None and gateway._retelling._running.done())
        assert gateway._retelling.count == told
        gateway._retelling._clock = CLOCK
        station.greet()
        await until(lambda: gateway._retelling.count == told + gateway._keeper.head_seq)
        await until_delivered(gateway)
    await asyncio.to_thread(police.__exit__, None, None, None)


@pytest.mark.proves("N2")
async def test_a_mistake_of_ours_while_reading_back_what_was_spilled_is_told_and_delays_it_only(
    broker: PrivateBroker, station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sending(broker, tmp_path) as gateway:
        await until_delivered(gateway)
        await until(lambda: gateway._outbox._spilled is None and not gateway._uplink._refilling)
        mistakes = [KeyError(1), RuntimeError("a mistake")]
        journal = gateway._keeper.journal
        assert journal is not None
        pending = journal.pending

        def clumsy(**named: Any) -> object:
            if mistakes:
                raise mistakes.pop()
            return pending(**named)

        monkeypatch.setattr(journal, "pending", clumsy)
        gateway._outbox.break_off_reading()  # as when something was spilled
        await keep(gateway, plain(CLOCK, EventType.HELLO))
        assert gateway._outbox.waiting == 0
        await until(lambda: not mistakes)
        await until_fault(gateway, "internal_error")
        await until(lambda: any(event.event is EventType.HELLO for event in station.stored.values()))


@pytest.mark.proves("N15")
async def test_a_gateway_whose_history_is_not_the_one_that_the_station_was_told_says_so(
    broker: PrivateBroker, tmp_path: Path
) -> None:
    with Station(broker) as station:
        async with sending(broker, tmp_path) as gateway:
            await keep(gateway, press(CLOCK))
            await until(lambda: len(station.stored) >= 2)
            gateway._uplink.tell_status()
            await until(lambda: station.statuses()[-1].head >= 2)
            told = station.statuses()[-1]
            held = Head(epoch=told.epoch, seq=told.head, chain=ChainHead(seq=told.head, digest=told.digest))
            station.greet(held)
            await until(lambda: gateway._history._last == (held.epoch, held.chain) and not gateway._history._tasks)
            assert "history_changed" not in gateway._supervision.faults
        async with sending(broker, tmp_path) as gateway:  # nobody touched it
            station.greet(held)
            await until(lambda: gateway._history._last is not None and not gateway._history._tasks)
            assert "history_changed" not in gateway._supervision.faults
        rewrite(tmp_path / "state" / "journal.db")
        async with sending(broker, tmp_path) as gateway:
            station.holds = held
            await keep(gateway, press(CLOCK, number=2))
            await until_fault(gateway, "history_changed")
            await until(lambda: any(one.detail.get("fault") == "history_changed" for one in station.stored.values()))
            station.holds = None
            await gateway._keeper.open_epoch()
            fresh = gateway._keeper.epoch
            _, head = gateway._keeper.head
            ours = ChainHead(seq=head.seq, digest=head.digest.hex())
            station.greet(Head(epoch=fresh, seq=head.seq, chain=ours))
            await until(lambda: "history_changed" not in gateway._supervision.faults)


@pytest.mark.proves("N15")
async def test_a_gateway_tells_back_the_head_of_the_stations_record_that_it_keeps_and_no_other(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    first, later = ChainHead(seq=7, digest="a" * 64), ChainHead(seq=9, digest="b" * 64)
    async with sending(broker, tmp_path) as gateway:
        await until(lambda: bool(station.statuses()))
        assert station.statuses()[-1].audit is None
        station.tell_audit(first)
        await until(lambda: gateway._keeper.audit is not None)
        station.tell_audit(later, follows=later)
        await until(lambda: gateway._uplink.refused == {"audit_unrelated": 1})
        await gateway._keeper.open_epoch()
        gateway._uplink.tell_status()
        await until(lambda: station.statuses()[-1].audit == first)
    async with sending(broker, tmp_path) as gateway:
        station.tell_audit(later, follows=first)
        await until(lambda: gateway._keeper.audit is not None and gateway._keeper.audit.seq == 9)
        station.tell_audit(first, follows=later)
        await until(lambda: gateway._uplink.refused == {"audit_unrelated": 1})
        gateway._uplink.tell_status()
        await until(lambda: station.statuses()[-1].audit == later)


# Households that other gateways ring


def remote(**more: Any) -> dict[str, Any]:
    households = [{"id": household, "group": "g2", "remote": True, "door": 8} for household in REMOTE]
    return {"households": households, "units": [unit(8), unit(9)], **more}


def view(household: str, alarm: EventId, **more: Any) -> AlarmView:
    values: dict[str, Any] = {
        "topic": f"sw1/{STATION}/household/{household}/alarm", "audience": f"household:{household}", "id": alarm,
        "age_ms": 0, "kind": Kind.PANIC, "word_zh": "紧急报警", "word_en": "panic", "door": 7,
    }  # fmt: skip
    return AlarmView.model_validate(values | more)


@pytest.mark.proves("A1", "N4", "N12")
async def test_a_household_here_is_rung_by_another_gateways_message_and_only_if_it_may_be(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    with Peer(broker, OTHER, f"sw1/{STATION}/gateway/gw2/receipt") as other:
        async with sending(broker, tmp_path, **remote()) as gateway:
            refused = gateway._uplink.refused
            alarm = new_id()
            for household in REMOTE:
                body = view(household, alarm)
                other.publish(body.topic, OTHER_SIGNER.envelope(body))
            await until(lambda: [one.audience for one in gateway._alert.ringing] == [frozenset(REMOTE)])
            body = view("h08", alarm)
            other.publish(body.topic, OTHER_SIGNER.envelope(body))
            await until(lambda: refused.get("already_known") == 1)
            old = view("h08", new_id(), age_ms=60_001)
            other.publish(old.topic, OTHER_SIGNER.envelope(old))
            await until(lambda: refused.get("too_old") == 1)
            misplaced = view("h09", new_id())
            other.publish(view("h08", new_id()).topic, OTHER_SIGNER.envelope(misplaced))
            await until(lambda: refused.get("wrong_topic") == 1)
            assert len(gateway._alert.ringing) == 1
            test = view("h08", new_id(), mark=Mark.DRILL)
            other.publish(test.topic, OTHER_SIGNER.envelope(test))
            await until(lambda: len(gateway._alert.ringing) == 2)
    assert station is not None


@pytest.mark.proves("N12", "F30")
async def test_an_alarm_that_somebody_recorded_rings_nobody_after_a_restart_either(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    body = view("h08", new_id())
    with Peer(broker, OTHER, f"sw1/{STATION}/gateway/gw2/receipt") as other:
        async with sending(broker, tmp_path, **remote()) as gateway:
            other.publish(body.topic, OTHER_SIGNER.envelope(body))
            await until(lambda: len(gateway._alert.ringing) == 1)
        async with sending(broker, tmp_path, **remote()) as gateway:
            before = len(gateway._alert.ringing)
            other.publish(body.topic, OTHER_SIGNER.envelope(body))
            await until(lambda: gateway._uplink.refused.get("already_known") == 1)
            assert len(gateway._alert.ringing) == before
            fresh = view("h08", new_id())
            other.publish(fresh.topic, OTHER_SIGNER.envelope(fresh))
            await until(lambda: len(gateway._alert.ringing) == before + 1)
    assert station is not None


@pytest.mark.proves("A9")
async def test_what_became_of_it_stops_the_sound_or_says_stand_back(
    broker: PrivateBroker, station: Station, tmp_path: Path
) -> None:
    def update(alarm: EventId, state: UpdateState) -> AlarmUpdate:
        topic = f"sw1/{STATION}/household/h08/update"
        return AlarmUpdate(
            topic=topic, audience="household:h08", id=new_id(), age_ms=0, alarm=alarm, state=state,
            word_zh="x", word_en="x",
        )  # fmt: skip

    with Peer(broker, OTHER, f"sw1/{STATION}/gateway/gw2/receipt") as other:
        async with sending(broker, tmp_path, **remote()) as gateway:
            alarm = new_id()
            body = view("h08", alarm)
            other.publish(body.topic, OTHER_SIGNER.envelope(body))
            await until(lambda: gateway._alert.ringing)
            station.send(update(alarm, UpdateState.ACKNOWLEDGED))
            station.send(update(alarm, UpdateState.STAND_BACK))
            await until(lambda: gateway._alert.ringing[0].stand_back)
            station.send(update(alarm, UpdateState.CLOSED), signer=STATION_SIGNER)
            await until(lambda: not gateway._alert.ringing)
