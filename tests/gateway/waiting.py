"""Waiting for what must come, with an end to the patience."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable

PATIENCE_S = 60.0
LOOK_S = 0.002


async def until(holds: Callable[[], object | Awaitable[object]], *, timeout_s: float = PATIENCE_S) -> None:
    """Return as soon as `holds()` does; fail with the condition's place when it never does."""
    async with asyncio.timeout(timeout_s):
        while True:
            answer = holds()
            if await answer if isawaitable(answer) else answer:
                return
            await asyncio.sleep(LOOK_S)
