import asyncio
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Gate
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from broker.kinds import EventType
from gateway import rounds as rules
from gateway.journal import Refused
from gateway.recorder import Batch
from tests.gateway.place import Clock, plain, settings
from tests.gateway.running import around, health, journalled, running, until_fault
from tests.gateway.waiting import PATIENCE_S, until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def rounds_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "ROUND_S", 0.02)


def place(folder: Path, **more: Any) -> Any:
    return settings(folder / "state", **({"lines": [], "units": []} | more))


@pytest.mark.proves("N8")
async def test_a_round_that_fails_is_a_fault_and_the_next_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[Any]
) -> None:
    async with running(place(tmp_path)) as gateway:
        advance = gateway._supervision.advance
        fails = [True]

        def clumsy(now_ns: int) -> Any:
            if fails[0]:
                raise RuntimeError("a mistake of ours")
            return advance(now_ns)

        monkeypatch.setattr(gateway._supervision, "advance", clumsy)
        await until(lambda: gateway._rounds._failures >= 3)
        assert "a round failed" in [entry["event"] for entry in logged]
        fails[0] = False
        await until_fault(gateway, "internal_error")


@pytest.mark.proves("N8")
async def test_a_mistake_in_a_callback_of_the_loop_is_a_fault(tmp_path: Path, logged: list[Any]) -> None:
    async with running(place(tmp_path)) as gateway:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await until_fault(gateway, "internal_error")
        assert "a mistake of the program" in [entry["event"] for entry in logged]


async def test_a_journal_that_breaks_while_it_is_looked_at_is_counted_and_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(place(tmp_path)) as gateway:
        look = gateway._keeper.look
        calls = [0]

        async def clumsy() -> None:
            calls[0] += 1
            if calls[0] < 3:
                raise RuntimeError("a mistake of ours")
            await look()

        monkeypatch.setattr(gateway._keeper, "look", clumsy)
        await until(lambda: calls[0] > 5)
        assert gateway._rounds._failures == 2


async def test_health_is_written_for_people_and_names_nobody(tmp_path: Path) -> None:
    async with running(place(tmp_path)) as gateway:
        await until((tmp_path / "state" / "health.json").exists)
        told = await asyncio.to_thread(health, tmp_path / "state")
        assert told["gateway"] == "gw1"
        assert told["epoch"] == gateway._keeper.epoch
        assert set(told) >= {"uplink", "lines", "faults", "journal", "outbox", "intake", "clock"}


@pytest.mark.proves("N6", "N8", "F14")
async def test_a_clock_at_1970_is_a_fault_and_nothing_else_minds(tmp_path: Path) -> None:
    clock = Clock(wall_ms=3_000, quality="unsynced")
    async with running(place(tmp_path), clock=clock) as gateway:
        await until_fault(gateway, "clock")
        assert gateway._status("0" * 32, 1).clock == "unsynced"  # type: ignore[arg-type] # any session
        events = await journalled(gateway)
        assert all(event.stamp.quality == "unsynced" for event in events)
        clock.wall_ms, clock.quality = 1_790_000_000_000, "synced"
        await until(lambda: "clock" not in gateway._supervision.faults)
        clock.wall_ms -= 3_600_000
        await until(lambda: gateway._own._keeping is None)
        epochs = [event.id for event in await journalled(gateway)]
        assert len(set(epochs)) == len(epochs)


@pytest.mark.proves("N8")
async def test_a_connection_that_is_gone_for_long_is_a_fault_and_a_short_loss_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(place(tmp_path)) as gateway:
        await until(lambda: gateway._rounds._number > 5)
        assert "uplink" not in gateway._supervision.faults
        monkeypatch.setattr(rules, "UPLINK_DOWN_S", 0.1)
        await until_fault(gateway, "uplink")


@pytest.mark.proves("N8")
async def test_a_deep_queue_a_full_disk_and_a_folder_that_is_gone_are_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "QUEUE_DEEP", 3)
    async with running(place(tmp_path)) as gateway:
        gateway._own.take(Batch(events=[plain(Clock(), EventType.FAULT) for _ in range(6)]))
        await until_fault(gateway, "queue")
        monkeypatch.setattr(rules, "DISK_FULL_SHARE", -1.0)
        await until_fault(gateway, "disk")
        monkeypatch.setattr(rules, "DISK_FULL_SHARE", 2.0)
        await until(lambda: "disk" not in gateway._supervision.faults)
        await asyncio.to_thread((tmp_path / "state").rename, tmp_path / "elsewhere")
        await until_fault(gateway, "disk")
        await asyncio.to_thread((tmp_path / "elsewhere").rename, tmp_path / "state")


@pytest.mark.proves("N7", "N9", "F10")
async def test_a_journal_that_grows_past_its_limit_gives_up_patrol_detail_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PRUNE_EVERY", 2)
    async with running(place(tmp_path, keep_events=100)) as gateway:
        gateway._own.take(Batch(events=[plain(Clock(), EventType.CHECK_IN) for _ in range(150)]))

        async def dropped() -> list[Any]:
            return await gateway._keeper.ask(
                lambda journal: [
                    entry.event for entry, _ in journal.pending(limit=500) if entry.event.type is EventType.PRUNED
                ]
            )

        await until(dropped)
        await until(lambda: gateway._keeper.queued <= 100)
        (told,) = await dropped()
        assert told.detail["count"] == 150
        assert told.detail["epoch"] == gateway._keeper.epoch


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "notify"))
        one.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield one


def heard(manager: socket.socket) -> list[bytes]:
    said: list[bytes] = []
    while True:
        try:
            said.append(manager.recv(100))
        except BlockingIOError:
            return said


@pytest.mark.proves("N14", "F09", "F54")
async def test_the_watchdog_is_told_only_while_the_journal_answers_and_a_slow_card_is_no_reason_to_end(
    tmp_path: Path, manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "JOURNAL_STUCK_S", 0.5)
    gate = Gate()
    gate.set()

    def hanging(append: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            gate.wait(PATIENCE_S)
            return append(*args, **named)

        return wrapped

    async with running(place(tmp_path), wrap=around("journal.append", hanging)) as gateway:
        await until(lambda: {b"READY=1", b"WATCHDOG=1"} <= set(heard(manager)) | {b"READY=1"})
        gate.clear()
        gateway._own.take(Batch(events=[plain(Clock(), EventType.FAULT)]))
        await asyncio.sleep(0.3)
        assert heard(manager)
        await asyncio.sleep(0.6)
        heard(manager)
        await asyncio.sleep(0.2)
        assert heard(manager) == []
        gate.set()
        await until(lambda: heard(manager))
    assert b"STOPPING=1" in heard(manager)


@pytest.mark.proves("N8")
async def test_a_journal_that_refuses_is_a_fault_in_the_status_at_once(tmp_path: Path) -> None:
    refuse = [True]

    def failing(append: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            if refuse[0]:
                raise Refused(Path("journal"), "input/output error")
            return append(*args, **named)

        return wrapped

    async with running(place(tmp_path), wrap=around("journal.append", failing)) as gateway:
        gateway._own.take(Batch(events=[plain(Clock(), EventType.FAULT)]))
        await until_fault(gateway, "journal")
        assert "journal" in gateway._status("0" * 32, 1).faults  # type: ignore[arg-type] # any session
        refuse[0] = False


@pytest.mark.proves("N8", "F58")
async def test_the_end_of_its_certificate_is_a_fault_30_7_and_1_days_before_and_over_when_it_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "CERTIFICATE_EVERY", 1)
    day, now_ms = 86_400_000, int(datetime.now(UTC).timestamp() * 1_000)
    path = tmp_path / "broker.crt"

    def ends_in(days: float) -> None:
        fresh = tmp_path / "new.crt"
        fresh.write_bytes(certificate(datetime.fromtimestamp(now_ms / 1_000, UTC) + timedelta(days=days)))
        fresh.replace(path)

    ends_in(200)
    clock = Clock(wall_ms=now_ms)
    broker = {"user": "north.gateway.gw1", "certificate": str(path), "key": str(tmp_path / "broker.key"), "port": 1}
    async with running(place(tmp_path, broker=broker), clock=clock) as gateway:

        def told() -> list[str]:
            return [code for code in gateway._supervision.faults if code.startswith("certificate")]

        await until(lambda: gateway._rounds._number > 3)
        assert told() == []
        for left, code in (
            (29, "certificate_ends"),
            (6.9, "certificate_ends_soon"),
            (0.9, "certificate_ends_now"),
            (-1, "certificate_ended"),
        ):
            clock.wall_ms = now_ms + int((200 - left) * day)
            await until(lambda code=code: told() == [code])  # type: ignore[misc] # mypy takes the default for a second form
        clock.wall_ms, clock.quality = 3_000, "unsynced"
        number = gateway._rounds._number
        await until(lambda: gateway._rounds._number > number + 3)
        assert told() == ["certificate_ended"], "a clock that is wrong takes nothing back"
        clock.wall_ms, clock.quality = now_ms + 201 * day, "synced"
        ends_in(500)
        await until(lambda: told() == [])
        assert gateway.health()["certificate_ends_ms"] == (now_ms // 1_000 + 500 * 86_400) * 1_000
        path.unlink()
        await until(lambda: gateway.health()["certificate_ends_ms"] is None)
        assert told() == []


def certificate(ends: datetime) -> bytes:
    """One that signs itself; nobody but its owner looks at it here."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(ends - timedelta(days=397)).not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(serialization.Encoding.PEM)
