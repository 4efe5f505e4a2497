import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog
from pydantic import BaseModel, ValidationError

from api import logs as station_logs
from gateway import logs


@pytest.fixture
def configured() -> Iterator[None]:
    before = structlog.get_config()
    logs.configure()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("configured")
@pytest.mark.proves("N16")
def test_a_line_is_one_json_object_and_nothing_personal_stands_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    structlog.get_logger().info("heard", line="l1\x1b[2J", label="老王家", door=101, why="x" * 5_000)
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["level"], told["line"]) == ("heard", "info", "l1\x1b[2J")
    assert (told["label"], told["door"]) == ("[redacted]", "[redacted]")
    assert len(told["why"]) < 600
    assert "\x1b" not in line


@pytest.mark.usefixtures("configured")
def test_a_traceback_shows_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()

    def fails() -> None:
        unit_key = str(1_234 * 10_000)
        raise ValueError(len(unit_key))

    try:
        fails()
    except ValueError:
        structlog.get_logger().exception("failed")
    text = capsys.readouterr().err
    assert "ValueError" in text
    assert "12340000" not in text
    assert len(text.splitlines()) == 1


CANARIES = ("金丝雀七三一", "13812345678", "f00d" * 16, "Zk3vQ-x9_Lw2RtY8uPqN0a")
"""A name, a number, a key and a token that stand nowhere else."""


@pytest.mark.usefixtures("configured")
@pytest.mark.proves("N16")
@pytest.mark.parametrize("configure", [logs.configure, station_logs.configure], ids=["gateway", "station"])
def test_no_canary_is_in_what_a_program_says_of_its_mistakes_whoever_says_it(
    configure: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    log = structlog.get_logger()
    for canary in CANARIES:

        def fails(said: str = canary) -> None:
            raise ValueError(f"cannot use {said!r}")

        try:
            fails()
        except ValueError as error:
            log.exception("failed", trouble=str(error), why=[str(error)], name=canary)
            log.warning("failed", error=repr(error), where={"deep": [canary]})
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application %s", canary)
            sys.excepthook(type(error), error, error.__traceback__)
        thread = threading.Thread(target=fails)
        thread.start()
        thread.join()
        with pytest.raises(ValidationError) as caught:
            RingSettings.model_validate({"door": f"no. {canary}"})
        log.error("failed", why=str(caught.value))
    said = capsys.readouterr().err
    for canary in CANARIES:
        assert canary not in said
        assert json.dumps(canary)[1:-1] not in said
    assert said.count("ValueError") >= 5 * len(CANARIES)
    assert all(json.loads(line) for line in said.splitlines())
    assert "nobody caught" in said or "station.bug" in said
    assert "int_parsing" in said
    assert "in fails" in said, "where it was is what helps"


class RingSettings(BaseModel):
    door: int
