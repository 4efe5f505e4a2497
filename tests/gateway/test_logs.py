import json
from collections.abc import Iterator

import pytest
import structlog

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
