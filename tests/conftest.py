"""Fixtures that every test gets. What only some tests need stands beside them."""

import gc
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from blockbuster import blockbuster_ctx
from hypothesis import settings

pytest_plugins = ["tests.proving"]

settings.register_profile("tests", deadline=None)  # how busy the machine is proves nothing
settings.load_profile("tests")

HERE = Path(__file__).parent
PROGRAMS_WITH_A_LOOP = ("gateway", "api")


def pytest_collection() -> None:
    """Collect nothing while everything is imported: a quarter of that time, and all of it stays."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let collections pass over what was imported: half a million objects that stay, looked at again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def log_plainly() -> None:
    """structlog's defaults draw every variable of every frame: seconds in which a station under test did nothing."""
    structlog.reset_defaults()
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


log_plainly()


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


@pytest.fixture(autouse=True)
def logs_go_where_they_went() -> Iterator[None]:
    """A command that runs inside a test sets up logs for the whole process, on an output that is closed afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    log_plainly()
    root.handlers[:], root.level = handlers, level
