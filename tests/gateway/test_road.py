"""The gateway's other road: an alarm without a receipt goes to the station by HTTPS, once, and nothing waits for it."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from broker.ids import EventId
from broker.kinds import EventType
from broker.messages import Outcome
from devices.commands import Lamp
from gateway.events import Event
from gateway.https import ANSWER_MOST, Address, Client, HttpError, address_of
from gateway.ladder import Show
from gateway.program import Gateway
from gateway.recorder import Batch
from gateway.road import FIRST_TRIAL_S, LAST_PAUSE_S, LAST_TRIAL_PAUSE_S, SLICE, TRIAL_PAUSE_S, TRIAL_S
from tests.gateway.place import OTHER_SIGNER, STATION_SIGNER, Clock, plain, press, settings
from tests.gateway.running import running, until_fault
from tests.gateway.stationhttp import StationHttp, serving
from tests.gateway.waiting import until

pytestmark = pytest.mark.anyio

DEAD = {"port": 1, "user": "nobody", "password": "x"}
"""Nobody listens at port 1."""


@pytest.fixture
def station() -> Iterator[StationHttp]:
    with serving() as one:
        yield one


@asynccontextmanager
async def cut_off(station: StationHttp, folder: Path, clock: Clock, **more: Any) -> AsyncIterator[Gateway]:
    """A gateway whose broker is dead, and which may reach its station over HTTP."""
    values = {"broker": DEAD, "lines": [], "units": [], "road": {"url": f"http://127.0.0.1:{station.port}"}} | more
    async with running(settings(folder / "state", **values), clock=clock) as gateway:
        yield gateway


async def keep(gateway: Gateway, *events: Event) -> list[EventId]:
    """As a line does it."""
    now = gateway._clock()
    batch = Batch(events=[replace(event, stamp=now) for event in events])
    gateway._recorder.kept(batch, await gateway._recorder.keep(batch, heard={}))
    return [event.id for event in events]


async def owed(gateway: Gateway) -> set[EventId]:
    """What the journal says is not done with at the station."""
    await gateway._keeper.flush()
    pending = await gateway._keeper.ask(lambda journal: journal.pending(limit=1_000))
    return {entry.event.id for entry, targets in pending if "station" in targets}


def has_failed(gateway: Gateway, times: int) -> bool:
    return gateway._road is not None and gateway._road.counts.failed == times


def look(gateway: Gateway) -> None:
    assert gateway._road is not None
    gateway._road.look()


@pytest.mark.proves("A1", "N2", "A4")
async def test_an_alarm_that_has_no_receipt_for_30_s_reaches_the_station_and_is_closed_by_its_receipt(
    station: StationHttp, tmp_path: Path
) -> None:
    clock = Clock()
    async with cut_off(station, tmp_path, clock) as gateway:
        shown: list[Show] = []
        gateway._show = lambda shows, **_: shown.extend(shows)  # type: ignore[method-assign] # no line hangs here
        (alarm,) = await keep(gateway, press(clock))
        (fault,) = await keep(gateway, plain(clock, EventType.FAULT))
        (check_in,) = await keep(gateway, plain(clock, EventType.CHECK_IN))
        clock.pass_s(29)
        look(gateway)
        assert station.requests == []
        clock.pass_s(2)
        gateway._due()
        assert shown[-1].lamp is Lamp.NOT_REACHED
        look(gateway)
        await until(lambda: station.stored == [alarm])
        await until(lambda: shown[-1].lamp is Lamp.KEPT)
        still = await owed(gateway)
        assert alarm not in still
        assert {fault, check_in} <= still
        assert gateway.health()["road"] == {
            "trouble": "",
            "requests": 1,
            "events": 1,
            "receipted": 1,
            "failed": 0,
            "trials": 0,
        }
        clock.pass_s(3_600)
        look(gateway)
        assert station.requests == [1]


@pytest.mark.proves("N3")
async def test_what_the_broker_receipted_in_time_does_not_go_again_and_what_both_bring_is_closed_once(
    station: StationHttp, tmp_path: Path
) -> None:
    clock = Clock()
    async with cut_off(station, tmp_path, clock) as gateway:
        first, second = await keep(gateway, press(clock, number=1), press(clock, number=2))
        gateway._keeper.mark(done=gateway._outbox.receipt({first: Outcome.STORED}, now_ns=clock.mono_ns))
        station.stored.append(second)  # it came by the broker; its receipt did not
        clock.pass_s(31)
        look(gateway)
        await until(lambda: gateway.health()["road"] != {} and not gateway._outbox._owed)
        assert station.stored == [second]
        assert gateway._outbox.counts.receipted == 2
        assert await owed(gateway) & {first, second} == set()


@pytest.mark.proves("N7")
async def test_many_go_in_order_a_few_at_a_time_and_one_request_after_the_other(
    station: StationHttp, tmp_path: Path
) -> None:
    clock = Clock()
    async with cut_off(station, tmp_path, clock) as gateway:
        ids = await keep(gateway, *(press(clock, number=number) for number in range(1, 26)))
        clock.pass_s(31)
        station.hold.clear()
        for _ in range(5):
            look(gateway)
            await asyncio.sleep(0)
        station.hold.set()
        await until(lambda: len(station.stored) == len(ids))
        assert station.stored == ids
        assert station.requests == [SLICE, SLICE, 5]


@pytest.mark.proves("N5", "N8")
async def test_a_station_that_refuses_is_a_fault_asked_again_later_and_later_and_stops_nothing(
    station: StationHttp, tmp_path: Path
) -> None:
    clock = Clock()
    async with cut_off(station, tmp_path, clock) as gateway:
        road = gateway._road
        assert road is not None
        road._jitter = lambda: 1.0
        (alarm,) = await keep(gateway, press(clock))
        station.refuse = 503, {}, b'{"type": "database"}'
        clock.pass_s(30)
        for tries, pause_s in enumerate((2, 4, 8, 16, 32, LAST_PAUSE_S, LAST_PAUSE_S), 1):
            clock.pass_s(0.5)
            look(gateway)
            await until(partial(has_failed, gateway, tries))
            clock.pass_s(pause_s - 0.5)
            look(gateway)
            assert road._task is None
        assert road.trouble == "http_503: the station answered 503 database"
        await until_fault(gateway, "uplink_http")
        assert "uplink_http" in gateway._status(gateway._uplink.session, 1).faults
        station.refuse = 429, {"Retry-After": "300"}, b"{}"
        clock.pass_s(0.5)
        look(gateway)
        await until(partial(has_failed, gateway, 8))
        clock.pass_s(299)
        look(gateway)
        assert road._task is None
        await keep(gateway, press(clock, number=2))  # meanwhile everything is kept as ever
        station.refuse = None
        clock.pass_s(2)
        look(gateway)
        await until(lambda: alarm in station.stored)
        await until(lambda: "uplink_http" not in gateway._supervision.faults)


@pytest.mark.proves("A4", "A10")
async def test_the_road_is_tried_before_it_is_needed_and_a_closed_one_is_a_fault_until_it_is_open(
    station: StationHttp, tmp_path: Path
) -> None:
    clock = Clock()
    async with cut_off(station, tmp_path, clock) as gateway:
        road = gateway._road
        assert road is not None
        road._jitter = lambda: 1.0

        async def passes(seconds: float, *, trials: int) -> None:
            clock.pass_s(seconds)
            look(gateway)
            await until(lambda: station.trials == trials and road._task is None)

        await passes(FIRST_TRIAL_S - 1, trials=0)
        await passes(1, trials=1)
        await passes(TRIAL_S - 1, trials=1)
        station.signer = OTHER_SIGNER
        await passes(1, trials=2)
        assert road.trial_trouble == ""
        await passes(TRIAL_PAUSE_S, trials=3)
        assert road.trial_trouble.startswith("wrong_signer")
        await until_fault(gateway, "https_road")
        assert "uplink_http" not in gateway._supervision.faults
        station.signer, station.refuse = STATION_SIGNER, (404, {}, b"")
        await passes(2 * TRIAL_PAUSE_S, trials=4)
        assert road.trial_trouble.startswith("http_404")
        station.refuse = 200, {}, b'{"receipts": []}'
        await passes(4 * TRIAL_PAUSE_S, trials=5)
        assert road.trial_trouble.startswith("no_receipt")
        station.refuse = None
        await passes(LAST_TRIAL_PAUSE_S, trials=6)
        assert road.trial_trouble == ""
        await until(lambda: "https_road" not in gateway._supervision.faults)
        assert (station.requests, road.counts.trials) == ([], 6)


@pytest.mark.proves("A4")
async def test_no_trial_begins_while_an_alarm_waits_and_an_alarm_that_got_through_is_one(
    station: StationHttp, tmp_path: Path
) -> None:
    clock = Clock()
    async with cut_off(station, tmp_path, clock) as gateway:
        assert gateway._road is not None
        gateway._road._jitter = lambda: 1.0
        (alarm,) = await keep(gateway, press(clock))
        gateway._road._trial_ns = clock().mono_ns  # due from now on, and not before: the gateway looks by itself, too
        clock.pass_s(10)
        look(gateway)
        assert gateway._road._task is None
        clock.pass_s(21)
        look(gateway)
        await until(lambda: station.stored == [alarm])
        await until(lambda: gateway._road is not None and gateway._road._task is None)
        clock.pass_s(TRIAL_S - 1)
        look(gateway)
        assert (gateway._road._task, station.trials) == (None, 0)


@pytest.mark.proves("N2", "N13")
@pytest.mark.parametrize(
    ("what", "trouble"),
    [
        (b"nothing", "bad_answer"),
        (b"[]", "bad_answer"),
        (b'{"receipts": [1]}', "malformed"),
        (b'{"receipts": []}', "no_receipt"),
        (b'{"receipts": [{"body": {}, "kid": "station", "sig": "x"}]}', "malformed"),
        (None, "wrong_signer"),
    ],
)
async def test_an_answer_that_is_no_genuine_receipt_closes_nothing(
    station: StationHttp, tmp_path: Path, what: bytes | None, trouble: str
) -> None:
    clock = Clock()
    async with cut_off(station, tmp_path, clock) as gateway:
        (alarm,) = await keep(gateway, press(clock))
        if what is None:
            station.signer = OTHER_SIGNER
        else:
            station.refuse = 200, {}, what
        clock.pass_s(31)
        look(gateway)
        assert gateway._road is not None
        await until(lambda: bool(gateway._road and gateway._road.trouble))
        assert gateway._road.trouble.startswith(f"{trouble}:")
        assert alarm in await owed(gateway)


@pytest.mark.proves("N7")
@pytest.mark.parametrize("answer", [(422, {}, b"{}"), None])
async def test_an_alarm_that_the_station_can_do_nothing_with_stands_before_no_other(
    station: StationHttp, tmp_path: Path, answer: tuple[int, dict[str, str], bytes] | None
) -> None:
    clock = Clock()
    async with cut_off(station, tmp_path, clock) as gateway:
        bad, *good = await keep(gateway, *(press(clock, number=number) for number in range(1, SLICE + 3)))
        station.poison = {bad: answer}
        clock.pass_s(31)

        def all_good_ones_are_there() -> bool:
            clock.pass_s(LAST_PAUSE_S * 1.3)
            look(gateway)
            return set(station.stored) == set(good)

        await until(all_good_ones_are_there)

        async def only_the_bad_one_is_owed() -> bool:
            return await owed(gateway) & {bad, *good} == {bad}

        await until(only_the_bad_one_is_owed)


async def test_a_gateway_that_ends_does_not_wait_for_a_station_that_says_nothing(
    station: StationHttp, tmp_path: Path
) -> None:
    clock = Clock()
    station.hold.clear()
    async with cut_off(station, tmp_path, clock) as gateway:
        await keep(gateway, press(clock))
        clock.pass_s(31)
        look(gateway)
        await until(lambda: gateway._road is not None and gateway._road._client.busy)


# The door


async def test_a_server_that_is_not_there_and_one_that_says_too_much_or_nonsense_are_told_apart() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        client = Client(Address(secure=False, host="127.0.0.1", port=taken.getsockname()[1], path=""))
        with pytest.raises(HttpError) as caught:
            await client.post("/x", b"{}")
    assert caught.value.why == "no_answer"
    with serving(lambda _path, _body: (200, {}, b"x" * (ANSWER_MOST + 1))) as station:
        client = Client(address_of(f"http://127.0.0.1:{station.port}/under"))
        with pytest.raises(HttpError) as caught:
            await client.post("/x", b"{}")
    assert caught.value.why == "too_large"
    with serving(lambda path, _body: (302, {"Location": "http://127.0.0.1:1/"}, path.encode())) as station:
        client = Client(address_of(f"http://127.0.0.1:{station.port}/under/"))
        answer = await client.post("/x", b"{}")
    assert (answer.status, answer.body) == (302, b"/under/x")


async def test_a_whole_answer_has_a_limit_and_the_next_request_waits_for_the_end_of_the_thread() -> None:
    with serving() as station:
        station.hold.clear()
        client = Client(address_of(f"http://localhost:{station.port}"), whole_s=0.05)
        with pytest.raises(HttpError) as caught:
            await client.post("/api/v1/gateways/gw1/events", b'{"events": []}')
        assert caught.value.why == "timeout"
        await until(lambda: not client.busy)  # nobody has answered: its connection was ended


async def test_a_certificate_counts_when_the_authority_that_is_named_signed_it_and_not_otherwise(
    tmp_path: Path,
) -> None:
    whole, other = certificate(tmp_path, "a"), certificate(tmp_path, "b")
    with serving(lambda _path, _body: (200, {}, b"{}"), tls=whole) as station:
        address = address_of(f"https://127.0.0.1:{station.port}")
        assert (await Client(address, ca=whole).post("/x", b"{}")).status == 200
        for ca in (other, None):
            with pytest.raises(HttpError) as caught:
                await Client(address, ca=ca).post("/x", b"{}")
            assert caught.value.why == "tls"
        with pytest.raises(HttpError) as caught:
            await Client(address, ca=tmp_path / "nothing.pem").post("/x", b"{}")
        assert caught.value.why == "no_answer"


def certificate(folder: Path, name: str) -> Path:
    """A certificate of this machine and its key, in one file."""
    path = folder / f"{name}.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", f"{path}.key", "-out", f"{path}.crt", "-days", "2", "-subj", f"/CN={name}",
            "-addext", "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    path.write_text(Path(f"{path}.key").read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://desk.example", Address(secure=True, host="desk.example", port=443, path="")),
        ("https://desk.example:8443/north/", Address(secure=True, host="desk.example", port=8443, path="/north")),
        ("http://127.0.0.1:8080", Address(secure=False, host="127.0.0.1", port=8080, path="")),
        ("http://[::1]", Address(secure=False, host="::1", port=80, path="")),
        ("http://localhost:80", Address(secure=False, host="localhost", port=80, path="")),
    ],
)
def test_addresses_are_read(url: str, address: Address) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    "url",
    ["", "desk.example", "ftp://desk", "https://", "http://desk.example", "http://10.0.0.1", "https://a b/", "https://li@d",
     "https://d/?q", "https://d/#f", "https://d:0", "https://d:99999", "https://d\n", "http://127.0.0.1.evil.example"],
)  # fmt: skip
def test_what_is_no_address_or_would_tell_an_alarm_in_the_clear_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - urlsplit's own words are as good
        address_of(url)


def test_settings_refuse_a_road_in_the_clear() -> None:
    with pytest.raises(ValidationError):
        settings(Path("/nowhere"), road={"url": "http://desk.example"})
