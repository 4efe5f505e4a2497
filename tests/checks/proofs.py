"""Which test proves which row: asked of pytest itself, without running anything."""

import json
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


def collect(root: Path) -> Mapping[str, Collection[str]]:
    """Every test of the tree, with the ids that it proves."""
    with TemporaryDirectory() as folder:
        report = Path(folder, "proves.json")
        command = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "--proves-report", str(report)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            sys.exit(f"error: the tests cannot be collected\n{done.stdout}{done.stderr}")
        return {test: proof["ids"] for test, proof in json.loads(report.read_text(encoding="utf-8")).items()}


def unknown(proven: Mapping[str, Collection[str]], rows: Collection[str]) -> Iterator[str]:
    for test, ids in proven.items():
        for row in ids:
            if row not in rows:
                yield f"{test} proves {row}, which is no row of docs/requirements.md"


def without_one(proven: Mapping[str, Collection[str]], rows: Collection[str]) -> list[str]:
    has_one = {row for ids in proven.values() for row in ids}
    return [row for row in rows if row not in has_one]
