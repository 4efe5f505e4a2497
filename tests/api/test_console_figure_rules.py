"""What pages of figures decide by themselves."""

from datetime import date
from typing import Any

import pytest

from api.console.county import lasted
from api.console.plan import between, last_places, middle
from api.console.reports import by_colour, days_of
from api.console.rules import on_the_wall, rank_of


def alarm(**more: Any) -> dict[str, Any]:
    return {
        "id": "a", "kind": "panic", "first_kind": None, "words": {"zh": "紧急报警", "en": "panic"}, "mark": None,
        "state": "received", "do_not_call": False, "verified": True, "group": "gr1", "door": 3, "label": "老王家",
        "address": "东街 3 号", "received": "2027-01-15T08:00:00+00:00", "on_scene": None, "place": "h1",
        "acknowledged": {"at": "2027-01-15T08:00:20+00:00", "by": "xu", "name": "徐", "role": "officer"},
    } | more  # fmt: skip


class TestRules:
    @pytest.mark.proves("N4")
    @pytest.mark.parametrize(
        "more",
        [
            {"kind": "duress"},
            {"first_kind": "duress"},
            {"do_not_call": True},
            {"kind": "unverified"},
            {"verified": False},
            {"mark": "drill"},
            {"kind": "something new"},
        ],
    )
    def test_what_may_be_duress_is_not_on_the_wall(self, more: dict[str, Any]) -> None:
        assert on_the_wall([alarm(**more)]) == []

    def test_of_an_alarm_the_wall_has_its_kind_its_group_and_its_times_alone(self) -> None:
        (shown,) = on_the_wall([alarm()])
        assert set(shown) == {"kind", "words", "state", "group", "received", "acknowledged", "on_scene"}
        assert lasted(shown, "acknowledged") == 20_000
        assert lasted(shown, "on_scene") is None

    def test_a_rank_is_the_nearest_one(self) -> None:
        assert rank_of([], 50) is None
        assert rank_of([7], 90) == 7
        assert rank_of([3, 1, 2, 4], 50) == 2
        assert rank_of(range(1, 11), 90) == 9

    def test_a_time_is_cut_into_days(self) -> None:
        assert len(days_of("week", date(2027, 1, 11), date(2027, 1, 18))) == 7
        assert days_of("day", date(2027, 1, 15), date(2027, 1, 16))[-1][0] == date(2027, 1, 15)

    def test_colours_are_put_together_by_what_is_known(self) -> None:
        def covered(compliance: float | None) -> dict[str, Any]:
            return {"compliance": compliance, "passes": 2, "gaps": [1]}

        rows = by_colour(
            [("red", covered(0.5)), ("red", covered(1.0)), ("red", covered(None)), ("blue", covered(None))]
        )
        assert [row["colour"] for row in rows] == ["red", "blue"]
        assert rows[0] | {"colour": ""} == {"colour": "", "areas": 3, "compliance": 0.75, "passes": 6, "gaps": 3}
        assert rows[1]["compliance"] is None

    def test_the_map_names_the_newest_check_in_of_a_round_and_nobody(self) -> None:
        visits = [
            {"point": "east", "at": "2027-01-15T14:00:00+00:00"},
            {"point": "shed", "at": "2027-01-15T14:20:00+00:00"},
            {"point": "gate", "at": None},
        ]
        rounds = [{"route": "n", "area": "gr1", "visits": visits}, {"route": "s", "area": "gr1", "visits": visits[2:]}]
        assert last_places(rounds) == [
            {"route": "n", "area": "gr1", "point": "shed", "at": "2027-01-15T14:20:00+00:00"}
        ]
        assert middle([[114.0, 34.0], [114.2, 34.0], [114.2, 34.4]]) == pytest.approx((34.2, 114.1))
        assert middle(None) is None
        assert between([(1.0, 2.0), (3.0, 4.0)]) == (2.0, 3.0)
        assert between([]) is None
