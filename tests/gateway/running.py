"""A whole gateway in this process, with real ports and a real journal, and whatever broker a test gives it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from gateway.events import Event
from gateway.program import Gateway, Wrap, leave
from gateway.settings import GatewaySettings
from gateway.stamps import Clock, SystemClock
from gateway.stores import open_stores
from tests.gateway.waiting import PATIENCE_S, until


@asynccontextmanager
async def running(
    settings: GatewaySettings, *, clock: Clock | None = None, wrap: Wrap = leave, close: bool = True
) -> AsyncIterator[Gateway]:
    """Start it as `run` does, and close it at the end."""
    clock = clock if clock is not None else await asyncio.to_thread(SystemClock)
    stores = await asyncio.to_thread(partial(open_stores, settings, clock=clock))
    gateway = Gateway(settings, stores, clock=clock, wrap=wrap)
    asyncio.get_running_loop().set_exception_handler(gateway.failed)
    await gateway.start()
    try:
        yield gateway
    finally:
        if close:
            await gateway.close()


async def journalled(gateway: Gateway) -> list[Event]:
    """Everything that is on disk, oldest first."""
    return await gateway._keeper.ask(
        lambda journal: [journal.entry(seq).event for seq in range(1, journal.head_seq + 1)]
    )


async def until_fault(gateway: Gateway, fault: str, *, timeout_s: float = PATIENCE_S) -> None:
    await until(lambda: fault in gateway._supervision.faults, timeout_s=timeout_s)


def health(state: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((state / "health.json").read_text())
    return told


def around(point: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Wrap:
    """Put something around one named point."""
    return lambda name, call: make(call) if name == point else call
