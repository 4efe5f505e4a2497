"""Comments (点评): drafted from facts, edited by one officer at a time, published to whom they concern, for good."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.points.facts import Fact, Happened, Happening
from api.rights.rules import Role
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, STATION
from tests.api.people import NOW, Hands, Somebody, add_companies, somebody

POINTS = "/api/v1/points"
KEPT = f"{POINTS}/kept-comments"
BEGIN = f"{POINTS}/comments/{STATION}"
DAY = "2027-01-15"


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    """Two companies; a guard of each missed a visit, one of the first walked a round whole."""
    with serve(clock=hands, wait=False) as one:
        add_companies(one, "beiguan", "dongmen")
        note(one, "r1", "beiguan", Happened.MISSED)
        note(one, "r2", "beiguan", Happened.COMPLETE)
        note(one, "r3", "dongmen", Happened.MISSED)
        yield one


@pytest.fixture
def officer(station: Served) -> Somebody:
    return somebody(station, "xu", Role.OFFICER, STATION)


@pytest.fixture
def north(station: Served) -> Somebody:
    return somebody(station, "qian", Role.GUARD_COMPANY, "beiguan")


@pytest.fixture
def above(station: Served) -> Somebody:
    return somebody(station, "fen", Role.COMMAND_CENTRE, STATION)


def note(served: Served, key: str, company: str, *happened: Happened) -> None:
    found = tuple(Happening(what=what, item="1:gate", evidence=(f"c-{key}",)) for what in happened)
    fact = Fact(
        key=key, guard=f"g-{company}", company=company, area=COMMUNITY, occurred_ms=NOW - 60_000, happenings=found,
        duty=True, active=True,
    )  # fmt: skip
    with served.station.database.write() as session:
        served.station.points.note(session, fact)


def put(who: Somebody, kept: Any, *said: dict[str, Any], version: int | None = None, status: int = 200) -> Any:
    headers = {"Authorization": f"Bearer token-of-{who.id}", "If-Match": f'"{version or kept["version"]}"'}
    answer = who.served.client.put(f"{KEPT}/{kept['id']}", json={"sentences": said}, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def publish(who: Somebody, kept: Any, *, status: int = 200) -> Any:
    headers = {"Authorization": f"Bearer token-of-{who.id}", "If-Match": f'"{kept["version"]}"'}
    answer = who.served.client.post(f"{KEPT}/{kept['id']}/publication", headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def words(kept: Any) -> list[tuple[str | None, str]]:
    return [(one["company"], one["zh"]) for one in kept["sentences"]]


@pytest.mark.proves("P8")
def test_a_comment_goes_from_its_draft_over_an_officers_hand_to_each_company_its_own_part(
    station: Served, officer: Somebody, north: Somebody, above: Somebody
) -> None:
    kept = officer.post(BEGIN, {"day": DAY}, status=201)
    assert words(kept) == [
        (None, "当日应巡3人次"), (None, "1人次全程按时到位"), (None, "漏巡2处，须查明原因"),
        ("beiguan", "当日应巡2人次"), ("beiguan", "1人次全程按时到位"), ("beiguan", "漏巡1处，须查明原因"),
        ("dongmen", "当日应巡1人次"), ("dongmen", "漏巡1处，须查明原因"),
    ]  # fmt: skip
    assert kept["sentences"][2]["cites"] == ["r1", "r3"]
    assert north.get(KEPT)["items"] == []
    north.get(f"{KEPT}/{kept['id']}", status=404)
    mine = {"company": "beiguan", "zh": "夜间漏巡一处，请查明原因", "en": None, "cites": ["r1"]}
    whole = {"zh": "总体良好", "en": "well on the whole", "cites": ["r1", "r2", "r3"]}
    edited = put(officer, kept, whole, mine)
    assert put(officer, kept, whole, version=1, status=412)["type"] == "stale_version"
    published = publish(officer, edited)
    assert (published["published_by"], words(published)) == (
        "xu", [(None, "总体良好"), ("beiguan", "夜间漏巡一处，请查明原因")]
    )  # fmt: skip
    (seen,) = north.get(KEPT)["items"]
    assert words(seen) == [("beiguan", "夜间漏巡一处，请查明原因")]
    assert north.get(f"{KEPT}/{kept['id']}")["sentences"][0]["cites"] == ["r1"]
    east = somebody(station, "sun", Role.GUARD_COMPANY, "dongmen")
    assert east.get(KEPT)["items"] == []  # nothing is said about it
    east.get(f"{KEPT}/{kept['id']}", status=404)
    assert above.get(KEPT)["items"] == []  # a daily one is the station's
    above.get(f"{KEPT}/{kept['id']}", status=404)
    above.post(BEGIN, {"day": DAY}, status=403)
    logged = station.rows("SELECT about FROM audit WHERE action = 'points.comment.edit'")
    assert [row[0] for row in logged] == [f"points_comment:{kept['id']}"] * 3


@only_sqlite
@pytest.mark.proves("P8")
def test_what_was_published_never_changes_and_is_put_right_by_another_one(
    station: Served, officer: Somebody, north: Somebody
) -> None:
    kept = officer.post(BEGIN, {"day": DAY}, status=201)
    assert officer.post(BEGIN, {"day": DAY}, status=409)["id"] == kept["id"]
    note(station, "r1", "beiguan")  # late data: nothing was missed
    assert publish(officer, kept, status=409)["facts"] == ["r1"]
    kept = put(officer, kept, {"company": "beiguan", "zh": "应巡2人次", "cites": ["r1", "r2"]})
    published = publish(officer, kept)
    assert put(officer, published, {"zh": "改", "cites": ["r1"]}, status=409)["type"] == "comment_published"
    assert publish(officer, published, status=409)["type"] == "comment_published"
    note(station, "r1", "beiguan", Happened.LATE)
    assert officer.get(f"{KEPT}/{kept['id']}")["outdated"] == ["r1"]
    assert officer.post(BEGIN, {"day": DAY}, status=409)["id"] == kept["id"]
    correction = officer.post(BEGIN, {"day": DAY, "corrects": kept["id"]}, status=201)
    assert officer.post(BEGIN, {"day": DAY, "corrects": kept["id"]}, status=409)["id"] == correction["id"]
    assert officer.get(f"{KEPT}/{kept['id']}")["corrected_by"] is None
    publish(officer, correction)
    assert [(one["corrects"], one["corrected_by"]) for one in north.get(KEPT)["items"]] == [
        (kept["id"], None), (None, correction["id"])
    ]  # fmt: skip
    assert words(north.get(f"{KEPT}/{kept['id']}")) == [("beiguan", "应巡2人次")]


@only_sqlite
@pytest.mark.proves("P8")
def test_every_sentence_cites_what_there_is_and_a_companys_part_nothing_of_another(
    station: Served, officer: Somebody, north: Somebody
) -> None:
    kept = officer.post(BEGIN, {"day": DAY}, status=201)
    theirs = {"company": "dongmen", "zh": "差", "cites": ["r1", "r3"]}
    bad = put(officer, kept, {"zh": "好", "cites": ["r9"]}, theirs, status=422)
    assert [one["where"] for one in bad["faults"]] == ["sentences[0].cites", "sentences[1].cites"]
    put(officer, kept, {"zh": "好", "cites": []}, status=422)
    empty = put(officer, kept)
    assert publish(officer, empty, status=409)["type"] == "nothing_said"
    assert officer.post(BEGIN, {"day": "2027-01-16"}, status=409)["type"] == "nothing_said"
    officer.post(f"{POINTS}/comments/nowhere", {"day": DAY}, status=404)
    north.post(BEGIN, {"day": DAY}, status=403)
    elsewhere = somebody(station, "bai", Role.OFFICER, "gr1")
    elsewhere.post(BEGIN, {"day": DAY}, status=404)
    elsewhere.get(f"{KEPT}/{kept['id']}", status=404)


@pytest.mark.proves("P8", "P12")
def test_a_weekly_comment_is_read_by_the_level_above_and_is_one_of_the_four_ones(
    officer: Somebody, above: Somebody, hands: Hands
) -> None:
    path = f"/api/v1/areas/{COMMUNITY}/four-ones"

    def done() -> bool | None:
        found: dict[str, bool | None] = {one["one"]: one["done"] for one in officer.get(path)["items"]}
        return found["comment"]

    publish(officer, officer.post(BEGIN, {"day": DAY}, status=201))
    kept = officer.post(BEGIN, {"day": DAY, "period": "week"}, status=201)
    assert kept["sentences"][0]["zh"] == "本周应巡3人次"
    assert (done(), above.get(KEPT)["items"]) == (False, [])
    publish(officer, kept)
    assert done() is True
    assert [one["id"] for one in above.get(KEPT)["items"]] == [kept["id"]]
    assert len(above.get(f"{KEPT}/{kept['id']}")["sentences"]) == len(kept["sentences"])
    hands.pass_(days=7)
    assert done() is False
