"""The benchmark of look-ups finds what it asks for, and says when a question takes too long."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import patrol


def test_a_small_table_is_filled_and_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = patrol.run(tmp_path, [30_000], ["sqlite"])
    assert found.size == 30_000
    assert min(found.look_up_ms, found.month_ms, found.month_scan_ms) > 0
    assert "30,000" in capsys.readouterr().out


def test_a_question_that_takes_too_long_is_a_bad_verdict() -> None:
    good = patrol.Figures(
        kind="sqlite", size=1, stored_us=1, look_up_ms=99, month_ms=99, look_up_scan_ms=1, month_scan_ms=1
    )
    assert good.good
    assert not replace(good, month_ms=100).good
