"""The slice of the register that a gateway runs: taken whole, kept, verified again, and never an older one."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretBytes

from broker.ids import EventId, HouseholdId, UnitId, event_id
from broker.kinds import EventType
from broker.messages import Action, Command
from broker.sealing import sealing_key
from broker.signing import Signer, Verifier, canonical
from broker.slices import RegisterSlice, SliceRefused, SliceUnit, parts, seal_keys
from devices.commands import Pattern
from gateway.mqtt import Arrived
from gateway.program import Gateway
from gateway.register import Register
from gateway.settings import GatewaySettings, public_keys
from gateway.slices import FILE, Incoming, Kept, apply, keep, load
from tests.gateway.place import GATEWAY, OTHER_SIGNER, STATION, STATION_SIGNER, seed, settings
from tests.gateway.running import around, journalled, running, until_fault
from tests.gateway.waiting import until
from tests.gateway.wire import Units, Wire

TOPIC = f"sw1/{STATION}/gateway/{GATEWAY}/config"
NEW_KEY, OTHER_KEY = b"n" * 16, b"o" * 16


def ids() -> Iterator[EventId]:
    return (event_id(number, bytes(10)) for number in count(1))


def slice_of(version: int = 1, **changed: Any) -> RegisterSlice:
    """What the place's settings say, with changes."""
    here = settings(Path("/nowhere"))
    values: dict[str, Any] = {
        "station": STATION,
        "gateway": GATEWAY,
        "version": version,
        "groups": [group.model_dump() for group in here.groups],
        "households": [
            one.model_dump(mode="json") | {"excludes": sorted(one.excludes)} for one in here.households
        ],
        "units": [
            {"id": unit.id, "household": unit.household, "line": unit.line, "address": unit.address}
            for unit in here.units
        ],
    }  # fmt: skip
    return RegisterSlice.model_validate_json(json.dumps(values | changed))


def excluding(version: int, place: str, *excluded: str) -> RegisterSlice:
    households = [
        one.model_dump(mode="json") | ({"excludes": excluded} if one.id == place else {})
        for one in slice_of().households
    ]
    return slice_of(version, households=households)


def sent(one: RegisterSlice, signer: Signer = STATION_SIGNER) -> list[tuple[Any, bytes]]:
    bodies = parts(one.text(), station=STATION, gateway=GATEWAY, version=one.version, ids=ids())
    return [(body, signer.envelope(body)) for body in bodies]


def kept(one: RegisterSlice, signer: Signer = STATION_SIGNER) -> Kept:
    return Kept(one, TOPIC, tuple(envelope for _, envelope in sent(one, signer)))


def sealed(one: RegisterSlice, keys: dict[str, bytes], owner: bytes | None = None) -> RegisterSlice:
    owner = owner or settings(Path("/nowhere")).signing_seed.get_secret_value()
    text = seal_keys(keys, one, key=sealing_key(owner), secret=bytes([one.version]) * 32)
    return one.model_copy(update={"sealed": text})


def verifier(here: GatewaySettings) -> Verifier:
    return Verifier(STATION, public_keys(here))


def configure(gateway: Gateway, one: RegisterSlice) -> None:
    for body, envelope in sent(one):
        gateway.configured(body, TOPIC, envelope)


class TestApplying:
    @pytest.mark.proves("P1")
    def test_the_stations_tags_replace_those_of_the_site_file_and_silence_leaves_them(self) -> None:
        here = settings(Path("/nowhere"), tags=["0A00B1C2D3"])
        assert apply(here, slice_of()).settings.tags == {"0A00B1C2D3"}
        assert apply(here, slice_of(tags=["100086F444", "86F445"])).settings.tags == {"100086F444", "86F445"}
        assert apply(here, slice_of(tags=[])).settings.tags == frozenset()

    @pytest.mark.proves("G1")
    def test_a_slice_that_says_what_the_site_file_says_changes_nothing(self) -> None:
        here = settings(Path("/nowhere"))
        applied = apply(here, slice_of())
        assert applied.settings == here
        assert applied.unusable == {}

    def test_hardware_and_keys_stay_what_they_are_here(self) -> None:
        here = settings(Path("/nowhere"), unit_keys={"u09": seed("u09")[:16]})
        units = [
            {"id": "u01", "household": "h03", "line": "line1", "address": 1, "volume": 1},
            {"id": "u02", "household": "h02"},
            {"id": "u07", "household": "h04", "line": "line1", "address": 7},
            {"id": "u08", "household": "h04", "line": "line9", "address": 8},
            {"id": "u09", "household": "h04", "line": "line1", "address": 9},
        ]
        applied = apply(here, slice_of(units=units))
        register = Register(applied.settings)
        first = register.unit("line1", 1)
        assert first is not None
        assert (first.household, first.volume, first.key) == ("h03", 1, here.units[0].key)
        second = register.unit_by_id(UnitId("u02"))
        assert second is not None
        assert second.address == 2  # as it is wired here
        assert register.unit("line1", 9) is not None
        assert register.unit("line1", 3) is None
        assert applied.unusable == {"u07": "key", "u08": "line"}

    @pytest.mark.proves("N13")
    def test_a_unit_that_only_the_slice_has_a_key_of_is_heard_and_a_key_that_works_is_never_lost(self) -> None:
        here = settings(Path("/nowhere"))
        units = [
            {"id": "u01", "household": "h01"},
            {"id": "u02", "household": "h02"},
            {"id": "u07", "household": "h04", "line": "line1", "address": 7},
            {"id": "u08", "household": "h04", "line": "line1", "address": 8},
        ]
        own = here.units[0].key
        came = {"u01": own.get_secret_value(), "u02": NEW_KEY, "u07": NEW_KEY, "u99": NEW_KEY}
        register = Register((applied := apply(here, slice_of(units=units), came)).settings)
        found = {str(unit.id): (unit.key, unit.next_key) for unit in register.units()}
        assert found == {
            "u01": (own, None),
            "u02": (here.units[1].key, SecretBytes(NEW_KEY)),
            "u07": (SecretBytes(NEW_KEY), None),
        }
        assert applied.unusable == {"u08": "key"}

    @pytest.mark.proves("N4", "N13")
    def test_of_gateways_those_are_believed_that_the_slice_names_and_the_station_as_it_is_set_up_here(self) -> None:
        station = STATION_SIGNER.public.hex()
        old, new = "1" * 64, "2" * 64
        here = settings(
            Path("/nowhere"),
            known_keys={"station": station, "gateway:gw3": old, "gateway:gw4": old, "gateway:gw5": old},
        )
        peers = [
            {"gateway": "gw2", "public": {"gateway:gw2": new}},
            {"gateway": "gw3", "public": {"gateway:gw3#2": new}},
            {"gateway": "gw4", "public": {}},
        ]
        assert apply(here, slice_of(peers=peers)).settings.known_keys == {
            "station": station, "gateway:gw2": new, "gateway:gw3#2": new, "gateway:gw4": old,
        }  # fmt: skip
        assert apply(here, slice_of(peers=[])).settings.known_keys == {"station": station}
        assert apply(here, slice_of()).settings.known_keys == here.known_keys

    def test_what_is_wired_or_radio_rings_for_the_place_that_the_slice_names(self) -> None:
        here = settings(
            Path("/nowhere"),
            contacts=[{"id": "k1", "pin": 5, "household": "h01"}, {"id": "k2", "pin": 6, "household": "h02"},
                      {"id": "loop", "pin": 7}],
            remotes=[{"id": "f1", "identity": 1, "command": 1, "household": "h01"},
                     {"id": "f2", "identity": 2, "command": 1, "household": "h02"}],
        )  # fmt: skip
        said = [
            SliceUnit(id=UnitId("k1"), household=HouseholdId("h03"), sort="contact").model_dump(mode="json"),
            SliceUnit(id=UnitId("f1"), household=HouseholdId("h04"), sort="remote").model_dump(mode="json"),
        ]
        applied = apply(here, slice_of(units=said)).settings
        assert [contact.household for contact in applied.contacts] == ["h03", None, None]
        assert [(remote.id, remote.household) for remote in applied.remotes] == [("f1", "h04")]


class TestKeeping:
    def test_the_last_known_good_slice_is_read_back_and_verified(self, tmp_path: Path) -> None:
        here = settings(tmp_path)
        assert load(here, verifier(here)).kept is None
        keep(here, kept(excluding(3, "h01", "h03")))
        found = load(here, verifier(here))
        assert found.kept == kept(excluding(3, "h01", "h03"))
        assert not found.drift
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600

    @pytest.mark.proves("N13")
    @pytest.mark.parametrize("damage", ["text", "cut", "signer", "gateway"])
    def test_a_file_that_somebody_changed_is_refused(self, tmp_path: Path, damage: str) -> None:
        here = settings(tmp_path)
        if damage == "signer":
            keep(here, kept(slice_of(3), OTHER_SIGNER))
        elif damage == "gateway":
            keep(here, kept(slice_of(3, gateway="gw7")))
        else:
            keep(here, kept(slice_of(3)))
            data = (tmp_path / FILE).read_bytes()
            half = len(data) // 2
            (tmp_path / FILE).write_bytes(data[:half] + (b"" if damage == "cut" else b"QUJD" + data[half + 4 :]))
        found = load(here, verifier(here))
        assert (found.kept, found.drift) == (None, True)

    @pytest.mark.proves("N13")
    def test_keys_are_kept_sealed_and_those_that_somebody_changed_are_none(self, tmp_path: Path) -> None:
        here = settings(tmp_path)
        keep(here, replace(kept(slice_of(3)), keys={"u07": NEW_KEY}))
        text = (tmp_path / FILE).read_text()
        assert NEW_KEY.hex() not in text
        found = load(here, verifier(here)).kept
        assert found is not None
        assert found.keys == {"u07": NEW_KEY}
        values = json.loads(text)
        other = "B" if values["keys"].startswith("A") else "A"
        (tmp_path / FILE).write_text(json.dumps(values | {"keys": other + values["keys"][1:]}))
        again = load(here, verifier(here))
        assert again.drift
        assert again.kept == kept(slice_of(3))

    def test_an_edit_of_the_site_file_is_drift_and_does_not_count(self, tmp_path: Path) -> None:
        keep(settings(tmp_path), kept(slice_of(3)))
        edited = settings(tmp_path, groups=[{"id": "g1", "community": "c1", "grid": "elsewhere"}])
        found = load(edited, verifier(edited))
        assert found.drift
        assert found.kept is not None


class TestIncoming:
    @pytest.mark.proves("N13")
    def test_keys_that_came_stay_when_a_later_slice_lacks_them_and_go_with_their_unit(self) -> None:
        incoming = Incoming(settings(Path("/nowhere")), runs=0)
        units = [{"id": one, "household": "h01", "line": "line1", "address": n} for n, one in enumerate("abc", start=1)]
        taken = []
        for version, names, brings in ((1, 3, {"a": NEW_KEY, "b": NEW_KEY}), (2, 3, {"b": OTHER_KEY}), (3, 1, {})):
            one = sealed(slice_of(version, units=units[:names]), brings)
            for body, envelope in sent(one):
                taken.append(incoming.take(body, TOPIC, envelope))
        first, second, third = (one.keys for one in taken if one is not None)
        assert first == {"a": NEW_KEY, "b": NEW_KEY}
        assert second == {"a": NEW_KEY, "b": OTHER_KEY}
        assert third == {"a": NEW_KEY}

    @pytest.mark.proves("N13")
    def test_one_that_cannot_be_opened_is_refused_whole_until_one_comes_that_can(self) -> None:
        incoming = Incoming(settings(Path("/nowhere")), runs=1)
        for wrong in (
            sealed(slice_of(2), {"u01": NEW_KEY}, seed("somebody else")),
            sealed(slice_of(2), {"u01": b"short"}),
        ):
            with pytest.raises(SliceRefused) as caught:
                [incoming.take(body, TOPIC, envelope) for body, envelope in sent(wrong)]
            assert caught.value.code == "bad_seal"
            assert incoming.runs == 1
        good = sealed(slice_of(2), {"u01": NEW_KEY})
        assert [incoming.take(body, TOPIC, envelope) for body, envelope in sent(good)][-1] is not None
        assert incoming.runs == 2

    @pytest.mark.proves("N13")
    def test_an_older_slice_is_refused_and_the_same_one_is_nothing(self) -> None:
        incoming = Incoming(settings(Path("/nowhere")), runs=5)
        ((old, old_envelope),) = sent(slice_of(4))
        with pytest.raises(SliceRefused):
            incoming.take(old, TOPIC, old_envelope)
        ((same, same_envelope),) = sent(slice_of(5))
        assert incoming.take(same, TOPIC, same_envelope) is None
        ((new, new_envelope),) = sent(slice_of(6))
        assert incoming.take(new, TOPIC, new_envelope) == kept(slice_of(6))
        assert incoming.runs == 6

    def test_many_parts_are_kept_in_their_order(self, tmp_path: Path) -> None:
        households = [{"id": f"x{number}", "label": "东街" * 20} for number in range(300)]
        big = slice_of(2, households=households)
        incoming, here = Incoming(settings(tmp_path), runs=0), settings(tmp_path)
        found = [incoming.take(body, TOPIC, envelope) for body, envelope in reversed(sent(big))]
        assert found[-1] == kept(big)
        keep(here, kept(big))
        assert load(here, verifier(here)).kept == kept(big)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    one = Wire(tmp_path / "line1")
    one.plug()
    yield one
    one.close()


def place(wire: Wire, state: Path, **more: Any) -> GatewaySettings:
    return settings(state, lines=[{"name": "line1", "port": wire.name, "baud": 115200}], **more)


@pytest.mark.anyio
class TestRunning:
    @pytest.mark.proves("G1", "G7")
    async def test_an_exclusion_of_the_station_holds_from_the_next_press_on(self, wire: Wire, tmp_path: Path) -> None:
        async with running(place(wire, tmp_path)) as gateway:
            units = Units(wire, range(1, 6))
            units.press(4)
            await until(lambda: all(units.plays(unit) for unit in (1, 2, 3)))
            configure(gateway, excluding(1, "h03", "h01", "h02"))
            units.press(3)
            await until(lambda: units.plays(4))
            await until(lambda: len(gateway._alert.ringing) == 2)
            rung = next(one for one in gateway._alert.ringing if one.presser == "h03")
            assert rung.audience == {"h04"}
            units.close()

    @pytest.mark.proves("N1")
    async def test_a_press_that_waits_for_the_disk_is_kept_and_answered_across_a_new_slice(
        self, wire: Wire, tmp_path: Path
    ) -> None:
        disk = threading.Event()
        disk.set()

        def slow(append: Callable[..., Any]) -> Callable[..., Any]:
            def held(*args: Any, **kwargs: Any) -> Any:
                assert disk.wait(60)
                return append(*args, **kwargs)

            return held

        async with running(place(wire, tmp_path), wrap=around("journal.append", slow)) as gateway:
            units = Units(wire, range(1, 6))
            disk.clear()
            number = units.press(3)
            await until(lambda: gateway._lines["line1"]._keeping is not None)
            configure(gateway, excluding(1, "h03", "h01"))
            assert not units.is_kept(3, number)
            disk.set()
            await until(lambda: units.is_kept(3, number))
            events = [event for event in await journalled(gateway) if event.type is EventType.PRESS]
            assert [(event.unit, event.membership and set(event.membership.excluded)) for event in events] == [
                ("u03", set())
            ]
            units.close()

    @pytest.mark.proves("N14")
    async def test_after_a_restart_it_goes_on_with_the_last_known_good_slice(self, wire: Wire, tmp_path: Path) -> None:
        async with running(place(wire, tmp_path)) as gateway:
            configure(gateway, excluding(7, "h03", "h01"))
            await until((tmp_path / FILE).exists)
        async with running(place(wire, tmp_path)) as gateway:
            assert gateway._incoming.runs == 7
            place_of = gateway._register.household(HouseholdId("h03"))
            assert place_of is not None
            assert place_of.excludes == {"h01"}
            assert gateway.health()["register"] == 7

    @pytest.mark.proves("N8", "N13")
    async def test_a_slice_with_a_wrong_hash_is_counted_and_a_fault_until_a_good_one_comes(
        self, wire: Wire, tmp_path: Path
    ) -> None:
        async with running(place(wire, tmp_path)) as gateway:
            ((body, envelope),) = sent(slice_of(2))
            gateway.configured(body.model_copy(update={"sha256": "0" * 64}), TOPIC, envelope)
            await until_fault(gateway, "slice_refused")
            assert gateway._uplink.refused["bad_hash"] == 1
            configure(gateway, slice_of(3))
            await until(lambda: "slice_refused" not in gateway._supervision.faults)

    @pytest.mark.proves("N4", "N13")
    async def test_a_gateway_that_the_slice_names_is_believed_from_then_on(self, wire: Wire, tmp_path: Path) -> None:
        topic = f"sw1/{STATION}/household/h05/alarm"
        view = {"v": 1, "type": "alarm", "topic": topic, "audience": "household:h05", "id": event_id(9, bytes(10)),
                "age_ms": 0, "kind": "panic", "word_zh": "紧急报警", "word_en": "panic"}  # fmt: skip
        new = Signer("gateway:gw9", seed("gw9"))
        rung = Arrived(topic, new.seal(canonical(view)), retained=False)
        households = [one.model_dump(mode="json") | {"remote": one.id == "h05"} for one in slice_of().households]
        peers = [{"gateway": "gw9", "public": {new.kid: new.public.hex()}}]
        async with running(place(wire, tmp_path)) as gateway:
            configure(gateway, slice_of(1, households=households))
            gateway._uplink.arrived(rung)
            assert gateway._uplink.refused == {"unknown_key": 1}
            assert not gateway._alert.ringing
            configure(gateway, slice_of(2, households=households, peers=peers))
            gateway._uplink.arrived(rung)
            assert gateway._uplink.refused == {"unknown_key": 1}
            assert gateway._alert.ringing

    async def test_a_unit_without_a_key_is_a_fault_and_stays_unknown(self, wire: Wire, tmp_path: Path) -> None:
        units = [unit.model_dump(mode="json") for unit in slice_of().units]
        more = {"id": "u77", "household": "h04", "line": "line1", "address": 77}
        async with running(place(wire, tmp_path)) as gateway:
            configure(gateway, slice_of(1, units=[*units, more]))
            await until_fault(gateway, "unit_unusable")
            assert gateway._register.unit("line1", 77) is None
            configure(gateway, slice_of(2))
            await until(lambda: "unit_unusable" not in gateway._supervision.faults)

    async def test_drift_is_a_fault_until_the_station_says_something_newer(self, wire: Wire, tmp_path: Path) -> None:
        async with running(place(wire, tmp_path)) as gateway:
            configure(gateway, slice_of(1))
            await until((tmp_path / FILE).exists)
        async with running(place(wire, tmp_path, groups=[{"id": "g1", "community": "c9"}])) as gateway:
            await until_fault(gateway, "register_drift")
            group = gateway._register.membership_of(slice_of().groups[0].id)
            assert group.community == "c1"
            configure(gateway, slice_of(2))
            await until(lambda: "register_drift" not in gateway._supervision.faults)

    async def test_another_unit_at_the_same_address_begins_with_a_window_of_its_own(
        self, wire: Wire, tmp_path: Path
    ) -> None:
        here = place(wire, tmp_path, unit_keys={"u09": seed("u09")[:16]})
        async with running(here) as gateway:
            units = Units(wire, range(1, 6))
            units.press(3)
            await until(lambda: gateway._keeper.head_seq > 1)
            line: Any = gateway._lines["line1"]
            await until(lambda: line.windows[UnitId("u03")] > 0)
            moved = [
                unit.model_dump(mode="json") | ({"id": "u09"} if unit.id == "u03" else {}) for unit in slice_of().units
            ]
            configure(gateway, slice_of(1, units=moved))
            assert line.windows[UnitId("u09")] == 0
            configure(gateway, slice_of(2))
            assert line.windows[UnitId("u03")] > 0
            units.close()


def window(place: str | None, *, lasts_ms: int = 600_000) -> Command:
    values = {"place": place} if place else {}
    return Command.model_validate(
        {
            "topic": f"sw1/{STATION}/gateway/{GATEWAY}/command",
            "audience": f"gateway:{GATEWAY}",
            "id": event_id(1, bytes(10)),
            "age_ms": 0,
            "session": "0" * 32,
            "counter": 1,
            "action": Action.INSTALL,
            "lasts_ms": lasts_ms,
            **values,
        }
    )


def being_installed(version: int, unit: str) -> RegisterSlice:
    units = [one.model_dump(mode="json") | {"installing": one.id == unit} for one in slice_of().units]
    return slice_of(version, units=units)


@pytest.mark.anyio
class TestInstalling:
    @pytest.mark.proves("A2")
    async def test_within_its_window_a_unit_that_is_not_handed_over_sounds_by_itself_and_nobody_is_told(
        self, wire: Wire, tmp_path: Path
    ) -> None:
        async with running(place(wire, tmp_path)) as gateway:
            units = Units(wire, range(1, 6))
            configure(gateway, being_installed(1, "u03"))
            gateway.commanded(window("h03"))
            number = units.press(3)
            await until(lambda: units.is_kept(3, number))
            await until(lambda: units.plays(3) and units.plays(3).pattern is Pattern.CHIRP)  # type: ignore[union-attr] # looked at just before
            assert gateway._alert.ringing == ()
            (event,) = [one for one in await journalled(gateway) if one.type is EventType.TEST]
            assert (event.detail["key"], event.targets(GATEWAY)) == ("panic", ["station"])
            assert [units.plays(one) for one in (1, 2, 4)] == [None] * 3
            units.close()

    @pytest.mark.proves("A2", "N13")
    @pytest.mark.parametrize("case", ["handed over", "no window", "over", "elsewhere"])
    async def test_whatever_is_not_certain_is_real(self, wire: Wire, tmp_path: Path, case: str) -> None:
        async with running(place(wire, tmp_path)) as gateway:
            units = Units(wire, range(1, 6))
            configure(gateway, being_installed(1, "u01" if case == "handed over" else "u03"))
            if case != "no window":
                gateway.commanded(window("h04" if case == "elsewhere" else None))
            if case == "over":
                gateway.commanded(window(None, lasts_ms=0))
            units.press(3)
            await until(lambda: units.plays(4))
            assert [one.presser for one in gateway._alert.ringing] == ["h03"]
            units.close()
