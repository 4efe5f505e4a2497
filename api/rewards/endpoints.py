"""Rewards over HTTP."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter

from api.access import Authority, may
from api.pages import PAGE, Cursor, Limit, Number, below, cursor
from api.problems import answers
from api.rewards.rules import RewardState
from api.rewards.schemas import (
    Deposit,
    FundAnswer,
    Judgement,
    NewReward,
    Payment,
    RewardDetail,
    RewardPage,
    reward_answer,
    reward_detail,
)
from api.station import CurrentStation

router: Final = APIRouter(
    prefix="/api/v1",
    tags=["rewards"],
    responses=answers(
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


@router.post("/rewards", summary="Apply for a reward (奖励申报)", status_code=HTTPStatus.CREATED)
def apply_for_reward(
    station: CurrentStation, by: Annotated[Authority, may("reward.apply")], new: NewReward
) -> RewardDetail:
    """One event, one reward."""
    with station.database.write() as session:
        seen = station.rewards.apply(
            session,
            by,
            event=new.event,
            guard=new.guard,
            amount_fen=new.amount_fen,
            occurred_ms=round(new.occurred.timestamp() * 1_000),
            words=new.words,
        )
        return reward_detail(seen)


@router.get("/rewards", summary="Rewards, newest first")
def list_rewards(
    station: CurrentStation,
    by: Annotated[Authority, may("reward.read")],
    limit: Limit = PAGE,
    after: Cursor = None,
) -> RewardPage:
    """A guard sees his own, a company those of its people of that day."""
    with station.database.read() as session:
        found = station.rewards.listed(session, by, below=below(after), limit=limit + 1)
        items = tuple(reward_answer(row) for row in found[:limit])
    return RewardPage(items=items, next=cursor(items[-1].number) if len(found) > limit else None)


@router.get("/rewards/{number}", summary="A reward with its steps")
def get_reward(station: CurrentStation, by: Annotated[Authority, may("reward.read")], number: Number) -> RewardDetail:
    """Who applied, checked, approved and paid."""
    with station.database.read() as session:
        return reward_detail(station.rewards.one(session, by, number))


@router.post("/rewards/{number}/check", summary="Check a reward (核实)")
def check_reward(
    station: CurrentStation, by: Annotated[Authority, may("reward.check")], number: Number, asked: Judgement
) -> RewardDetail:
    """By somebody else than whoever applied."""
    wanted = RewardState.CHECKED if asked.yes else RewardState.REFUSED
    with station.database.write() as session:
        return reward_detail(station.rewards.move(session, by, number, wanted, asked.words))


@router.post("/rewards/{number}/approval", summary="Approve a reward (审批)")
def approve_reward(
    station: CurrentStation, by: Annotated[Authority, may("reward.approve")], number: Number, asked: Judgement
) -> RewardDetail:
    """By a third person."""
    wanted = RewardState.APPROVED if asked.yes else RewardState.REFUSED
    with station.database.write() as session:
        return reward_detail(station.rewards.move(session, by, number, wanted, asked.words))


@router.post("/rewards/{number}/payment", summary="Pay a reward (发放)")
def pay_reward(
    station: CurrentStation, by: Annotated[Authority, may("reward.pay")], number: Number, asked: Payment
) -> RewardDetail:
    """By a fourth person, out of the fund, which has to suffice. Once."""
    with station.database.write() as session:
        return reward_detail(station.rewards.move(session, by, number, RewardState.PAID, asked.words))


@router.get("/reward-fund", summary="What the reward fund holds")
def get_fund(station: CurrentStation, by: Annotated[Authority, may("reward.fund")]) -> FundAnswer:
    """The sum of what was put in and paid out."""
    with station.database.read() as session:
        return FundAnswer(balance_fen=station.rewards.balance_fen(session, by))


@router.post("/reward-fund", summary="Put money into the reward fund", status_code=HTTPStatus.CREATED)
def fill_fund(station: CurrentStation, by: Annotated[Authority, may("reward.fund.fill")], asked: Deposit) -> FundAnswer:
    """Once for each paper."""
    with station.database.write() as session:
        balance = station.rewards.put_in(session, by, amount_fen=asked.amount_fen, reference=asked.reference)
        return FundAnswer(balance_fen=balance)
