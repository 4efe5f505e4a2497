"""A TCP link that can be hurt: cut, held half-open, slowed, deaf on one side.

`tc netem` is not in every kernel (Debian's of small virtual machines has none), and a link-local rule needs root; this
needs neither. It runs a loop of its own on a thread of its own, so that whoever is attacked cannot stop it.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar

LOOPBACK: Final = "127.0.0.1"
CHUNK: Final = 16 << 10
WITHIN_S: Final = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class State:
    """How the link is. Everything at its default: as if it were not there.

    cut: connections are reset, and new ones too.
    to_server, to_client: False: what is sent that way is taken and goes nowhere; nobody learns of it (half-open).
    delay_s: how much later everything arrives. rate: octets a second and direction, None: no limit.
    """

    cut: bool = False
    to_server: bool = True
    to_client: bool = True
    delay_s: float = 0.0
    rate: int | None = None


class Proxy:
    """One port before another. A context manager.

    What a deaf side was sent is lost for the connection, as it is when a NAT forgets one: when the link hears again,
    connections from before are reset, since a stream with a hole would be another fault than the one meant.
    """

    def __init__(self, target: Callable[[], int]) -> None:
        """Connections go to the port that `target` says when they are made: a broker may come back on another."""
        self._target = target
        self._state = State()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self.port = 0
        self.connections = 0
        """How many were made so far."""

    def __enter__(self) -> Self:
        """Listen, on a free port of the loopback."""
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._connected, LOOPBACK, 0))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End every connection."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN_S)
        self._loop.close()

    def be(self, state: State) -> None:
        """Be like this from now on. Connections that lost something are reset when they would hear again."""
        self._do(self._become(state))

    async def _become(self, state: State) -> None:
        before, self._state = self._state, state
        healed = (state.to_server and not before.to_server) or (state.to_client and not before.to_client)
        if state.cut or healed:
            self._reset()

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        self._reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _reset(self) -> None:
        for writer in self._writers:
            _reset(writer)
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self._state.cut:
                raise ConnectionResetError
            await self._carry_both(reader, writer, *await asyncio.open_connection(LOOPBACK, self._target()))
        except OSError:
            _reset(writer)
        finally:
            self._tasks.discard(task)

    async def _carry_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        self._writers |= {writer, far_writer}
        up = asyncio.create_task(self._carry(reader, far_writer, lambda: self._state.to_server))
        down = asyncio.create_task(self._carry(far_reader, writer, lambda: self._state.to_client))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (up, down):
                one.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            self._writers -= {writer, far_writer}
            for end in (writer, far_writer):
                end.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hears: Callable[[], bool]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if not hears():
                    continue
                state = self._state
                if state.delay_s or state.rate is not None:
                    await asyncio.sleep(state.delay_s + (0 if state.rate is None else len(data) / state.rate))
                writer.write(data)
                await writer.drain()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN_S)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a router does that knows nothing of it: with RST instead of FIN."""
    endpoint = writer.get_extra_info("socket")
    if endpoint is not None:
        with contextlib.suppress(OSError):
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()
