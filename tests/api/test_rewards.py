"""Rewards: one for an event, each step another person's, paid out of a fund that suffices."""

import pytest

from api.rewards.rules import RewardState, may_follow
from api.rights.rules import Role
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import STATION
from tests.api.people import MOMENT, Somebody, somebody
from tests.api.test_points import east, guard_of, north, station, wang

__all__ = ["east", "north", "station", "wang"]

REWARDS, FUND = "/api/v1/rewards", "/api/v1/reward-fund"


@pytest.mark.proves("P8")
def test_a_reward_goes_from_application_to_payment_by_four_people_and_out_of_the_fund(
    station: Served, wang: Somebody, north: Somebody, east: Somebody
) -> None:
    people = {
        role: somebody(station, f"acc-{role}", role, STATION)
        for role in (Role.OFFICER, Role.DUTY_LEADER, Role.COMMAND_CENTRE)
    }
    officer, leader, centre = people.values()
    new = {
        "event": "J2027-9", "guard": guard_of(wang), "amount_fen": 50_000, "occurred": MOMENT.isoformat(),
        "words": "协助抓获盗窃嫌疑人",
    }  # fmt: skip
    assert east.post(REWARDS, new, status=422)["type"] == "no_such_guard"
    number = north.post(REWARDS, new, status=201)["number"]
    assert north.post(REWARDS, new, status=409)["type"] == "once_only"
    yes, path = {"yes": True, "words": "属实"}, f"{REWARDS}/{number}"
    assert leader.post(f"{path}/approval", yes, status=409)["state"] == "applied"
    officer.post(f"{path}/check", yes)
    leader.post(f"{path}/approval", yes)
    assert centre.post(f"{path}/payment", {"words": "转账"}, status=409)["balance_fen"] == 0
    assert centre.post(FUND, {"amount_fen": 20_000_000, "reference": "财2027-1"}, status=201)
    assert centre.post(FUND, {"amount_fen": 20_000_000, "reference": "财2027-1"}, status=409)
    paid = centre.post(f"{path}/payment", {"words": "转账"})
    assert [step["state"] for step in paid["steps"]] == ["applied", "checked", "approved", "paid"]
    assert centre.post(f"{path}/payment", {"words": "再"}, status=409)["state"] == "paid"
    assert centre.get(FUND)["balance_fen"] == 19_950_000
    assert [one["event"] for one in wang.get(REWARDS)["items"]] == ["J2027-9"]
    assert east.get(REWARDS)["items"] == []
    east.get(path, status=404)


@pytest.mark.proves("P8")
@only_sqlite
def test_whoever_applied_does_not_check_and_what_was_refused_stays_refused(station: Served, wang: Somebody) -> None:
    first, second = (somebody(station, f"officer-{n}", Role.OFFICER, STATION) for n in range(2))
    new = {
        "event": "J2027-9", "guard": guard_of(wang), "amount_fen": 1, "occurred": MOMENT.isoformat(), "words": "线索"
    }  # fmt: skip
    path = f"{REWARDS}/{first.post(REWARDS, new, status=201)['number']}"
    assert first.post(f"{path}/check", {"yes": True, "words": "x"}, status=409)["type"] == "same_person"
    assert second.post(f"{path}/check", {"yes": False, "words": "与他人重复"})["state"] == "refused"
    assert second.post(f"{path}/check", {"yes": True, "words": "x"}, status=409)["state"] == "refused"


@pytest.mark.proves("P8")
def test_no_step_can_be_left_out() -> None:
    order = [RewardState.APPLIED, RewardState.CHECKED, RewardState.APPROVED, RewardState.PAID]
    for one in RewardState:
        for wanted in RewardState:
            follows = one in order and wanted in order and order.index(wanted) == order.index(one) + 1
            refused = wanted is RewardState.REFUSED and one in order[:2]
            assert may_follow(one, wanted) is (follows or refused)
