"""Evidence in words."""

import pytest

from api.points.citing import cited, parts
from broker.kinds import Words


@pytest.mark.proves("P7")
@pytest.mark.parametrize(
    ("id_", "words"),
    [
        ("inspection:1", Words("实地检查 1", "inspection 1")),
        ("round:12:01a20124-9d1e-7dd3-acdc-c9a14d326c69", Words("巡逻轮次 12", "round 12")),
        ("suspicion:cloned:g1:", Words("疑点", "suspicion")),
        ("account:li", Words("经办人 li", "entered by li")),
        ("01a20124-9d1e-7dd3-acdc-c9a14d326c69", None),
        ("checkin:0", None),
        ("", None),
    ],
)
def test_what_is_cited_is_said_in_words_and_what_has_none_stays_an_id(id_: str, words: Words | None) -> None:
    assert cited(id_) == words


def test_a_number_is_a_number_so_that_it_leads_to_a_page() -> None:
    assert parts("inspection:1") == ("inspection", "1")
    assert parts("inspection:x/../1") == ("inspection", "")
    assert parts("inspection") == ("", "")
