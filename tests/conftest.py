"""Fixtures that every test gets. What only some tests need stands beside them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

pytest_plugins = ["tests.proving"]

HERE = Path(__file__).parent
PROGRAMS_WITH_A_LOOP = ("gateway", "api")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """`@pytest.mark.anyio` runs a coroutine test, on the loop that the programs use."""
    return "asyncio"


@pytest.fixture(autouse=True)
def event_loop_never_blocks(request: pytest.FixtureRequest) -> Iterator[None]:
    """A blocking call under a running loop fails the tests of the programs that must stay responsive."""
    if request.path.relative_to(HERE).parts[0] in PROGRAMS_WITH_A_LOOP:
        with blockbuster_ctx(scanned_modules=[*PROGRAMS_WITH_A_LOOP]):
            yield
    else:
        yield
