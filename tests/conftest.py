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
from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode

pytest_plugins = ["tests.proving"]

settings.register_profile("tests", deadline=None)  # how busy the machine is proves nothing
settings.load_profile("tests")

HERE = Path(__file__).parent
PROGRAMS_WITH_A_LOOP = ("gateway", "api")
SELDOM = (50_000, 20, 100)
"""When garbage is collected: at Python's own (700, 10, 10) it was an eighth of the time, for 20 MB of some 300."""
DEAREST = (
    "screens/test_pages.py",
    "screens/test_phones.py",
    "faults/test_attack.py",
    "api/test_schemathesis.py",
    "paths/test_outages.py",
    "api/test_ingest.py",
    "api/test_http.py",
    "api/test_accounts.py",
    "api/test_program.py",
    "gateway/test_program.py",
    "deploy/test_cli.py",
    "api/test_lifecycle.py",
    "api/test_role_matrix.py",
    "deploy/test_home.py",
    "paths/test_press_road.py",
    "screens/test_desk.py",
    "api/test_privacy.py",
    "paths/test_register_road.py",
    "deploy/test_demo.py",
    "api/test_exits.py",
    "faults/test_power.py",
)
"""Files that take longest, which go first: of one that comes last everybody waits for the end."""


def pytest_collection() -> None:
    """Collect nothing while everything is imported: a quarter of that time, and all of it stays."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the dearest files; `--no-loadscope-reorder` keeps them there."""
    rank = {HERE / name: place for place, name in enumerate(DEAREST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


def pytest_collection_finish() -> None:
    """Let collections pass over what was imported: half a million objects that stay, looked at again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*SELDOM)
    gc.enable()


def paho_closes_what_it_opened() -> None:
    """It leaves the two sockets by which its thread is woken to its `__del__`, which garbage may reach too late."""
    stop = Client.loop_stop

    def stop_and_close(client: Client) -> MQTTErrorCode:
        code = stop(client)
        client._reset_sockets()
        return code

    Client.loop_stop = stop_and_close  # type: ignore[assignment,method-assign] # no public way


paho_closes_what_it_opened()


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
