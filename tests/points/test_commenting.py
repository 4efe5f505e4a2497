"""The draft of the daily comment: every sentence cites facts, and counts what is there."""

import re

import pytest
from hypothesis import given

from api.points.commenting import CITED, draft
from api.points.facts import Fact, Happened
from api.reports.rules import Period
from tests.points.test_rules import fact, facts


@pytest.mark.proves("P8")
@given(facts)
def test_every_sentence_cites_facts_that_there_are(found: list[Fact]) -> None:
    keys = {one.key for one in found}
    for sentence in draft(found, Period.DAY):
        assert sentence.cites
        assert {*sentence.cites} <= keys
        assert len(sentence.cites) <= CITED


@pytest.mark.proves("P8")
def test_a_day_of_which_nothing_is_known_has_no_comment() -> None:
    assert draft([], Period.DAY) == ()


@pytest.mark.proves("P8")
def test_it_counts_visits_and_cites_rounds() -> None:
    said = draft([fact("r1", Happened.MISSED), fact("r2", Happened.MISSED, Happened.LATE), fact("r3")], Period.DAY)
    assert [one.words.zh for one in said] == ["迟到早到1处", "漏巡2处，须查明原因"]
    assert said[1].cites == ("r1", "r2")
    assert [one.words.en for one in said] == ["1 visit late or early", "2 visits missed; to be looked into"]


@pytest.mark.proves("P8")
@pytest.mark.parametrize("what", [*Happened])
def test_english_counts_one_and_many(what: Happened) -> None:
    for sentence in [*draft([fact("r1", what)], Period.DAY), *draft([fact("r1", what), fact("r2", what)], Period.DAY)]:
        assert not re.search(r"[{|}]", sentence.words.en)
        assert not re.match(r"1 \S+s\b", sentence.words.en)
