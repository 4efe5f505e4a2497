"""The live feed: who hears what, resuming, slow viewers, ended sessions."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest
from sqlmodel import Session

from api.alarms.sight import Ties
from api.feed import repository, rules
from api.feed.rules import ANY_EYES, After, Entry, Queue, Since
from api.feed.service import AGAIN_S, VIEWERS_OF_ONE, _Batch, put
from api.rights.rules import Grant, Principal, Role, Subject, rights
from api.settings import StationSettings
from broker.kinds import Kind
from broker.policy import Audience
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import TOKENS
from tests.api.databases import rows
from tests.api.peers import DEADLINE_S, Gateway, Maker, eventually
from tests.api.people import add_account, add_grant
from tests.api.streams import Live, Screen, live

POLICE = frozenset({Audience.POLICE})
HERE = Subject(areas=frozenset({"north", "c1", "r1", "gr1"}), group="gr1", place="h01")
ELSEWHERE = Subject(areas=frozenset({"south"}), group="gr9", place="h99")


@pytest.fixture
def running(settings: StationSettings) -> Iterator[Live]:
    with live(settings) as one:
        yield one


def tell(one: Live, what: str, *, subject: Subject = HERE, eyes: frozenset[Audience | None] = ANY_EYES) -> None:
    with one.station.database.write() as session:
        put(session, topic="news", about=f"thing:{what}", body={"what": what}, subject=subject, eyes=eyes,
            at_ms=one.station.clock())  # fmt: skip


def principal(role: Role, scope: str, account: str = "somebody") -> Principal:
    return Principal(account=account, name="", grants=(Grant(role=role, scope=scope),), via="token")


def entry(subject: Subject = HERE, eyes: frozenset[Audience | None] = ANY_EYES) -> Entry:
    return Entry(number=1, id="0" * 32, topic="news", about="x", body={}, subject=subject, eyes=eyes, at_ms=1)


class TestWhoHears:
    @pytest.mark.proves("N4")
    @pytest.mark.parametrize(
        ("role", "scope", "hears"),
        [
            (Role.OFFICER, "north", True),
            (Role.COMMAND_CENTRE, "north", True),
            (Role.OFFICER, "south", False),
            (Role.COMMUNITY, "c1", False),
            (Role.GRID_WORKER, "r1", False),
            (Role.HOUSEHOLD, "h01", False),
            (Role.HOUSEHOLD, "h02", False),
            (Role.ADMINISTRATOR, "", False),
            (Role.AUDITOR, "", False),
        ],
    )
    def test_what_only_police_eyes_may_read_reaches_only_them(self, role: Role, scope: str, *, hears: bool) -> None:
        seat = rules.seat(principal(role, scope), rights(), groups={"h01": "gr1", "h02": "gr1"})
        assert seat is not None
        assert (rules.hears(entry(eyes=POLICE), seat.reach("news")) is not None) is hears

    @pytest.mark.proves("G5")
    def test_what_lies_elsewhere_is_heard_by_nobody_here(self) -> None:
        for role, scope in ((Role.OFFICER, "north"), (Role.GRID_WORKER, "r1"), (Role.HOUSEHOLD, "h01")):
            seat = rules.seat(principal(role, scope), rights(), groups={"h01": "gr1"})
            assert seat is not None
            assert rules.hears(entry(ELSEWHERE), seat.reach("news")) is None

    def test_whoever_has_no_row_may_not_listen(self) -> None:
        assert rules.seat(Principal(account="a", name="", grants=(), via="token"), rights(), groups={}) is None

    def test_two_that_sit_alike_are_judged_once_and_whoever_is_named_alone(self) -> None:
        keys = [
            rules.seat(principal(role, "r1", account), rights(), groups={}).key  # type: ignore[union-attr] # they may
            for role in (Role.GRID_WORKER, Role.GUARD)
            for account in ("a", "b")
        ]
        assert keys[0] == keys[1] != keys[2] == keys[3]
        theirs = entry(Subject(accounts=frozenset({"a"}), dispatched=frozenset({"b"})))
        with Session() as session:
            batch = _Batch(session, [theirs, entry()], {}, Ties(sent={"an alarm": frozenset({"c"})}))
            assert batch.named == {"a", "b", "c"}


class TestPlaces:
    @pytest.mark.parametrize(
        ("text", "place"),
        [
            (None, None),
            ("", None),
            ("t1700000000000", Since(1_700_000_000_000)),
            ("t", None),
            ("t-5", None),
            ("t٣", None),
            ("0123456789abcdef" * 2, After("0123456789abcdef" * 2)),
            ("0123456789ABCDEF" * 2, None),
            ("7", None),
        ],
    )
    def test_a_place_is_a_time_or_an_id_and_nothing_else(self, text: str | None, place: Since | After | None) -> None:
        assert rules.place(text) == place

    def test_what_is_written_is_read_back(self) -> None:
        assert rules.place(rules.at(5)) == Since(5)
        for eyes in (ANY_EYES, POLICE, frozenset()):
            assert rules.eyes_of(rules.eyes_text(eyes)) == eyes

    def test_a_queue_holds_so_much_and_then_nothing(self) -> None:
        queue = Queue()
        assert all(queue.offer(b"x") for _ in range(rules.QUEUE_MOST))
        assert not queue.offer(b"x")
        assert queue.take() == b""
        assert queue.offer(bytes(rules.QUEUE_BYTES_MOST + 1))  # one alone always finds room
        assert not queue.offer(b"x")


class TestListening:
    def test_everybody_within_reach_hears_it_once_it_is_committed(self, running: Live) -> None:
        with Screen(running.port, TOKENS["li"]) as li, Screen(running.port, TOKENS["zhao"]) as zhao:
            eventually(lambda: len(running.station.feed._viewers) == 2, "both listen")
            tell(running, "a")
            tell(running, "b", subject=ELSEWHERE)
            tell(running, "c", eyes=frozenset({Audience.NEIGHBOUR}))
            tell(running, "d", eyes=POLICE)
            for screen in (li, zhao):
                screen.hear("news", lambda event: event.data["what"] == "d")
                assert [event.data["what"] for event in screen.named("news")] == ["a", "d"]

    @pytest.mark.proves("N4")
    def test_ids_do_not_count(self, running: Live) -> None:
        with Screen(running.port, TOKENS["li"]) as li:
            eventually(lambda: bool(running.station.feed._viewers), "it listens")
            for what in ("a", "b"):
                tell(running, what)
            li.hear("news", lambda event: event.data["what"] == "b")
            ids = [event.id for event in li.named("news")]
        assert len({*ids}) == 2
        assert all(len(id_) == 32 for id_ in ids)

    def test_whoever_was_away_hears_what_he_missed_and_where_he_was_says_it(self, running: Live) -> None:
        with Screen(running.port, TOKENS["li"]) as li:
            eventually(lambda: bool(running.station.feed._viewers), "it listens")
            tell(running, "a")
            last = li.hear("news").id
        for what in ("b", "c"):
            tell(running, what)
        with Screen(running.port, TOKENS["li"], last=last) as li:
            li.hear("news", lambda event: event.data["what"] == "c")
            assert [event.data["what"] for event in li.named("news")] == ["b", "c"]

    def test_it_goes_on_after_the_station_was_started_again(self, settings: StationSettings) -> None:
        with live(settings) as one, Screen(one.port, TOKENS["li"]) as li:
            place = li.hear("hello").id
            tell(one, "a")
        with live(settings) as one, Screen(one.port, TOKENS["li"], last=place) as li:
            li.hear("news", lambda event: event.data["what"] == "a")
            tell(one, "b")
            li.hear("news", lambda event: event.data["what"] == "b")

    @pytest.mark.parametrize("place", ["f" * 32, "nonsense", "t1000"])
    def test_a_place_that_is_gone_is_told_to_look_at_the_lists(self, running: Live, place: str) -> None:
        with Screen(running.port, TOKENS["li"], last=place) as li:
            assert li.hear("resync").data == {"stay": True}
            tell(running, "a")
            li.hear("news")

    def test_the_end_of_the_station_ends_the_streams_at_once(self, settings: StationSettings) -> None:
        with live(settings) as one:
            li = Screen(one.port, TOKENS["li"])
            li.hear("hello")
        li.ended()
        assert li.hear("end").data == {"why": "stopping"}
        li.__exit__()

    @pytest.mark.proves("N7")
    def test_a_slow_viewer_is_cut_and_nobody_waits_for_it(self, running: Live) -> None:
        slow = HTTPConnection("127.0.0.1", running.port, timeout=DEADLINE_S)
        slow.connect()
        assert slow.sock is not None
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.request("GET", "/api/v1/feed", headers={"Authorization": f"Bearer {TOKENS['zhao']}"})
        with Screen(running.port, TOKENS["li"]) as li:
            eventually(lambda: len(running.station.feed._viewers) == 2, "both listen")
            many = 4_000
            for first in range(0, many, 100):
                with running.station.database.write() as session:
                    for number in range(first, first + 100):
                        body = {"number": number, "fill": "x" * 1_000}
                        put(session, topic="news", about="x", body=body, subject=HERE, eyes=ANY_EYES,
                            at_ms=running.station.clock())  # fmt: skip
                li.until(lambda first=first: len(li.named("news")) == first + 100, "heard")  # type: ignore[misc] # bound
            eventually(lambda: len(running.station.feed._viewers) == 1, "the slow one is gone")
        slow.close()

    @pytest.mark.proves("G5")
    def test_a_viewer_whose_account_is_gone_is_cut_within_seconds(self, running: Live) -> None:
        with Screen(running.port, TOKENS["li"]) as li, Screen(running.port, TOKENS["zhao"]) as zhao:
            eventually(lambda: len(running.station.feed._viewers) == 2, "both listen")
            with running.station.database.write() as session:
                session.connection().exec_driver_sql("UPDATE api_token SET revoked_ms = 1 WHERE account = 'li'")
            li.until(lambda: li.over, "cut", deadline_s=AGAIN_S + 2)
            assert li.hear("end").data == {"why": "not_known"}
            tell(running, "a")
            zhao.hear("news")

    def test_one_account_does_not_take_every_place(self, running: Live) -> None:
        screens = [Screen(running.port, TOKENS["li"]) for _ in range(VIEWERS_OF_ONE)]
        try:
            connection = HTTPConnection("127.0.0.1", running.port, timeout=DEADLINE_S)
            connection.request("GET", "/api/v1/feed", headers={"Authorization": f"Bearer {TOKENS['li']}"})
            answer = connection.getresponse()
            assert (answer.status, answer.headers["retry-after"]) == (503, "10")
            connection.close()
            with Screen(running.port, TOKENS["zhao"]):
                pass
        finally:
            for screen in screens:
                screen.__exit__()


class TestAlarms:
    """What each hears of one panic, one duress and what is done about them."""

    @pytest.fixture
    def people(self, running: Live) -> dict[str, str]:
        tokens = {"li": TOKENS["li"]}
        with running.station.database.write() as session:
            for id_, role, scope in (
                ("grid", Role.GRID_WORKER, "r1"),
                ("community", Role.COMMUNITY, "c1"),
                ("presser", Role.HOUSEHOLD, "h01"),
                ("neighbour", Role.HOUSEHOLD, "h02"),
                ("admin", Role.ADMINISTRATOR, ""),
                ("elsewhere", Role.GRID_WORKER, "r9"),
            ):
                add_account(session, id_)
                add_grant(session, id_, role, scope)
                tokens[id_] = f"token-of-{id_}"
        return tokens

    @pytest.mark.proves("N4", "A1")
    def test_each_hears_of_an_alarm_in_its_own_words_and_of_duress_nobody_but_the_police(
        self, running: Live, people: dict[str, str], broker: PrivateBroker
    ) -> None:
        with ExitStack() as stack:
            screens = {who: stack.enter_context(Screen(running.port, token)) for who, token in people.items()}
            eventually(lambda: len(running.station.feed._viewers) == len(people), "all listen")
            assert running.station.link.ready.wait(DEADLINE_S)
            gateway = stack.enter_context(Gateway(broker))
            duress = gateway.event(kind=Kind.DURESS, press="u1:1:900")
            panic = gateway.event()
            for press in (duress, panic):
                gateway.send([press])
                gateway.receipted([press])
            for who in people.keys() - {"admin", "elsewhere"}:
                screens[who].hear("alarm", lambda event: event.data["alarm"]["id"] == panic.id)
            heard = {who: [event.data for event in screen.named("alarm")] for who, screen in screens.items()}
            told = {who: {one["alarm"]["id"] for one in some} for who, some in heard.items()}
            assert told.pop("li") == {duress.id, panic.id}
            assert told == {
                "grid": {panic.id}, "community": {panic.id}, "presser": {panic.id}, "neighbour": {panic.id},
                "admin": set(), "elsewhere": set(),
            }  # fmt: skip
            assert duress.id not in "".join(str(some) for who, some in heard.items() if who != "li")
            neighbour = heard["neighbour"][0]
            assert "action" not in neighbour
            assert neighbour["alarm"].keys().isdisjoint({"gateway", "number", "acknowledged", "place"})

    @pytest.mark.proves("N4")
    def test_neighbours_hear_nothing_of_a_step_that_they_may_not_read(self) -> None:
        assert rules.coarse({"action": "receive", "before": None, "state": "received"})
        assert rules.coarse({"action": "acknowledge", "before": "received", "state": "acknowledged"})
        assert not rules.coarse({"action": "verify", "before": "acknowledged", "state": "verified"})
        assert not rules.coarse({"action": "note", "before": "acknowledged", "state": "acknowledged"})
        assert not rules.coarse({"action": "escalate", "stage": "acknowledge"})

    def test_a_list_that_is_resumed_shows_an_alarm_as_it_is_now(self, running: Live, people: dict[str, str]) -> None:
        with Screen(running.port, people["grid"]) as grid:
            place = grid.hear("hello").id
        maker = Maker("g1")
        running.station.ingest.take(maker.name, [maker.signer.envelope(press := maker.event())])
        with running.station.database.write() as session:
            session.connection().exec_driver_sql("UPDATE alarm SET kind = 'duress', incident = NULL")
        with (
            Screen(running.port, people["grid"], last=place) as grid,
            Screen(running.port, people["li"], last=place) as li,
        ):
            assert li.hear("alarm").data["alarm"]["id"] == press.id
            assert grid.named("alarm") == []


@pytest.mark.proves("N16")
def test_entries_are_kept_for_a_day(running: Live) -> None:
    tell(running, "new")
    with running.station.database.write() as session:
        put(session, topic="news", about="x", body={}, subject=HERE, eyes=ANY_EYES, at_ms=5)
    with running.station.database.write() as session:
        assert repository.prune(session, before_ms=running.station.clock() - rules.KEPT_MS) == 1
    assert len(rows(running.station.settings.database, "SELECT * FROM feed_entry")) == 1
