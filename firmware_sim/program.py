"""The simulator as a program: a village on ports, commands in, events out, one JSON object a line.

Commands (`firmware_sim.acts` has them all; these are the program's own)::

    {"do": "press", "unit": "u03", "key": "panic", "hold_ms": 200}
    {"do": "unplug", "line": "line1"}     the port goes away; "plug" brings a new one behind the same path
    {"do": "log", "unit": "u03"}          the unit's diary so far, as one event
    {"do": "quit"}                        so does the end of the input, unless told to stay

A command may carry an "id"; its answer repeats it. Events::

    {"event": "ready", "ports": {"line1": "/run/.../line1"}, "at_ns": ...}
    {"event": "done", "do": "press", "unit": "u03", "at_ns": ...}       the finger touched the key
    {"event": "refused", "why": "...", "at_ns": ...}
    {"event": "port_lost", "line": "line1", "at_ns": ...}               a cable was pulled at the other end
    {"event": "pressed", "unit": "u03", "line": "line1", ...}           entries of the units' diaries

`at_ns` is wall time, unix nanoseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from firmware_sim.acts import BadAct, act_from, act_to
from firmware_sim.diary import Entry, FrameSent, to_plain
from firmware_sim.port import Port, PortUnusable
from firmware_sim.settings import BadSettings, VillageSettings
from firmware_sim.unit import Memory
from firmware_sim.village import Village

Emit = Callable[[Mapping[str, object]], None]
S = 1_000_000_000
MOST_UNREAD = 64 * 1024 * 1024
"""So many bytes of events may wait to be read; past that nobody does."""
UART_BYTES = 4096
"""So much may wait in the gateway's transmitter; past that its port takes no more, as Linux has it."""


class Simulator:
    """A village that lives in real time on ports. Call `plug` first, `close` at the end."""

    def __init__(
        self,
        settings: VillageSettings,
        *,
        ports: Mapping[str, Path],
        emit: Emit,
        attached: Collection[str] = (),
        memories: Mapping[str, Memory] | None = None,
        remember: Callable[[Mapping[str, Memory]], None] = lambda _: None,
        frames: bool = False,
    ) -> None:
        """Lines in `attached` take a port that exists, the others make one.

        `remember` is told whenever a unit writes to its flash; `frames`: emit every frame that is sent, too.
        """
        self._emit = emit
        self._remember = remember
        self._frames = frames
        self._line_of = {unit.name: line.name for line in settings.lines for unit in line.units}
        self._alarm: asyncio.TimerHandle | None = None
        self._flash_written = True
        self._village = Village(
            settings, now_ns=time.monotonic_ns(), memories=memories, write=self._tell, remember=self._note_flash
        )
        self._ports = {
            line.name: Port(
                ports[line.name],
                baud=line.baud,
                received=self._receiver(line.name),
                lost=partial(self._tell_lost, line.name),
                attach=line.name in attached,
            )
            for line in settings.lines
        }

    def plug(self) -> None:
        """Put every plug in, and tell that the village is ready."""
        self._write_flash()
        for port in self._ports.values():
            port.plug()
        self._emit(
            {
                "event": "ready",
                "ports": {name: str(port.path) for name, port in self._ports.items()},
                "at_ns": time.time_ns(),
            }
        )
        self._catch_up()

    def close(self) -> None:
        """Pull every plug."""
        for port in self._ports.values():
            port.unplug()
        if self._alarm is not None:
            self._alarm.cancel()

    def _receiver(self, name: str) -> Callable[[bytes], None]:
        def receive(data: bytes) -> None:
            self._catch_up()
            self._village.lines[name].receive(data, time.monotonic_ns())
            self._catch_up()

        return receive

    def _catch_up(self) -> None:
        """Let the village come up to now, hand over what the gateway hears, and wake up when more is due."""
        now_ns = time.monotonic_ns()
        self._village.advance(now_ns)
        self._write_flash()
        for name, line in self._village.lines.items():
            data = b"".join(part for _, part in line.take_heard())
            if data:
                self._ports[name].write(data)
            self._ports[name].listen(on=line.unsent_bytes(now_ns) < UART_BYTES)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due_ns = self._village.next_due()
        if due_ns is not None:
            wait_s = max(due_ns - time.monotonic_ns(), 0) / S
            self._alarm = asyncio.get_running_loop().call_later(wait_s, self._catch_up)

    def _write_flash(self) -> None:
        """Before anything that a unit has sent leaves: a boot number that is forgotten would come twice."""
        if self._flash_written:
            self._flash_written = False
            self._remember(self._village.memories())

    def _tell_lost(self, name: str) -> None:
        self._emit({"event": "port_lost", "line": name, "at_ns": time.time_ns()})

    def _note_flash(self, _name: str, _memory: Memory) -> None:
        self._flash_written = True

    def _tell(self, name: str, entry: Entry) -> None:
        if self._frames or not isinstance(entry, FrameSent):
            self._emit(self._event(name, entry))

    def _event(self, name: str, entry: Entry) -> dict[str, object]:
        wall_ns = time.time_ns() - time.monotonic_ns()
        told = to_plain(entry) | {"at_ns": entry.at_ns + wall_ns}
        return {"event": entry.event, "unit": name, "line": self._line_of.get(name, name), **told}

    def obey(self, command: object) -> None:
        """Carry out one command and tell how it went."""
        answer: dict[str, object] = {"at_ns": time.time_ns()}
        if isinstance(command, Mapping) and "id" in command:
            answer["id"] = command["id"]
            command = {name: value for name, value in command.items() if name != "id"}
        try:
            told = self._carry_out(command)
        except (BadAct, PortUnusable) as error:
            self._emit({"event": "refused", "why": str(error), **answer})
        else:
            self._emit({"event": "done", **told, **answer})

    def _carry_out(self, command: object) -> dict[str, object]:
        match command:
            case {"do": "unplug" | "plug" as do, "line": str(name)} if name in self._ports:
                self._ports[name].plug() if do == "plug" else self._ports[name].unplug()
                self._catch_up()
                return {"do": do, "line": name}
            case {"do": "log", "unit": str(name)} if name in self._village.units:
                self._catch_up()
                diary = self._village.units[name].diary
                return {"do": "log", "unit": name, "entries": [self._event(name, entry) for entry in diary]}
            case {"do": "unplug" | "plug" | "log"}:
                raise BadAct(f"there is nothing of that name: {json.dumps(command, ensure_ascii=False)}")
            case _:
                act = act_from(command)
                self._village.perform(act, time.monotonic_ns())
                self._catch_up()
                return {name: value for name, value in act_to(act).items() if name != "faults"}


async def run(
    settings: VillageSettings,
    *,
    ports: Mapping[str, Path],
    commands: AsyncIterator[str],
    emit: Emit,
    attached: Collection[str] = (),
    stay: bool = False,
    memories: Mapping[str, Memory] | None = None,
    remember: Callable[[Mapping[str, Memory]], None] = lambda _: None,
    frames: bool = False,
) -> None:
    """Live until "quit", until the commands end (unless `stay`), or until cancelled."""
    simulator = Simulator(
        settings,
        ports=ports,
        emit=emit,
        attached=attached,
        memories=memories,
        remember=remember,
        frames=frames,
    )
    try:
        simulator.plug()
        async for line in commands:
            if not line.strip():
                continue
            try:
                command = json.loads(line)
            except ValueError as error:
                emit({"event": "refused", "why": f"no JSON: {error}", "at_ns": time.time_ns()})
                continue
            if isinstance(command, Mapping) and command.get("do") == "quit":
                return
            simulator.obey(command)
        if stay:
            await asyncio.Event().wait()
    finally:
        simulator.close()


async def lines_of(descriptor: int) -> AsyncIterator[str]:
    """Yield the lines of a descriptor: a pipe, a terminal, a file."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    loop.add_reader(descriptor, lambda: arrived.put_nowait(os.read(descriptor, 65_536)))
    partial = b""
    try:
        while data := await arrived.get():
            *whole, partial = (partial + data).split(b"\n")
            for line in whole:
                yield line.decode("utf-8", "replace")
    finally:
        loop.remove_reader(descriptor)
    if partial:
        yield partial.decode("utf-8", "replace")


class Events:
    """Writes events to a descriptor without ever waiting for who reads them: units do not wait for a screen."""

    def __init__(self, descriptor: int, *, gone: Callable[[], object]) -> None:
        """`gone` is called when nobody reads any more."""
        self._descriptor = descriptor
        self._gone = gone
        self._unwritten = bytearray()
        self._was_blocking = os.get_blocking(descriptor)
        os.set_blocking(descriptor, False)

    def __call__(self, event: Mapping[str, object]) -> None:
        self._unwritten += json.dumps(event, ensure_ascii=False).encode() + b"\n"
        if len(self._unwritten) < MOST_UNREAD:
            self._write()
        else:
            self._stop()

    def _write(self) -> None:
        try:
            del self._unwritten[: os.write(self._descriptor, self._unwritten)]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._stop()
            return
        loop = asyncio.get_running_loop()
        if self._unwritten:
            loop.add_writer(self._descriptor, self._write)
        else:
            loop.remove_writer(self._descriptor)

    def _stop(self) -> None:
        self._unwritten.clear()
        self._gone()

    def close(self) -> None:
        """Write what is left, and leave the descriptor as it was."""
        asyncio.get_running_loop().remove_writer(self._descriptor)
        os.set_blocking(self._descriptor, self._was_blocking)
        with contextlib.suppress(BrokenPipeError):
            while self._unwritten:
                del self._unwritten[: os.write(self._descriptor, self._unwritten)]


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop whose timers are good to microseconds: epoll rounds up to milliseconds, select does not."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main(arguments: list[str] | None = None) -> int:
    """Run the simulator; 0 when it was told to stop, 2 when it could not start."""
    parser = argparse.ArgumentParser(prog="firmware_sim", description="a village of simulated units on serial ports")
    parser.add_argument("settings", type=Path, help="the village, as JSON")
    parser.add_argument("--ports", type=Path, default=Path(), help="folder for one link per line")
    parser.add_argument(
        "--attach", action="append", default=[], metavar="LINE=PATH", help="a port that exists, for a line"
    )
    parser.add_argument("--memory", type=Path, help="file that keeps the units' boot numbers over a restart")
    parser.add_argument("--frames", action="store_true", help="tell every frame that a unit sends, too")
    parser.add_argument("--stay", action="store_true", help="go on when the commands end")
    options = parser.parse_args(arguments)
    try:
        settings = VillageSettings.from_json(options.settings.read_text("utf-8"))
        attached = _attached(settings, options.attach)
        ports = {line.name: options.ports / line.name for line in settings.lines} | attached
        return serve(
            settings,
            ports=ports,
            attached=attached.keys(),
            memory=options.memory,
            frames=options.frames,
            stay=options.stay,
        )
    except (BadSettings, PortUnusable, OSError) as error:
        print(f"firmware_sim: {error}", file=sys.stderr)  # noqa: T201
        return 2


def _attached(settings: VillageSettings, given: list[str]) -> dict[str, Path]:
    names = [line.name for line in settings.lines]
    attached: dict[str, Path] = {}
    for one in given:
        name, _, path = one.partition("=")
        if name not in names or not path:
            raise BadSettings(f"--attach {one}: give LINE=PATH, with a line of {', '.join(names)}")
        attached[name] = Path(path)
    return attached


def serve(
    settings: VillageSettings,
    *,
    ports: Mapping[str, Path],
    attached: Collection[str] = (),
    memory: Path | None = None,
    frames: bool = False,
    stay: bool = False,
) -> int:
    """Run a village with commands from standard input and events to standard output, until told to stop."""

    async def live() -> None:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        emit = Events(sys.stdout.fileno(), gone=task.cancel)
        try:
            await run(
                settings,
                ports=ports,
                attached=attached,
                commands=lines_of(sys.stdin.fileno()),
                emit=emit,
                stay=stay,
                memories=_recall(memory),
                remember=lambda memories: _remember(memory, memories),
                frames=frames,
            )
        except asyncio.CancelledError:
            pass  # told to stop, by a signal or because nobody reads
        finally:
            emit.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(live())
    return 0


def _recall(path: Path | None) -> dict[str, Memory]:
    if path is None or not path.exists():
        return {}
    try:
        value: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))
        return {
            name: Memory(memory["boot"], memory["floor"], bytes.fromhex(memory["key"]) if memory["key"] else None)
            for name, memory in value.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadSettings(f"{path} does not hold the units' memories: {error}") from None


def _remember(path: Path | None, memories: Mapping[str, Memory]) -> None:
    if path is not None:
        plain = {
            name: {"boot": memory.boot, "floor": memory.floor, "key": memory.key.hex() if memory.key else None}
            for name, memory in memories.items()
        }
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.touch(mode=0o600)  # there may be keys in it
        fresh.write_text(json.dumps(plain), "utf-8")
        fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main())
