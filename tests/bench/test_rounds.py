"""A day of thirty guards, as the benchmark lets three thousand walk it: each round is judged once."""

from pathlib import Path

import pytest

from bench.rounds import LATE, OF_AREA, ROUNDS, VISITS, walk


@pytest.mark.proves("P3", "P7")
def test_a_whole_day_is_judged_once_a_round_and_late_data_touch_their_own_rounds_alone(tmp_path: Path) -> None:
    day = walk(tmp_path, guards=OF_AREA)
    assert (day.rounds, day.evaluations) == (OF_AREA * ROUNDS, OF_AREA * ROUNDS)
    assert day.check_ins == OF_AREA * ROUNDS * VISITS
    assert 0 < day.late < min(LATE, day.rounds)
    assert day.judged - day.evaluations == day.late
