import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from blockbuster import BlockingError

import gateway

BLOCKING = """
import time
def pause(): time.sleep(0.001)
"""


def code_of_the_gateway(source: str) -> dict[str, Callable[[], None]]:
    names: dict[str, Callable[[], None]] = {}
    exec(compile(source, str(Path(gateway.__path__[0], "planted.py")), "exec"), names)  # noqa: S102 - our own few lines
    return names


def test_gateway_code_that_blocks_under_a_running_loop_fails_its_test() -> None:
    """The fixture `event_loop_never_blocks` is on in this folder."""
    pause = code_of_the_gateway(BLOCKING)["pause"]

    async def under_a_loop() -> None:
        pause()

    with pytest.raises(BlockingError, match="sleep"):
        asyncio.run(under_a_loop())
    pause()


@pytest.mark.anyio
async def test_coroutine_tests_run_on_asyncio() -> None:
    assert asyncio.get_running_loop().is_running()
