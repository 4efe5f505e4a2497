from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ids import IdError, StationId
from broker.topics import BY_NAME, TABLE, Name, Role, Row, TopicError, build, filter_of, parse, received_by
from tests.broker.village import STATION

SEGMENTS = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)

TOPICS_AS_WRITTEN_DOWN = {
    Name.POLICE_ALARM: "sw1/north/police/alarm",
    Name.POLICE_UPDATE: "sw1/north/police/update",
    Name.COMMUNITY_ALARM: "sw1/north/community/x/alarm",
    Name.COMMUNITY_UPDATE: "sw1/north/community/x/update",
    Name.GRID_ALARM: "sw1/north/grid/x/alarm",
    Name.GRID_UPDATE: "sw1/north/grid/x/update",
    Name.HOUSEHOLD_ALARM: "sw1/north/household/x/alarm",
    Name.HOUSEHOLD_UPDATE: "sw1/north/household/x/update",
    Name.GATEWAY_EVENT: "sw1/north/gateway/x/event",
    Name.GATEWAY_RECEIPT: "sw1/north/gateway/x/receipt",
    Name.GATEWAY_COMMAND: "sw1/north/gateway/x/command",
    Name.GATEWAY_CONFIG: "sw1/north/gateway/x/config",
    Name.GATEWAY_STATUS: "sw1/north/gateway/x/status",
    Name.STATION_STATUS: "sw1/north/station/status",
}


def topic_of(row: Row, id_: str = "x") -> str:
    return build(row.name, STATION, id_ if row.owner else "")


def test_the_topics_are_those_of_the_architecture() -> None:
    assert {row.name: topic_of(row) for row in TABLE} == TOPICS_AS_WRITTEN_DOWN


def test_every_name_has_one_row() -> None:
    assert [row.name for row in TABLE] == list(Name)


@given(st.sampled_from(TABLE), SEGMENTS, SEGMENTS)
def test_what_was_built_is_parsed_back(row: Row, station: str, id_: str) -> None:
    built = build(row.name, StationId(station), id_ if row.owner else "")
    topic = parse(built)
    assert topic.row is row
    assert topic.station == station
    assert topic.id == (id_ if row.owner else "")
    assert str(topic) == built


@given(st.text(alphabet="sw1/abnorthpoliceagydv+#$-", max_size=40))
def test_any_text_is_a_topic_of_ours_or_a_topic_error(text: str) -> None:
    with suppress(TopicError):
        assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sw1",
        "sw1/north",
        "sw2/north/police/alarm",
        "SW1/north/police/alarm",
        "/sw1/north/police/alarm",
        "sw1/north/police/alarm/",
        "sw1//police/alarm",
        "sw1/+/police/alarm",
        "sw1/north/police/x/alarm",
        "sw1/north/household/alarm",
        "sw1/north/household//alarm",
        "sw1/north/household/+/alarm",
        "sw1/north/household/#",
        "sw1/north/household/H1/alarm",
        "sw1/north/household/h1/event",
        "sw1/north/gateway/g1/event/x",
        "$SYS/north/police/alarm",
    ],
)
def test_whatever_is_not_in_the_table_is_refused(text: str) -> None:
    with pytest.raises(TopicError):
        parse(text)


def test_a_topic_error_does_not_repeat_a_flood() -> None:
    assert len(str(TopicError("x" * 60_000))) < 200


@pytest.mark.parametrize("row", [row for row in TABLE if row.owner], ids=lambda row: row.name)
@pytest.mark.parametrize("bad", ["", "+", "#", "a/b", "A"])
def test_no_topic_is_built_from_a_bad_id(row: Row, bad: str) -> None:
    with pytest.raises(IdError):
        build(row.name, STATION, bad)
    with pytest.raises(IdError):
        build(row.name, StationId(bad), "x")


def test_a_topic_without_id_takes_none() -> None:
    with pytest.raises(ValueError, match="has no id"):
        build(Name.POLICE_ALARM, STATION, "x")


def test_a_filter_takes_every_id_of_one_station() -> None:
    assert filter_of(Name.GATEWAY_EVENT, STATION) == "sw1/north/gateway/+/event"
    assert filter_of(Name.STATION_STATUS, STATION) == "sw1/north/station/status"


def test_messages_are_for_the_owner_of_the_topic_or_for_a_whole_role() -> None:
    assert parse("sw1/north/household/h03/alarm").audience == "household:h03"
    assert parse("sw1/north/police/alarm").audience == "police"
    assert parse("sw1/north/gateway/gw1/event").audience == "station"
    assert parse("sw1/north/gateway/gw1/command").audience == "gateway:gw1"
    assert parse("sw1/north/station/status").audience == "gateway"


@pytest.mark.proves("N12")
def test_only_the_two_kinds_of_status_are_retained() -> None:
    assert {row.name for row in TABLE if row.retained} == {Name.GATEWAY_STATUS, Name.STATION_STATUS}


def test_everything_travels_with_qos_1() -> None:
    assert {row.qos for row in TABLE} == {1}


def test_only_gateways_and_the_station_publish() -> None:
    assert {row.publisher for row in TABLE} == {Role.GATEWAY, Role.STATION}


def test_updates_come_from_the_station_alone() -> None:
    assert {row.publisher for row in TABLE if row.template.endswith("/update")} == {Role.STATION}


def test_the_police_receive_their_own_topics_and_nobody_elses() -> None:
    assert {row.name for row in received_by(Role.POLICE)} == {Name.POLICE_ALARM, Name.POLICE_UPDATE}
    assert [row.receivers for row in TABLE if row.template.startswith("police/")] == [(Role.POLICE,)] * 2


def test_an_observer_receives_and_publishes_nothing() -> None:
    assert not list(received_by(Role.OBSERVER))
    assert Role.OBSERVER not in {row.publisher for row in TABLE}


def test_every_audience_of_an_alarm_also_has_updates() -> None:
    for row in TABLE:
        if row.template.endswith("/alarm"):
            update = BY_NAME[Name(row.name.replace("_alarm", "_update"))]
            assert update.receivers == row.receivers
            assert update.audience is row.audience


def test_what_rings_reaches_only_who_it_is_for_and_the_gateway_that_rings_for_them() -> None:
    for row in TABLE:
        if row.template.endswith("/alarm"):
            assert set(row.receivers) <= {row.audience, Role.GATEWAY}
