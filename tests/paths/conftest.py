"""One running town for each module; how long the roads took is told at the end."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.town import HurtBox, Town, town
from tests.paths.forked import fork

HERE = Path(__file__).parent
HurtBox.begin = staticmethod(fork)  # type: ignore[method-assign] # in tests programs are forked


@pytest.fixture(scope="module")
def running_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town that the tests of a module share. At the end everything that ever happened in it is judged once more."""
    with town(tmp_path_factory.mktemp("town")) as running:
        yield running
        assert not running.verdict().wrong


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how long each module here took: processes that are killed and started cost time, and it should be known."""
    seconds: dict[str, float] = defaultdict(float)
    for outcome in ("passed", "failed", "skipped", "error", ""):
        for report in terminalreporter.stats.get(outcome, ()):
            if isinstance(report, pytest.TestReport) and HERE.name in Path(report.fspath).parent.parts:
                seconds[Path(report.fspath).name] += report.duration
    if seconds:
        told = ", ".join(f"{name} {took:.0f} s" for name, took in sorted(seconds.items(), key=lambda item: -item[1]))
        terminalreporter.write_line(f"tests/paths: {sum(seconds.values()):.0f} s ({told})")
