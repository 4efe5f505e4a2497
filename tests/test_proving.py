import json
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.mark.proves("N1", "A5")
def test_good(): ...

@pytest.mark.proves("N2")
class TestBoth:
    @pytest.mark.proves("N3")
    def test_bad(self): assert False

@pytest.fixture
def breaks_afterwards():
    yield
    raise OSError

def test_bad_at_the_end(breaks_afterwards): ...

@pytest.mark.skip
def test_skipped(): ...
"""


def pytest_in(folder: Path, tests: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder.joinpath("test_it.py").write_text(tests, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.proving", "-c", "/dev/null"]
    command += ["--rootdir", str(folder), "--confcutdir", str(folder)]
    return subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "outcomes"),
    [((), ["passed", "failed", "failed", "skipped"]), (("--collect-only",), ["collected"] * 4)],
)
def test_report_holds_each_test_with_its_ids_and_its_worst_outcome(
    tmp_path: Path, arguments: tuple[str, ...], outcomes: list[str]
) -> None:
    pytest_in(tmp_path, TESTS, "--proves-report", "proves.json", *arguments)
    report = json.loads(tmp_path.joinpath("proves.json").read_text(encoding="utf-8"))
    names = ["test_good", "TestBoth::test_bad", "test_bad_at_the_end", "test_skipped"]
    ids = [["A5", "N1"], ["N2", "N3"], [], []]
    assert report == {
        f"test_it.py::{name}": {"ids": proved, "outcome": outcome}
        for name, proved, outcome in zip(names, ids, outcomes, strict=True)
    }


def test_marker_without_an_id_is_refused(tmp_path: Path) -> None:
    done = pytest_in(tmp_path, "import pytest\n@pytest.mark.proves\ndef test_it(): ...\n")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "test_it.py::test_it: write the ids" in done.stderr
