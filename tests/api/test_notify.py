"""Told beyond the screen: each delivery a row, each channel by itself, and nothing that says who or where."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from api.database import Database
from api.etags import etag
from api.notify import rules, transports
from api.notify.models import Delivery
from api.notify.problems import BadChannel
from api.notify.rules import (
    Batch,
    Notice,
    batches,
    genuine,
    may_connect,
    pause_ms,
    quiet,
    quiet_for_min,
    signature,
    words,
)
from api.notify.schemas import NewChannel
from api.notify.service import PURPOSE, Channels, Notifier, Phones, notify, notify_desk
from api.notify.transports import Address, CannotSend, Walls
from api.rights.rules import Authority, Grant, Principal, Reach, Role
from api.sealing import SealBroken, Sealer
from broker.kinds import Kind, Mark
from tests.api.conftest import Serve, Served
from tests.api.peers import DEADLINE_S, GRID, HOUSEHOLDS, STATION, Gateway, eventually
from tests.api.people import somebody
from tests.api.test_escalation import PEOPLE, shift

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise asks for it

NOON = 1_795_320_000_000
LOOPBACK = "127.0.0.1"
WALLS = Walls(hosts=frozenset({LOOPBACK}), loopback=True)
PANIC = Notice(kind_shown=Kind.PANIC, grid=GRID, number=7, link="https://station.example/a/1", police_only=False)
DURESS = replace(PANIC, kind_shown=Kind.DURESS, police_only=True)


@dataclass(frozen=True)
class Got:
    path: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.content)


class Receiver:
    """A real HTTP server on this machine: it answers what it is told to, and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.status = 200
        self.stuck = threading.Event()
        self.stuck.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                receiver.stuck.wait(DEADLINE_S)
                receiver.got.append(Got(self.path, dict(self.headers), content))
                self.send_response(receiver.status)
                if 300 <= receiver.status < 400:
                    self.send_header("Location", f"http://{LOOPBACK}:{receiver.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def url(self, path: str = "/hook", scheme: str = "http", host: str = LOOPBACK) -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def close(self) -> None:
        self.stuck.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


class TestRules:
    def test_a_notice_has_no_field_that_says_who_or_where(self) -> None:
        assert {field.name for field in fields(Notice)} == {
            "kind_shown", "grid", "number", "link", "police_only", "mark", "level", "late", "urgent", "fault", "trial",
            "over", "complaint", "pushed", "tag",
        }  # fmt: skip
        assert Notice.read(DURESS.text()) == DURESS
        assert Notice.read(replace(PANIC, mark=Mark.DRILL).text()).mark is Mark.DRILL

    def test_pauses_double_up_to_a_limit_and_tries_end(self) -> None:
        assert [pause_ms(tries) for tries in (1, 2, 3, 9)] == [5_000, 10_000, 20_000, 300_000]
        assert rules.is_over(tries=rules.TRIES_MOST, next_ms=1, expires_ms=2)
        assert rules.is_over(tries=1, next_ms=2, expires_ms=2)
        assert not rules.is_over(tries=1, next_ms=1, expires_ms=2)

    def test_quiet_hours_may_pass_midnight(self) -> None:
        assert [quiet(minute, from_min=1_320, to_min=420) for minute in (1_319, 1_320, 0, 419, 420)] == [
            False, True, True, True, False,
        ]  # fmt: skip
        assert quiet_for_min(1_330, from_min=1_320, to_min=420) == 530
        assert quiet_for_min(500, from_min=1_320, to_min=420) == 0
        assert not quiet(5, from_min=None, to_min=None)

    def test_few_go_singly_and_many_become_one_with_a_count(self) -> None:
        assert batches([1, 2], singly=0, gathered=0) == [Batch(numbers=(1,)), Batch(numbers=(2,))]
        (many,) = batches([*range(300)], singly=0, gathered=0)
        assert many.gathered
        assert len(many.numbers) == 300
        assert batches([*range(300)], singly=0, gathered=1) == []

    @given(st.lists(st.integers(0, 400), max_size=30))
    def test_in_a_minute_no_channel_gets_more_than_a_handful_and_none_is_left_out(self, arriving: list[int]) -> None:
        waiting, singly, gathered, sent, messages = list[int](), 0, 0, 0, 0
        for how_many in arriving:
            waiting += range(how_many)
            for batch in batches(waiting, singly=singly, gathered=gathered):
                singly, gathered = singly + (not batch.gathered), gathered + batch.gathered
                sent, messages = sent + len(batch.numbers), messages + 1
                waiting = waiting[len(batch.numbers) :]
        assert gathered <= 1
        assert messages <= rules.SINGLY + 2
        after = batches(waiting, singly=0, gathered=0)  # the next minute
        assert sent + sum(len(batch.numbers) for batch in after) == sum(arriving)

    def test_a_message_with_a_count_names_kinds_and_how_many(self) -> None:
        found = words([PANIC, PANIC, replace(PANIC, kind_shown=Kind.FIRE)])
        assert found.data["count"] == 3
        assert found.data["kinds"] == {"fire": 1, "panic": 2}
        assert "3 条通知" in found.title

    def test_a_webhook_is_genuine_only_fresh_and_unchanged(self) -> None:
        signed = signature("s", timestamp=1_000, content=b"x")
        assert genuine("s", timestamp=1_000, content=b"x", signed=signed, now_s=1_300)
        assert not genuine("s", timestamp=1_000, content=b"x", signed=signed, now_s=1_301)
        assert not genuine("s", timestamp=1_001, content=b"x", signed=signed, now_s=1_000)
        assert not genuine("s", timestamp=1_000, content=b"y", signed=signed, now_s=1_000)
        assert not genuine("t", timestamp=1_000, content=b"x", signed=signed, now_s=1_000)

    @pytest.mark.parametrize(
        "address",
        ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "172.16.0.1", "0.0.0.1", "100.64.0.1", "::1",
         "fe80::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "224.0.0.1", "255.255.255.255"],
    )  # fmt: skip
    def test_nothing_inside_our_own_walls_is_sent_to(self, address: str) -> None:
        assert not may_connect(address, loopback=False)
        assert may_connect("1.1.1.1", loopback=False)

    def test_what_is_sealed_opens_with_the_same_key_for_the_same_row_alone(self) -> None:
        sealer = Sealer(b"k" * 32, "a")
        sealed = sealer.seal("https://x/secret", about="row1")
        assert "secret" not in sealed
        assert sealer.open(sealed, about="row1") == "https://x/secret"
        for key, purpose, text, about in (
            (b"k" * 32, "a", sealed, "row2"),
            (b"k" * 32, "b", sealed, "row1"),
            (b"l" * 32, "a", sealed, "row1"),
            (b"k" * 32, "a", sealed[:-8] + "AAAAAAA=", "row1"),
            (b"k" * 32, "a", "", "row1"),
        ):
            with pytest.raises(SealBroken):
                Sealer(key, purpose).open(text, about=about)


def send(address: Address, *, walls: Walls = WALLS, resolver: transports.Resolve = transports.resolve) -> None:
    transports.send(
        address, words([PANIC]), delivery="d1", station=STATION, now_s=1_000, walls=walls, resolver=resolver
    )


def trouble_of(send_it: Callable[[], None]) -> str:
    with pytest.raises(CannotSend) as caught:
        send_it()
    return caught.value.trouble


class TestTransports:
    def test_a_webhook_is_signed_over_its_timestamp_and_body(self, receiver: Receiver) -> None:
        send(Address(sort="webhook", url=receiver.url(), secret="s3cret"))
        (got,) = receiver.got
        signed = got.headers["X-Shouwang-Signature"]
        assert genuine("s3cret", timestamp=1_000, content=got.content, signed=signed, now_s=1_100)
        assert (got.headers["X-Shouwang-Timestamp"], got.headers["X-Shouwang-Delivery"]) == ("1000", "d1")
        assert got.data["kind"] == "panic"
        assert "s3cret" not in got.content.decode()

    def test_apprise_sends_json(self, receiver: Receiver) -> None:
        send(Address(sort="apprise", url=receiver.url(scheme="json")))
        (got,) = receiver.got
        assert "紧急报警" in got.data["title"]
        assert GRID in got.data["message"]

    @pytest.mark.parametrize(("sort", "scheme"), [("webhook", "http"), ("apprise", "json")])
    def test_no_redirect_is_followed(self, receiver: Receiver, sort: str, scheme: str) -> None:
        receiver.status = 307
        address = Address(sort=sort, url=receiver.url(scheme=scheme), secret="s")
        assert trouble_of(lambda: send(address)) in {"redirected", "refused"}
        assert [got.path for got in receiver.got if got.path == "/elsewhere"] == []

    @pytest.mark.parametrize("sort", ["webhook", "apprise"])
    def test_a_host_that_nobody_allowed_is_not_sent_to(self, receiver: Receiver, sort: str) -> None:
        url = receiver.url(scheme="json" if sort == "apprise" else "http")
        walls = Walls(hosts=frozenset({"other.example"}), loopback=True)
        assert trouble_of(lambda: send(Address(sort=sort, url=url), walls=walls)) == "host_not_allowed"
        assert receiver.got == []

    def test_an_allowed_name_that_points_inside_is_not_sent_to(self, receiver: Receiver) -> None:
        walls = Walls(hosts=frozenset({"hooks.example"}))
        address = Address(sort="webhook", url=f"https://hooks.example:{receiver.port}/x")
        for inside in ("10.0.0.1", "169.254.169.254", "127.0.0.1", "::1"):
            found = ["1.1.1.1", inside]
            with pytest.raises(CannotSend, match="address_not_allowed"):
                send(address, walls=walls, resolver=lambda _host, _port, found=found: found)  # type: ignore[misc] # bound now

    @pytest.mark.parametrize(
        "url",
        ["http://hooks.example/x", "ftp://hooks.example/", "https://user:pw@hooks.example/", "https:///x",
         "https://hooks.example/\r\nX: y", "file:///etc/passwd", "https://[::1"],
    )  # fmt: skip
    def test_a_webhook_is_https_and_nothing_else(self, url: str) -> None:
        assert (
            trouble_of(lambda: send(Address(sort="webhook", url=url), walls=Walls(hosts=frozenset({"hooks.example"}))))
            == "bad_address"
        )

    @pytest.mark.parametrize(
        "url", ["json://hooks.example/", "syslog://", "exec://x", "xml://h/", "nonsense", "mailto://a:b@c.example"]
    )
    def test_of_apprise_only_what_is_listed_may_be_used(self, url: str) -> None:
        assert (
            trouble_of(lambda: send(Address(sort="apprise", url=url), walls=Walls(hosts=frozenset({"hooks.example"}))))
            == "bad_address"
        )

    def test_the_host_of_a_channel_is_where_it_really_sends(self) -> None:
        for url, host in (
            ("wecombot://aaaaaaaaaaaa-bbbb", "qyapi.weixin.qq.com"),
            ("mailtos://u:p@example.com?smtp=mail.example.net&to=x@y.cn", "mail.example.net"),
            ("jsons://Hooks.Example/x", "hooks.example"),
        ):
            assert transports.host_of(Address(sort="apprise", url=url), loopback=False) == host

    @pytest.mark.parametrize(("sort", "scheme"), [("webhook", "http"), ("apprise", "json")])
    def test_it_is_connected_to_the_address_that_was_judged_whatever_the_name_says_a_moment_later(
        self, receiver: Receiver, sort: str, scheme: str
    ) -> None:
        answers = iter([[LOOPBACK], ["10.0.0.7"]])
        host = "hook.example"  # the system's resolver has never heard of it
        address = Address(sort=sort, url=receiver.url(scheme=scheme, host=host), secret="s")
        send(address, walls=replace(WALLS, hosts=frozenset({host})), resolver=lambda _host, _port: next(answers))
        assert len(receiver.got) == 1
        assert next(answers) == ["10.0.0.7"]

    def test_while_a_plugin_sends_its_thread_reaches_nothing_else(self) -> None:
        with transports.pinned("Wache.Bücher.example", ["192.0.2.7", "2001:db8::7"]):
            theirs: tuple[str | bytes, ...] = ("wache.bücher.example", b"WACHE.xn--bcher-kva.example")
            for name in theirs:
                found = socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)
                assert {one[4][0] for one in found} == {"192.0.2.7", "2001:db8::7"}
            for other in ("localhost", "10.0.0.7", None):
                with pytest.raises(socket.gaierror):
                    socket.getaddrinfo(other, 443)
            with ThreadPoolExecutor(1) as others:
                assert others.submit(socket.getaddrinfo, "localhost", 443).result()
        assert socket.getaddrinfo("localhost", 443)

    def test_a_service_that_is_away_is_one_word(self, receiver: Receiver) -> None:
        url = receiver.url()
        receiver.status = 500
        assert trouble_of(lambda: send(Address(sort="webhook", url=url))) == "status_500"
        missing = Address(sort="webhook", url="http://127.0.0.1:9/x")
        assert trouble_of(lambda: send(missing)) == "no_connection"


class Post:
    """Channels and a notifier on real tables with a driven clock."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOON
        self.given_up: list[tuple[str, int]] = []
        self.sealer = Sealer(b"k" * 32, "notify channel")
        self.channels = Channels(STATION, self.sealer, clock=lambda: self.now, loopback=True)
        self.notifier = self.new_notifier()
        with database.write() as session:
            self.channels.allow(session, who("admin"), LOOPBACK)
            self.channels.allow(session, who("admin"), "localhost")

    def new_notifier(self) -> Notifier:
        return Notifier(
            self.database,
            self.channels,
            station=STATION,
            undeliverable=lambda _session, escalation, now_ms: self.given_up.append((escalation, now_ms)),
            clock=lambda: self.now,
            phones=Phones(STATION, self.sealer),
        )

    def channel(
        self,
        receiver: Receiver,
        account: str | None = "li",
        *,
        police: bool = False,
        path: str = "/hook",
        host: str = LOOPBACK,
        **more: Any,
    ) -> str:
        new = NewChannel.model_validate({"sort": "webhook", "url": receiver.url(path, host=host), "label": "x"} | more)
        with self.database.write() as session:
            row, _ = self.channels.add(session, who(account or "admin"), new, account=account, police=police)
            return row.id

    def tell(self, notice: Notice = PANIC, *accounts: str, escalation: str | None = None) -> int:
        with self.database.write() as session:
            return notify(session, accounts=accounts or ("li",), notice=notice, now_ms=self.now, escalation=escalation)

    def work(self) -> None:
        """Everything that is due now, in this thread."""
        with self.database.read() as session:
            found = session.exec(select(Delivery.channel).where(Delivery.due_ms <= self.now).distinct()).all()
        for channel in found:
            self.notifier.serve(channel)

    def rows(self) -> list[Delivery]:
        with self.database.read() as session:
            return [*session.exec(select(Delivery).order_by(col(Delivery.number))).all()]

    @property
    def states(self) -> list[str]:
        return [row.state for row in self.rows()]


def who(account: str) -> Authority:
    principal = Principal(account=account, name=account, grants=(Grant(role=Role.ADMINISTRATOR),), via="token")
    return Authority(principal, "notify.own", Reach(account=account, held=()))


@pytest.fixture
def post(database: Database) -> Iterator[Post]:
    one = Post(database)
    yield one
    one.notifier.stop()


class TestSending:
    def test_a_delivery_is_a_row_that_ends_as_sent(self, post: Post, receiver: Receiver) -> None:
        post.channel(receiver)
        assert post.tell() == 1
        assert post.states == ["waiting"]
        post.work()
        (row,) = post.rows()
        assert (row.state, row.tries, row.done_ms, row.trouble) == ("sent", 1, NOON, None)
        (got,) = receiver.got
        assert got.data == {
            "count": 1, "delivery": row.id, "fault": None, "grid": GRID, "kind": "panic", "late": False, "level": 0,
            "link": PANIC.link, "mark": None, "number": 7, "over": False, "complaint": None, "station": STATION,
            "title": got.data["title"], "words": {"zh": "紧急报警", "en": got.data["words"]["en"]},
        }  # fmt: skip

    def test_what_fails_is_tried_again_with_growing_pauses_and_then_given_up_once(
        self, post: Post, receiver: Receiver
    ) -> None:
        post.channel(receiver)
        receiver.status = 503
        post.tell(escalation="5")
        tries = []
        for _ in range(400):
            before = len(receiver.got)
            post.work()
            if len(receiver.got) > before:
                tries.append((post.now - NOON) // 1_000)
            post.now += 1_000
        assert tries == [0, 5, 15, 35, 75, 155]
        (row,) = post.rows()
        assert (row.state, row.tries, row.trouble) == ("undeliverable", 6, "status_503")
        assert post.given_up == [("5", NOON + 155_000)]

    def test_an_account_with_another_way_is_not_given_up(self, post: Post, receiver: Receiver) -> None:
        post.channel(receiver, path="/good")
        dead = Receiver()
        dead.close()
        post.channel(dead, path="/dead")
        post.tell(escalation="5")
        for _ in range(200):
            post.work()
            post.now += 1_000
        assert sorted(post.states) == ["sent", "undeliverable"]
        assert post.given_up == []

    def test_what_waited_through_a_day_of_downtime_is_not_sent_but_given_up(
        self, post: Post, receiver: Receiver
    ) -> None:
        post.channel(receiver)
        post.tell(escalation="5")
        post.now += 86_400_000
        post.notifier = post.new_notifier()
        post.work()
        assert (post.states, post.rows()[0].trouble) == (["undeliverable"], "too_late")
        assert receiver.got == []
        assert post.given_up == [("5", post.now)]

    def test_a_worker_killed_in_the_middle_leaves_what_another_sends_under_the_same_id(
        self, post: Post, receiver: Receiver
    ) -> None:
        channel = post.channel(receiver)
        post.tell()
        with post.database.write() as session:
            assert post.notifier._claim(session, channel) is not None  # and it dies here
        again = post.new_notifier()
        again.serve(channel)
        assert receiver.got == []
        post.now += 90_001
        again.serve(channel)
        again.stop()
        assert [got.headers["X-Shouwang-Delivery"] for got in receiver.got] == [post.rows()[0].id]
        assert post.states == ["sent"]

    def test_hundreds_at_once_become_one_message_with_a_count_per_channel_and_minute(
        self, post: Post, receiver: Receiver
    ) -> None:
        post.now = NOON - NOON % 60_000
        post.channel(receiver)
        for _ in range(300):
            post.tell()
        post.work()
        (got,) = receiver.got
        assert got.data["count"] == 300
        for _ in range(40):
            post.tell()
        post.work()
        assert len(receiver.got) == 1
        post.now += 60_000
        post.work()
        assert [got.data["count"] for got in receiver.got] == [300, 40]
        assert post.states == ["sent"] * 340

    def test_quiet_hours_hold_back_what_is_not_urgent_and_never_an_alarm(self, post: Post, receiver: Receiver) -> None:
        post.channel(receiver, quiet_from_min=0, quiet_to_min=1_439, zone="UTC")
        post.tell(replace(PANIC, urgent=False))
        post.tell()
        post.work()
        assert post.states == ["waiting", "sent"]
        post.now = NOON - NOON % 86_400_000 + 1_439 * 60_000
        post.work()
        assert post.states == ["sent", "sent"]

    @pytest.mark.proves("N7")
    def test_a_dead_service_delays_nobody_else(self, post: Post, receiver: Receiver) -> None:
        stuck = Receiver()
        stuck.stuck.clear()
        try:
            for number in range(12):  # more than there are threads
                post.channel(stuck, f"dead{number}", path=f"/{number}")
                post.tell(PANIC, f"dead{number}")
            post.channel(receiver, host="localhost")
            post.tell()
            post.notifier.start()
            eventually(lambda: len(receiver.got) == 1, "sent")
            assert len(post.notifier._busy) <= 5
        finally:
            stuck.close()

    def test_after_a_change_of_the_stations_key_channels_are_sealed_anew(self, post: Post, receiver: Receiver) -> None:
        channel = post.channel(receiver)
        turned = Channels(STATION, Sealer(b"n" * 32, PURPOSE, former=[b"k" * 32]), clock=lambda: NOON, loopback=True)
        with post.database.write() as session:
            turned.seal_anew(session)
        with post.database.read() as session:
            later = Channels(STATION, Sealer(b"n" * 32, PURPOSE), clock=lambda: NOON, loopback=True)
            assert later.address(later.find(session, channel)).url == receiver.url()


class TestEyes:
    @pytest.mark.proves("N4")
    def test_duress_leaves_by_channels_marked_police_alone(self, post: Post, receiver: Receiver) -> None:
        post.channel(receiver, "li", path="/mine")
        post.channel(receiver, "li", police=True, path="/police")
        post.channel(receiver, None, path="/station")
        post.channel(receiver, None, police=True, path="/desk")
        post.tell(DURESS)
        with post.database.write() as session:
            notify_desk(session, station=STATION, notice=DURESS, now_ms=post.now)
        post.work()
        assert sorted(got.path for got in receiver.got) == ["/desk", "/police"]

    @pytest.mark.proves("N4")
    def test_a_channel_that_loses_its_mark_gets_nothing_that_was_waiting_for_it(
        self, post: Post, receiver: Receiver
    ) -> None:
        channel = post.channel(receiver, police=True)
        post.tell(DURESS)
        with post.database.write() as session:
            row = post.channels.find(session, channel)
            post.channels.mark(session, who("chief"), row, police=False, if_match=etag(1))
        post.work()
        assert receiver.got == []
        assert post.states == ["undeliverable"]

    @pytest.mark.proves("N4")
    def test_a_channel_of_the_station_that_is_not_the_polices_gets_no_number(
        self, post: Post, receiver: Receiver
    ) -> None:
        post.channel(receiver, None, path="/station")
        with post.database.write() as session:
            notify_desk(session, station=STATION, notice=PANIC, now_ms=post.now)
        post.work()
        assert receiver.got[0].data["number"] is None

    @pytest.mark.proves("N16")
    def test_addresses_are_sealed_in_the_table_and_forgotten_at_the_end(
        self, post: Post, receiver: Receiver, capfd: pytest.CaptureFixture[str]
    ) -> None:
        channel = post.channel(receiver, path="/key-of-li")
        receiver.status = 500
        post.tell()
        post.work()
        with post.database.write() as session:
            row = post.channels.find(session, channel)
            assert "key-of-li" not in row.sealed
            assert post.channels.address(row).url.endswith("/key-of-li")
            assert "key-of-li" not in repr(post.channels.address(row))
            post.channels.end(session, who("li"), row, if_match=etag(1))
            assert row.sealed == ""
        post.now += 60_000
        post.work()
        assert post.rows()[0].trouble == "channel_ended"
        out, err = capfd.readouterr()
        assert "key-of-li" not in out + err

    def test_a_channel_to_a_host_that_nobody_allowed_is_refused(self, post: Post) -> None:
        for url in ("https://evil.example/x", "http://10.0.0.1/x", "https://169.254.169.254/latest"):
            new = NewChannel.model_validate({"sort": "webhook", "url": url, "label": "x"})
            with post.database.write() as session, pytest.raises(BadChannel):
                post.channels.add(session, who("li"), new, account="li", police=False)

    def test_the_same_address_twice_is_one_channel(self, post: Post, receiver: Receiver) -> None:
        assert post.channel(receiver) == post.channel(receiver)


@contextmanager
def station(serve: Serve) -> Iterator[Served]:
    with serve() as served:
        served.station.channels._loopback = True
        yield served


class TestStation:
    @pytest.mark.proves("A8", "N4")
    def test_an_alarm_reaches_the_duty_channels_with_nothing_personal(
        self, serve: Serve, gateway: Gateway, receiver: Receiver
    ) -> None:
        with station(serve) as served:
            somebody(served, "admin", Role.ADMINISTRATOR).post("/api/v1/notify/hosts", {"host": LOOPBACK}, status=201)
            worker = somebody(served, "wang", *PEOPLE["wang"])
            chief = somebody(served, "chief", *PEOPLE["chief"])
            with served.station.database.write() as session:
                session.add(shift("wang"))
            new = {"sort": "webhook", "url": receiver.url("/wang"), "label": "手机"}
            made = worker.post("/api/v1/notify/channels", new, status=201)
            assert made["secret"]
            assert "url" not in made
            plain = {"sort": "webhook", "url": receiver.url("/group"), "label": "群"}
            chief.post("/api/v1/notify/station/channels", plain, status=201)
            police = {"sort": "webhook", "url": receiver.url("/police"), "label": "警", "police": True}
            chief.post("/api/v1/notify/station/channels", police, status=201)
            somebody(served, "desk", *PEOPLE["desk"]).post("/api/v1/duty/desk", {"desk": "front"})
            panic, duress = gateway.event(), gateway.event(kind=Kind.DURESS)
            gateway.send([duress, panic])
            eventually(lambda: len(receiver.got) == 4, "four messages")
            assert sorted(got.path for got in receiver.got) == ["/group", "/police", "/police", "/wang"]
            for got in receiver.got:
                text = got.content.decode()
                for personal in (HOUSEHOLDS[0], "老王家", "第0户", "101", "某"):
                    assert personal not in text.replace(got.data["link"], "").replace(got.data["delivery"], "")
                if got.path != "/police":
                    assert got.data["kind"] == "panic"
            eventually(
                lambda: [one["state"] for one in worker.get("/api/v1/notify/deliveries")["items"]] == ["sent"], "sent"
            )
            worker.get("/api/v1/notify/station/deliveries", status=403)
            assert len(chief.get("/api/v1/notify/station/deliveries")["items"]) == 4
            worker.post(f"/api/v1/notify/channels/{made['id']}/test", status=202)
            eventually(lambda: len(receiver.got) == 5, "the test message")
            assert receiver.got[-1].data["trial"]
            page = worker.get("/api/v1/notify/deliveries", limit=1)
            assert page["items"][0]["trial"]
            assert len(worker.get("/api/v1/notify/deliveries", limit=1, after=page["next"])["items"]) == 1

    def test_nobody_touches_anothers_channel_and_nobody_marks_his_own(self, serve: Serve, receiver: Receiver) -> None:
        with station(serve) as served:
            somebody(served, "admin", Role.ADMINISTRATOR).post("/api/v1/notify/hosts", {"host": LOOPBACK}, status=201)
            worker, other = somebody(served, "wang", *PEOPLE["wang"]), somebody(served, "she", *PEOPLE["she"])
            new = {"sort": "webhook", "url": receiver.url("/wang"), "label": "x", "police": True}
            made = worker.post("/api/v1/notify/channels", new, status=201)
            assert made["police"] is False
            other.post(f"/api/v1/notify/channels/{made['id']}/test", status=404)
            headers = {"Authorization": "Bearer token-of-wang", "If-Match": '"1"'}
            path = f"/api/v1/notify/station/channels/{made['id']}/police"
            assert served.client.put(path, json={"police": True}, headers=headers).status_code == 403
            worker.post("/api/v1/notify/hosts", {"host": "x.example"}, status=403)

    def test_a_bad_address_is_one_answer_that_does_not_repeat_it(self, serve: Serve) -> None:
        with station(serve) as served:
            worker = somebody(served, "wang", *PEOPLE["wang"])
            answer = worker.post(
                "/api/v1/notify/channels",
                {"sort": "webhook", "url": "https://evil.example/k3y", "label": "x"},
                status=422,
            )
            assert (answer["type"], answer["trouble"]) == ("bad_channel", "host_not_allowed")
            assert "k3y" not in json.dumps(answer)
