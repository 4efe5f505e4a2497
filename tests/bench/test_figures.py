"""The benchmark's own arithmetic."""

from __future__ import annotations

import pytest

from bench.figures import (
    Figure,
    at_least,
    at_most,
    exactly,
    in_words,
    middle,
    missed,
    out_of_order,
    percentile,
)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == value


def test_p99_of_few_values_is_the_greatest() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_one_disturbed_round_does_not_count() -> None:
    assert middle([900.0, 30.0, 1_000.0]) == 900.0


def test_a_figure_on_its_bound_keeps_it() -> None:
    assert at_most(2.0).holds(2.0)
    assert at_least(2.0).holds(2.0)
    assert exactly(0).holds(0)
    assert not at_most(2.0).holds(2.01)
    assert not at_least(2.0).holds(1.99)
    assert not exactly(0).holds(1)


def test_information_is_never_missed() -> None:
    told = Figure(part="p", name="n", value=9.0, unit="ms", floor=1.0)
    bad = Figure(part="p", name="bad", value=9.0, unit="ms", floor=2.0, bound=at_most(4.0, "2 x floor"))
    assert missed([told, bad]) == [bad]
    assert bad.ratio == 4.5


def test_json_names_figure_floor_bound_and_verdict() -> None:
    figure = Figure(part="p", name="n", value=9.0, unit="ms", floor=2.0, bound=at_most(4.0, "2 x floor"))
    assert figure.as_json() == {
        "part": "p",
        "name": "n",
        "value": 9.0,
        "unit": "ms",
        "floor": 2.0,
        "ratio": 4.5,
        "bound": "<= 4",
        "why": "2 x floor",
        "kept": False,
    }


def test_order_counts_for_each_unit_by_itself() -> None:
    assert out_of_order([("a", 1), ("b", 5), ("a", 2), ("b", 6)]) == 0
    assert out_of_order([("a", 1), ("a", 3), ("a", 2), ("b", 9), ("a", 4)]) == 1


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [(0.0149, "ms", "0.015 ms"), (2.345, "ms", "2.35 ms"), (45.67, "s", "45.7 s"), (1234.5, "events", "1,234 events")],
)
def test_numbers_are_told_with_three_digits_that_count(value: float, unit: str, words: str) -> None:
    assert in_words(value, unit) == words
