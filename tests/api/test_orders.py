"""Orders to the nearest guards: from the order to an arrival that a check-in proves, and who learns of it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.checkins.rules import CheckIn, Source
from api.checkins.service import Said
from api.guards import service as guards
from api.orders.rules import Answer, Ended, Stage, Times, proves, stage
from api.patrols.models import Checkpoint, PatrolLeg
from api.rights.rules import Role
from tests.api.browsing import Visitor, csrf_of
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, STATION
from tests.api.people import NOW, Hands, Somebody, add_companies, somebody
from tests.api.signing_in import account
from tests.api.test_guards import duty, hire

ORDERS = "/api/v1/orders"


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    """Three checkpoints in a row, three minutes apart; the third hangs at h01, a fourth not a minute's walk from it."""
    with serve(clock=hands, wait=False) as one:
        add_companies(one, "beiguan", "dongmen")
        with one.station.database.write() as session:
            for point in ("cp1", "cp2", "cp3", "cp4"):
                place = "h01" if point == "cp3" else None
                session.add(Checkpoint(id=point, station=STATION, area=COMMUNITY, place=place, name=point, from_ms=1,
                                       made_by="li"))  # fmt: skip
            session.flush()
            for here, there, least_s in (("cp1", "cp2", 180), ("cp2", "cp3", 180), ("cp3", "cp4", 50)):
                session.add(PatrolLeg(from_point=here, to_point=there, least_s=least_s, made_by="li", made_ms=1))
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.DUTY_OFFICER, STATION)


class Team:
    """Wang with an account at cp2, Zhao without one at cp1, and a policeman farther back, all on duty."""

    def __init__(self, station: Served, officer: Somebody, hands: Hands) -> None:
        self.own = somebody(station, "wang", Role.GUARD, "beiguan")
        self.company = somebody(station, "qian", Role.GUARD_COMPANY, "beiguan")
        somebody(station, "lin", Role.OFFICER, STATION)
        self.wang = hire(officer, "B1", "王一", "beiguan", area=COMMUNITY, account="wang")
        self.zhao = hire(officer, "B2", "赵二", "beiguan", area=COMMUNITY)
        self.lin = hire(officer, "P1", "林三", None, force="police", area=COMMUNITY, account="lin")
        duty(officer, self.wang, self.zhao, self.lin)
        hands.pass_(hours=2)
        for guard, point, ago_s in ((self.wang, "cp2", 60), (self.zhao, "cp1", 30), (self.lin, "cp1", 900)):
            check_in(station, guard, point, hands.now_ms - ago_s * 1_000)


@pytest.fixture
def team(station: Served, officer: Somebody, hands: Hands) -> Team:
    return Team(station, officer, hands)


def check_in(station: Served, guard: str, point: str, at_ms: int, source: Source = Source.NFC_PHONE) -> str:
    id_ = f"{guard[-6:]}-{point}-{at_ms}"
    said = Said(id=id_, source=source, tag=None, at_ms=at_ms, device_ms=at_ms, guard=guard, point=point)
    with station.station.database.write() as session:
        station.station.checkins.add(session, [said], station.station.clock())
    return id_


def called(officer: Somebody, kind: str = "panic") -> str:
    """Somebody calls the desk about h01, and the desk takes it."""
    alarm: str = officer.post("/api/v1/calls", {"kind": kind, "place": "h01"}, status=201)["id"]
    officer.post(f"/api/v1/alarms/{alarm}/acknowledge")
    return alarm


def order(officer: Somebody, alarm: str, guard: str, *, status: int = 201, **more: Any) -> Any:
    return officer.post(f"/api/v1/alarms/{alarm}/orders", {"guard": guard, **more}, status=status)


def excused(station: Served, guard: str) -> list[tuple[str, int]]:
    """Why, and for how many minutes."""
    with station.station.database.read() as session:
        found = guards.excuses(session, guard, NOW, NOW + 24 * 3_600_000)
    return [(one.cause.value, (one.to_ms - one.from_ms) // 60_000) for one in found]


def actions(officer: Somebody, alarm: str) -> list[str]:
    return [one["action"] for one in officer.get(f"/api/v1/alarms/{alarm}")["steps"]]


@pytest.mark.proves("P10", "P3")
def test_the_nearest_is_ordered_accepts_and_has_arrived_when_he_checks_in_there(
    station: Served, officer: Somebody, hands: Hands, team: Team
) -> None:
    alarm = called(officer)
    near = officer.get(f"/api/v1/alarms/{alarm}/nearest-guards")
    assert (near["offer"], near["known"]) == (team.wang, True)
    assert [(one["near"]["guard"], one["near"]["latest_s"], one["way"]) for one in near["items"]] == [
        (team.wang, 240, "page"), (team.zhao, 390, "radio"), (team.lin, 1260, "page"),
    ]  # fmt: skip
    assert station.rows("SELECT about FROM audit WHERE action = 'order.give'") == [(f"alarm:{alarm}",)]
    team.own.get(f"/api/v1/alarms/{alarm}", status=404)
    given = order(officer, alarm, team.wang, words="走北门")
    number = given["number"]
    assert (given["stage"], given["way"], given["name"], given["company"]) == ("waiting", "page", "王一", "beiguan")
    assert team.own.get(f"/api/v1/alarms/{alarm}")["place"] == "h01"
    (mine,) = team.own.get(ORDERS, open="true")["items"]
    assert (mine["alarm"], mine["words"], mine["by"]) == (alarm, "走北门", None)
    assert team.own.post(f"{ORDERS}/{number}/accept")["stage"] == "accepted"
    hands.pass_(minutes=1)
    assert team.own.post(f"{ORDERS}/{number}/on-the-way")["stage"] == "on_the_way"
    assert officer.get(f"/api/v1/alarms/{alarm}")["state"] == "on_the_way"
    hands.pass_(minutes=4)
    check_in(station, team.wang, "cp2", hands.now_ms - 1_000)
    assert officer.get(f"{ORDERS}/{number}")["stage"] == "on_the_way"  # not there, only on his way
    proof = check_in(station, team.wang, "cp3", hands.now_ms, Source.FIXED_READER)
    shown = officer.get(f"{ORDERS}/{number}")
    assert (shown["stage"], shown["proof"]) == (
        "arrived", {"entered": False, "check_in": proof, "source": "fixed_reader", "weight": 100},
    )  # fmt: skip
    detail = officer.get(f"/api/v1/alarms/{alarm}")
    assert (detail["state"], detail["checked"] is not None) == ("on_scene", True)
    assert actions(officer, alarm) == ["receive", "acknowledge", "dispatch", "note", "on_the_way", "on_scene"]
    assert detail["steps"][-1]["detail"]["check_in"] == proof
    assert [(one["guard"], one["account"]) for one in detail["dispatches"]] == [(team.wang, "wang")]
    hands.pass_(minutes=10)
    officer.post(f"/api/v1/alarms/{alarm}/resolve", {"outcome": "real"})
    assert officer.get(f"{ORDERS}/{number}")["stage"] == "closed"
    assert excused(station, team.wang) == [("alarm", 15)]
    team.own.get(f"/api/v1/alarms/{alarm}", status=404)
    assert [team.own.get(f"{ORDERS}/{number}")[name] for name in ("alarm", "words")] == [None, None]
    assert team.own.get(ORDERS, open="true")["items"] == []
    facts = station.rows("SELECT key FROM points_fact WHERE key LIKE 'order:%'")
    assert facts == [(f"order:{number}",)]  # first on scene, by check-in


@only_sqlite
@pytest.mark.proves("P10")
def test_whoever_has_no_account_is_told_by_radio_and_his_company_reads_neither_where_nor_why(
    station: Served, officer: Somebody, hands: Hands, team: Team
) -> None:
    other = somebody(station, "sun", Role.GUARD_COMPANY, "dongmen")
    alarm = called(officer, "medical")
    given = order(officer, alarm, team.zhao, behalf="北关值班长", words="h01 楼下")
    number = given["number"]
    assert (given["way"], given["behalf"]) == ("radio", "北关值班长")
    seen = team.company.get(f"{ORDERS}/{number}")
    assert (seen["name"], seen["alarm"], seen["words"], seen["reason"], seen["by"]) == ("赵二", None, None, None, None)
    assert not {alarm, "h01", "medical"} & {str(value) for value in seen.values()}
    team.company.get(f"/api/v1/alarms/{alarm}", status=403)
    other.get(f"{ORDERS}/{number}", status=404)
    other.post(f"{ORDERS}/{number}/accept", status=404)
    team.own.post(f"{ORDERS}/{number}/accept", status=404)
    assert other.get(ORDERS)["items"] == []
    assert team.company.post(f"{ORDERS}/{number}/accept", {"behalf": "赵二"})["stage"] == "accepted"
    assert team.company.post(f"{ORDERS}/{number}/accept", status=409)["type"] == "not_now"
    team.company.post(f"{ORDERS}/{number}/arrived", status=403)
    steps = officer.get(f"/api/v1/alarms/{alarm}")["steps"]
    assert [(one["action"], one["officer"], one["behalf"]) for one in steps[-2:]] == [
        ("dispatch", "xu", "北关值班长"), ("note", "qian", "赵二"),
    ]  # fmt: skip
    hands.pass_(minutes=5)
    check_in(station, team.zhao, "cp3", hands.now_ms - 10 * 60_000)  # before he was ordered
    assert officer.get(f"{ORDERS}/{number}")["arrived"] is None
    entered = officer.post(f"{ORDERS}/{number}/arrived", {"behalf": "赵二"})
    assert (entered["stage"], entered["proof"]["entered"], entered["proof"]["source"]) == ("arrived", True, None)
    assert officer.get(f"/api/v1/alarms/{alarm}")["state"] == "on_scene"
    later = check_in(station, team.zhao, "cp4", hands.now_ms)  # near it is there
    assert officer.get(f"{ORDERS}/{number}")["proof"]["check_in"] == later
    assert actions(officer, alarm).count("on_scene") == 1


@only_sqlite
@pytest.mark.proves("P10", "N11")
def test_whoever_does_not_answer_in_time_is_marked_and_the_desk_decides_about_the_next_nearest(
    station: Served, officer: Somebody, hands: Hands, team: Team
) -> None:
    alarm = called(officer)
    first = order(officer, alarm, team.wang, answer_s=60)["number"]
    assert order(officer, alarm, team.wang, status=409)["order"] == first
    second = called(officer)
    assert order(officer, second, team.wang, status=409)["order"] is None
    look = station.station.orders.look
    hands.pass_(seconds=59)
    look(station.station.database, hands.now_ms)
    assert officer.get(f"{ORDERS}/{first}")["stage"] == "waiting"
    hands.pass_(seconds=1)
    for _ in range(2):
        look(station.station.database, hands.now_ms)
    marked = officer.get(f"{ORDERS}/{first}")
    assert (marked["stage"], marked["offered"], marked["due"]) == ("unanswered", team.zhao, None)
    assert actions(officer, alarm)[-2:] == ["dispatch", "note"]
    near = officer.get(f"/api/v1/alarms/{alarm}/nearest-guards")
    assert near["offer"] == team.zhao
    assert (near["items"][0]["order"], near["items"][0]["stage"]) == (first, "unanswered")
    assert team.own.get(f"/api/v1/alarms/{alarm}")["id"] == alarm  # nobody has decided yet
    order(officer, alarm, team.zhao, instead_of=first)
    team.own.get(f"/api/v1/alarms/{alarm}", status=404)
    assert officer.get(f"{ORDERS}/{first}")["stage"] == "called_back"
    assert actions(officer, alarm)[-2:] == ["recall_all", "dispatch"]
    assert [one["stage"] for one in officer.get(f"/api/v1/alarms/{alarm}/orders")["items"]] == [
        "called_back", "waiting",
    ]  # fmt: skip


@only_sqlite
@pytest.mark.proves("P10")
def test_whoever_declines_sees_nothing_more_and_his_visits_count_again(
    station: Served, officer: Somebody, hands: Hands, team: Team
) -> None:
    alarm = called(officer)
    number = order(officer, alarm, team.wang)["number"]
    hands.pass_(minutes=1)
    declined = team.own.post(f"{ORDERS}/{number}/decline", {"words": "正护送老人"})
    assert (declined["stage"], declined["alarm"]) == ("declined", None)
    team.own.get(f"/api/v1/alarms/{alarm}", status=404)
    assert excused(station, team.wang) == [("alarm", 1)]
    detail = officer.get(f"/api/v1/alarms/{alarm}")
    assert (detail["state"], detail["steps"][-1]["reason"]) == ("acknowledged", "正护送老人")
    hands.pass_(minutes=5)
    check_in(station, team.wang, "cp3", hands.now_ms)
    assert officer.get(f"/api/v1/alarms/{alarm}")["state"] == "acknowledged"  # he was not on an order any more
    again = order(officer, alarm, team.wang)["number"]
    officer.post(f"{ORDERS}/{again}/call-back", {"reason": "另有任务"})
    team.own.post(f"{ORDERS}/{again}/accept", status=409)
    officer.post(f"{ORDERS}/{again}/call-back", {"reason": "另有任务"}, status=409)


@only_sqlite
@pytest.mark.proves("P10", "N4")
def test_an_order_for_duress_is_for_police_and_whoever_is_sent_all_the_same_is_shown_nothing(
    station: Served, officer: Somebody, hands: Hands, team: Team
) -> None:
    watched = (ORDERS, f"{ORDERS}/1", f"{ORDERS}/2", "/api/v1/alarms", f"/api/v1/guards/{team.wang}")

    def everything() -> list[Any]:
        answers = []
        for who in (team.own, team.company):
            token = {"Authorization": f"Bearer token-of-{who.id}"}
            for path in watched:
                answer = station.client.get(path, headers=token)
                answers.append((who.id, path, answer.status_code, answer.text))
        return answers

    before, excuses_before = everything(), excused(station, team.wang)
    alarm = called(officer, "duress")
    near = officer.get(f"/api/v1/alarms/{alarm}/nearest-guards")
    assert [one["near"]["guard"] for one in near["items"]] == [team.lin]
    every = officer.get(f"/api/v1/alarms/{alarm}/nearest-guards", everybody="true")
    assert [(one["near"]["guard"], one["way"]) for one in every["items"]] == [
        (team.wang, None), (team.zhao, None), (team.lin, "page"),
    ]  # fmt: skip
    assert order(officer, alarm, team.wang, status=422)["type"] == "for_police_alone"
    sent = order(officer, alarm, team.wang, reason="唯一就近人员, 便衣在外围观察", words="到cp3")
    assert (sent["way"], sent["reason"] is not None) == ("radio", True)
    police = order(officer, alarm, team.lin)
    assert police["way"] == "page"
    look = station.station.orders.look
    hands.pass_(minutes=3)
    look(station.station.database, hands.now_ms)
    officer.post(f"{ORDERS}/{sent['number']}/on-the-way", {"behalf": "王一"})
    officer.post(f"{ORDERS}/{sent['number']}/arrived", {"behalf": "王一"})
    seen = officer.get(f"/api/v1/alarms/{alarm}")
    assert (seen["checked"], seen["on_scene"]) == (None, None)  # he verifies nothing: police in person do
    refused = officer.post(f"/api/v1/alarms/{alarm}/resolve", {"outcome": "real"}, status=409)
    assert refused["type"] == "not_checked"
    assert everything() == before
    assert excused(station, team.wang) == excuses_before == []
    for who in (team.own, team.company):
        for verb in ("accept", "decline", "on-the-way"):
            who.post(f"{ORDERS}/{sent['number']}/{verb}", {} if verb == "decline" else None, status=404)
    check_in(station, team.lin, "cp3", hands.now_ms)
    assert officer.get(f"/api/v1/alarms/{alarm}")["state"] == "on_scene"
    officer.post(f"/api/v1/alarms/{alarm}/resolve", {"outcome": "real"})
    assert everything() == before
    assert station.rows("SELECT key FROM points_fact WHERE key LIKE 'order:%'") == []


@only_sqlite
@pytest.mark.proves("P10")
def test_nobody_is_ordered_who_is_off_duty_nor_to_what_nobody_has_taken(
    officer: Somebody, station: Served, team: Team
) -> None:
    alarm = called(officer)
    idle = hire(officer, "B9", "孙四", "beiguan", area=COMMUNITY)
    assert order(officer, alarm, idle, status=409)["type"] == "not_on_duty"
    fresh = officer.post("/api/v1/calls", {"kind": "panic", "place": "h02"}, status=201)["id"]
    assert order(officer, fresh, team.zhao, status=409)["type"] == "not_now"
    far = somebody(station, "far", Role.DUTY_OFFICER, "elsewhere")
    order(far, alarm, team.zhao, status=404)
    unknown = officer.get(f"/api/v1/alarms/{fresh}/nearest-guards")
    assert (unknown["known"], unknown["items"][0]["near"]["soonest_s"]) == (False, None)
    number = order(officer, alarm, team.zhao)["number"]
    far.get(f"{ORDERS}/{number}", status=404)


@pytest.mark.proves("P10")
@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({}, Stage.WAITING),
        ({"unanswered_ms": 1}, Stage.UNANSWERED),
        ({"unanswered_ms": 1, "answer": Answer.ACCEPTED}, Stage.ACCEPTED),
        ({"answer": Answer.ACCEPTED, "on_the_way_ms": 1}, Stage.ON_THE_WAY),
        ({"on_scene_ms": 1}, Stage.ARRIVED),
        ({"on_scene_ms": 1, "ended": Ended.CLOSED}, Stage.CLOSED),
        ({"answer": Answer.DECLINED, "ended": Ended.DECLINED}, Stage.DECLINED),
    ],
)
def test_how_far_an_order_is_is_what_happened_last(known: dict[str, Any], told: Stage) -> None:
    nothing: dict[str, Any] = dict.fromkeys(("unanswered_ms", "answer", "on_the_way_ms", "on_scene_ms", "ended"))
    assert stage(Times(**nothing | known)) is told


@pytest.mark.proves("P10")
def test_what_somebody_says_of_him_or_what_was_read_before_the_order_proves_nothing() -> None:
    def one(at_ms: int, source: Source = Source.QR, *flags: str) -> CheckIn:
        return CheckIn(
            id="c", guard="g", tag=None, point="cp3", source=source, at_ms=at_ms, device_ms=None, server_ms=at_ms,
            skew_ms=None, flags=frozenset(flags),
        )  # fmt: skip

    assert proves(one(50), ordered_ms=50, now_ms=60)
    assert not proves(one(49), ordered_ms=50, now_ms=60)
    assert not proves(one(61), ordered_ms=50, now_ms=60)
    assert not proves(one(55, Source.RADIO), ordered_ms=50, now_ms=60)
    assert not proves(one(55, Source.WITNESS), ordered_ms=50, now_ms=60)
    assert not proves(one(55, Source.QR, "unverified"), ordered_ms=50, now_ms=60)


@pytest.mark.proves("P10", "A7")
def test_an_officer_orders_the_nearest_guard_by_forms_and_enters_what_he_reports(
    station: Served, officer: Somebody, team: Team
) -> None:
    account(station.station, "desk-wang", (Role.DUTY_OFFICER, STATION))
    alarm = called(officer)
    page = Visitor(station)
    csrf = csrf_of(page.sign_in("desk-wang"))
    shown = page.get(f"/alarms/{alarm}")
    assert "B1 王一" in shown
    assert "4 分钟内可到" in shown
    assert "建议先派" in shown
    assert "王一" in page.get(f"/desk/alarms/{alarm}/more")
    ordered = page.post(f"/alarms/{alarm}/do/order", csrf=csrf, guard=team.wang, words="走北门")
    assert "待接令" in ordered
    number = order_of(ordered)
    again = page.post(f"/alarms/{alarm}/do/order", csrf=csrf, guard=team.wang, status=409)
    assert "他已被派往别处" in again
    assert "王一 接令" in page.post(f"/alarms/{alarm}/do/order-accept", csrf=csrf, order=number, behalf="北关保安")
    assert "人工录入" in page.post(f"/alarms/{alarm}/do/order-arrived", csrf=csrf, order=number)
    short = page.post(f"/alarms/{alarm}/do/order-call-back", csrf=csrf, order=number, reason="", status=422)
    assert "这一项必填" in short
    assert "已撤回" in page.post(f"/alarms/{alarm}/do/order-call-back", csrf=csrf, order=number, reason="换人")


def order_of(page: str) -> str:
    found = re.search(r'name="order" value="(\d+)"', page)
    assert found is not None
    return found[1]
