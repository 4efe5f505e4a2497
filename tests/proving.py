"""The marker `proves`: which requirement a test shows to be met.

    @pytest.mark.proves("N1", "A5")
    def test_the_unit_is_told_kept_only_after_the_commit() -> None: ...

`pytest --proves-report FILE` writes, as JSON, every test of the run with its outcome and the ids that it proves;
with `--collect-only` the outcome is "collected". `python -m tests.checks` reads that file.

A test that shows a row of the catalogue of faults has the row's number in its name, as a parameter that it does not
get: `test_a_sync_that_fails[F07]`; `pytest -k F07` runs all that there is of a row.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

FAULT = re.compile(r"F\d\d")
FAULTS = "rows_of_the_catalogue"
WORST_FIRST = ("failed", "skipped", "passed", "collected")


@dataclass(kw_only=True)
class Proof:
    ids: tuple[str, ...]
    outcome: str = "collected"

    def saw(self, outcome: str) -> None:
        """A test is as good as the worst of its three phases: set-up, call, tear-down."""
        if self.outcome == "collected" or WORST_FIRST.index(outcome) < WORST_FIRST.index(self.outcome):
            self.outcome = outcome


class ProvesReport:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._proofs: dict[str, Proof] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._proofs = {item.nodeid: Proof(ids=proved_by(item)) for item in session.items}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._proofs[report.nodeid].saw(report.outcome)

    def pytest_sessionfinish(self) -> None:
        proofs = {nodeid: asdict(proof) for nodeid, proof in self._proofs.items()}
        self._path.write_text(json.dumps(proofs, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def proved_by(item: pytest.Item) -> tuple[str, ...]:
    return tuple(sorted({str(row) for marker in item.iter_markers("proves") for row in marker.args}))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--proves-report", metavar="FILE", type=Path, help="write what each test proves, and how it ended")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "proves(row, ...): the rows and invariants of docs/requirements.md shown by a test"
    )
    path: Path | None = config.getoption("--proves-report")
    if path is not None:
        config.pluginmanager.register(ProvesReport(path))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    rows = {str(row) for marker in metafunc.definition.iter_markers("proves") for row in marker.args}
    if faults := sorted(row for row in rows if FAULT.fullmatch(row)):
        metafunc.fixturenames.append(FAULTS)
        metafunc.parametrize(FAULTS, ["-".join(faults)])


def pytest_itemcollected(item: pytest.Item) -> None:
    for marker in item.iter_markers("proves"):
        if not marker.args or marker.kwargs:
            message = f"{item.nodeid}: write the ids, @pytest.mark.proves('N1')"
            raise pytest.UsageError(message)
