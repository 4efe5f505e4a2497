"""The schedule of an attack, for every seed."""

import threading
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults.nemeses import NEMESES, _meanwhile, called, within_reach
from faults.schedule import Blow, Kind, plan

KINDS = [one.kind for one in NEMESES.values()]
HURTS = {kind.name: kind.hurts for kind in KINDS}


def attack(seed: int, *, length_s: float = 300, at_once: int = 2) -> list[Blow]:
    return plan(KINDS, length_s=length_s, dice=Random(seed), at_once=at_once)


@given(st.integers(0, 1 << 32), st.integers(1, 3))
def test_never_more_at_once_than_asked_for_and_never_two_on_the_same_thing(seed: int, at_once: int) -> None:
    blows = attack(seed, at_once=at_once)
    for blow in blows:
        assert sum(one.at_s <= blow.at_s < one.until_s for one in blows) <= at_once
    for one, other in combinations(blows, 2):
        if HURTS[one.name] & HURTS[other.name]:
            assert one.until_s < other.at_s or other.until_s < one.at_s


@given(st.integers(0, 1 << 32), st.floats(1, 600))
def test_everything_is_over_at_the_end(seed: int, length_s: float) -> None:
    assert all(blow.at_s >= 1 and blow.until_s <= length_s for blow in attack(seed, length_s=length_s))


@given(st.integers(0, 1 << 32))
def test_every_fault_comes_in_a_long_attack_and_the_same_seed_makes_it_again(seed: int) -> None:
    blows = attack(seed, length_s=600)
    assert {blow.name for blow in blows} == set(HURTS)
    assert blows == attack(seed, length_s=600)
    for blow in blows:
        kind = next(one for one in KINDS if one.name == blow.name)
        assert kind.shortest_s <= blow.lasts_s <= kind.longest_s


def test_a_fault_that_is_longer_than_the_attack_is_left_out() -> None:
    assert plan([Kind("long", frozenset(), 10, 10)], length_s=5, dice=Random(1)) == []


@pytest.mark.proves("N1")
def test_a_machine_without_root_is_attacked_with_all_that_needs_none() -> None:
    of_root = {name for name, one in NEMESES.items() if one.root}
    assert within_reach(root=True) == NEMESES
    assert within_reach(root=False).keys() == NEMESES.keys() - of_root
    of_disks = {"F01-power-cut", "F06-disk-full", "F08-disk-read-only", "F25-broker-disk-full"}
    assert of_root == {*of_disks, "F48-storm-in-the-dark"}


def test_a_fault_is_called_by_its_name_with_or_without_its_rows_and_by_each_row() -> None:
    assert called("line-noisy") == called("F36-F44-line-noisy") == called("F44") == ["F36-F44-line-noisy"]
    assert called("F54") == ["F54-station-stalled", "F54-gateway-stalled"]
    assert called("F99") == called("noisy") == []


def test_what_acts_while_it_lasts_is_heard_of_when_it_fails() -> None:
    turns: list[int] = []

    def act(over: threading.Event) -> None:
        while not over.wait(0.001):
            turns.append(1)
        raise OSError("the link broke")

    def last() -> None:
        with _meanwhile(act):
            while len(turns) < 3:
                pass

    with pytest.raises(OSError, match="the link broke"):
        last()
