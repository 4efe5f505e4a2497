"""Push to phone pages: who is pushed to, the little that a push says, and that nothing else waits for it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from api.accounts import repository as accounts
from api.accounts.rules import Ended
from api.notify import transports
from api.notify.encryption import PADDED, BadKeys, Device, StationKey, decoded, encoded, encrypt, seal
from api.notify.rules import ON_PHONE, Notice, Pushed, push_words, tag_of
from api.notify.transports import Address, CannotSend, Walls, service_of
from api.patrols.models import Checkpoint
from api.push.rules import why, worth
from api.rights.rules import Role
from api.settings import NotifySettings, StationSettings
from broker.kinds import Kind, Mark
from broker.policy import Audience
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, GRID, HOUSEHOLDS, STATION, eventually
from tests.api.people import MOMENT, NOW, Hands, Somebody, add_companies, somebody
from tests.api.pushing import PushService, allow_loopback, look, push_service, sent, subscribe
from tests.api.signing_in import account, browser
from tests.api.test_guards import duty, hire
from tests.api.test_helps import press as call_for_help
from tests.api.test_line_tests import hold
from tests.api.test_orders import called, check_in, officer, order

__all__ = ["officer"]

PUSH = "/api/v1/push"
ALARM = Notice(
    kind_shown=Kind.PANIC, grid=None, number=None, link="", police_only=False, pushed=Pushed.NEIGHBOUR, tag="t"
)
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
DUE = "SELECT count(*) FROM delivery WHERE state = 'failed' AND due_ms <= ?"
SECRET = "BTBZMqHH6r4Tts7J_aSIgg"


@pytest.fixture
def service() -> Iterator[PushService]:
    with push_service() as one:
        yield one


@pytest.fixture
def settings(settings: StationSettings) -> StationSettings:
    """Push services may be on this machine; the first household agreed to a silent key."""
    first, *others = settings.households
    return settings.model_copy(
        update={
            "notify": NotifySettings(loopback=True),
            "households": (first.model_copy(update={"duress": True}), *others),
        }
    )


@pytest.fixture
def station(serve: Serve, hands: Hands) -> Iterator[Served]:
    """Its rounds stand still, so that a test looks when it wants to."""
    with serve(clock=hands, wait=False) as one:
        one.station.rounds.stop()
        allow_loopback(one)
        yield one


def press(who: Somebody, key: str = "press-number-1", **body: Any) -> str:
    answer = who.served.client.post(
        "/api/v1/alarms",
        json={"kind": "panic", "whereabouts": "home"} | body,
        headers={"Authorization": f"Bearer token-of-{who.id}", "Idempotency-Key": key},
    )
    assert answer.status_code == 201, answer.text
    id_: str = answer.json()["id"]
    return id_


class TestRules:
    def test_a_message_is_encrypted_as_rfc_8291_shows_in_its_appendix_a(self) -> None:
        sender = ec.derive_private_key(
            int.from_bytes(decoded("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1()
        )
        text = b"When I grow up, I want to be a watermelon"
        found = encrypt(text, Device.of(POINT, SECRET), sender, salt=decoded("DGv6ra1nlYgDCS1FRnbzlw"))
        assert encoded(found) == (
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBr"
            "u3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        )

    def test_the_length_of_a_message_tells_nothing_of_what_it_says(self) -> None:
        device, lengths = Device.of(POINT, SECRET), set()
        for pushed in Pushed:
            for language in ("zh", "en"):
                for mark in (None, Mark.DRILL):
                    notice = replace(ALARM, pushed=pushed, mark=mark, tag=tag_of("x"))
                    words = push_words([notice], language=language, home="/phone/", expires_ms=1)
                    text = transports.payload_of(words)
                    assert len(text) <= PADDED
                    lengths.add(len(seal(text, device)))
        assert len(lengths) == 1

    @pytest.mark.parametrize(
        ("point", "secret"),
        [(POINT[:-2], SECRET), ("A" * 87, SECRET), (POINT, SECRET[:-2]), ("!", SECRET), (POINT[:-1] + "x", SECRET)],
    )
    def test_keys_that_are_none_are_not_taken(self, point: str, secret: str) -> None:
        with pytest.raises(BadKeys):
            Device.of(point, secret)

    def test_duress_and_what_is_for_the_police_alone_may_never_be_pushed_whatever_asks_for_it(self) -> None:
        assert ALARM.may_be_pushed
        for kind in (Kind.DURESS, Kind.UNVERIFIED, Kind.TAMPER):
            assert not replace(ALARM, kind_shown=kind).may_be_pushed
        assert not replace(ALARM, police_only=True).may_be_pushed
        assert not replace(ALARM, pushed=None).may_be_pushed

    def test_what_is_worth_a_push_is_fresh_no_test_and_no_secret(self) -> None:
        assert worth(Kind.FIRE, Mark.DRILL, happened_ms=NOW, now_ms=NOW + 59_999)
        assert not worth(Kind.FIRE, None, happened_ms=NOW, now_ms=NOW + 60_000)
        assert not worth(Kind.FIRE, Mark.TEST, happened_ms=NOW, now_ms=NOW)
        assert not worth(Kind.DURESS, None, happened_ms=NOW, now_ms=NOW)
        assert why(Audience.NEIGHBOUR, own=False, dispatched=False) is Pushed.NEIGHBOUR
        assert why(Audience.GRID, own=False, dispatched=False) is Pushed.AREA
        assert why(Audience.NEIGHBOUR, own=True, dispatched=False) is None
        assert why(Audience.POLICE, own=False, dispatched=False) is why(None, own=False, dispatched=True) is None

    def test_a_push_says_the_sort_the_page_and_the_kind_in_the_readers_language(self) -> None:
        assert {one.page for one in ON_PHONE.values()} <= {
            "", "/phone/#neighbours", "/phone/#news", "/phone/guard#today", "/phone/field#alarms",
        }  # fmt: skip
        zh = push_words([ALARM], language="zh", home="/phone/", expires_ms=5)
        en = push_words([replace(ALARM, mark=Mark.DRILL)], language="en", home="/phone/", expires_ms=5)
        assert (zh.title, en.title) == ("邻居报警：紧急报警", "A neighbour's alarm: panic [drill]")
        assert zh.data == {
            "payload": {"title": zh.title, "body": zh.body, "tag": "t", "to": "/phone/#neighbours", "language": "zh"},
            "tag": "t", "urgent": True, "expires_ms": 5,
        }  # fmt: skip
        many = push_words([ALARM, replace(ALARM, tag="u")], language="zh", home="/phone/", expires_ms=5)
        assert many.title == "邻居报警 × 2"

    @pytest.mark.parametrize(
        ("host", "service"),
        [
            ("fcm.googleapis.com", "fcm.googleapis.com"),
            ("wns2-pn1p.notify.windows.com", "notify.windows.com"),
            ("web.push.apple.com", "web.push.apple.com"),
            ("evilfcm.googleapis.com", None),
            ("fcm.googleapis.com.evil.example", None),
            ("10.0.0.1", None),
            ("localhost", None),
        ],
    )
    def test_only_push_services_that_are_known_are_sent_to(self, host: str, service: str | None) -> None:
        if service is not None:
            assert service_of(host, loopback=False) == service
            return
        with pytest.raises(CannotSend, match="no_push_service"):
            service_of(host, loopback=False)

    def test_a_push_service_that_points_inside_or_was_not_allowed_is_not_connected_to(self) -> None:
        url = "https://wns2-x.notify.windows.com/w?token=1"
        address = Address(sort="push", url=url, device=Device.of(POINT, SECRET), key=StationKey.new())
        words = push_words([ALARM], language="zh", home="/phone/", expires_ms=5)
        for hosts, found, trouble in (
            ({"notify.windows.com"}, ["10.0.0.1"], "address_not_allowed"),
            ({"notify.windows.com"}, ["1.1.1.1", "127.0.0.1"], "address_not_allowed"),
            ({"fcm.googleapis.com"}, ["1.1.1.1"], "host_not_allowed"),
            ({"wns2-x.notify.windows.com"}, ["1.1.1.1"], "host_not_allowed"),
        ):
            with pytest.raises(CannotSend, match=trouble):
                transports.send(
                    address, words, delivery="d", station=STATION, now_s=1, walls=Walls(hosts=frozenset(hosts)),
                    resolver=lambda _host, _port, found=found: found,  # type: ignore[misc] # bound now
                )  # fmt: skip


@pytest.mark.proves("A1", "N4", "N12")
def test_neighbours_and_the_area_are_pushed_to_and_learn_a_kind_and_nothing_else(
    station: Served, service: PushService, hands: Hands
) -> None:
    roles = {
        "hu": (Role.HOUSEHOLD, HOUSEHOLDS[0], "household"),
        "lin": (Role.HOUSEHOLD, HOUSEHOLDS[1], "household"),
        "left": (Role.HOUSEHOLD, HOUSEHOLDS[2], "household"),
        "ge": (Role.GRID_WORKER, GRID, "field"),
        "sun": (Role.COMMUNITY, COMMUNITY, "field"),
        "xu": (Role.DUTY_OFFICER, STATION, "field"),
        "far": (Role.COMMUNITY, "elsewhere", "field"),
    }
    who = {id_: somebody(station, id_, role, scope) for id_, (role, scope, _) in roles.items()}
    phones = {id_: service.phone() for id_ in roles}
    sessions = {
        id_: subscribe(station, id_, phones[id_], page=page, language="en" if id_ == "sun" else "zh")
        for id_, (_, _, page) in roles.items()
    }
    alarm = press(who["hu"])
    hands.pass_(seconds=10)
    assert look(station) == 4
    assert {id_ for id_, phone in phones.items() if phone.got} == {"lin", "left", "ge", "sun"}
    (got,) = phones["lin"].got
    assert got.payload == {
        "title": "邻居报警：紧急报警", "body": ON_PHONE[Pushed.NEIGHBOUR].body.zh, "tag": tag_of(alarm),
        "to": "/phone/#neighbours", "language": "zh",
    }  # fmt: skip
    assert {name: got.headers[name] for name in ("TTL", "Urgency", "Topic")} == {
        "TTL": "50", "Urgency": "high", "Topic": tag_of(alarm),
    }  # fmt: skip
    assert (phones["ge"].titles, phones["sun"].titles) == (["辖区报警：紧急报警"], ["Alarm in your area: panic"])
    assert alarm not in str(got)
    assert look(station) == 0  # once for each alarm, also where a notifier begins anew
    station.station.pushing._behind = None  # as after a restart
    assert look(station) == 0
    # What is a secret, what is a test, what is old, and what changes: nobody's phone.
    assert hold(who["hu"]) == hold(who["lin"])
    assert len(who["xu"].get("/api/v1/alarms", open="true")["items"]) == 2
    who["xu"].post(f"/api/v1/alarms/{alarm}/acknowledge")
    assert look(station) == 0
    press(who["left"], "an-old-press-1")
    hands.pass_(seconds=60)
    assert look(station) == 0
    # Whoever signed out, or whose phone its service does not know any more, is forgotten; another is not disturbed.
    with station.station.database.write() as session:
        accounts.end_sessions(session, Ended.SIGNED_OUT, now_ms=hands.now_ms, digest=sessions["lin"])
        accounts.end_sessions(session, Ended.IDLE, now_ms=hands.now_ms, digest=sessions["sun"])
    phones["ge"].status = 410
    press(who["left"], "a-new-press-1", kind="fire")
    look(station)
    assert (phones["lin"].titles[1:], phones["sun"].titles[1:]) == ([], ["Alarm in your area: fire"])
    over = station.rows(
        "SELECT account, sealed FROM notify_channel WHERE sort = 'push' AND ended_ms IS NOT NULL ORDER BY account"
    )
    assert over == [("ge", ""), ("lin", "")]
    assert phones["hu"].titles == ["邻居报警：火警"]
    leader = somebody(station, "tang", Role.DUTY_LEADER, STATION)
    state = leader.get(f"{PUSH}/station")
    assert (state["state"], state["devices"], state["failed"]) == ("reached", 5, 2)


@only_sqlite
@pytest.mark.proves("N8")
def test_a_push_service_that_is_away_is_tried_until_it_is_too_late_and_disturbs_nothing(
    station: Served, service: PushService, hands: Hands
) -> None:
    owner, neighbour = (
        somebody(station, id_, Role.HOUSEHOLD, HOUSEHOLDS[nth]) for nth, id_ in enumerate(("hu", "lin"))
    )
    leader = somebody(station, "tang", Role.DUTY_LEADER, STATION)
    assert leader.get(f"{PUSH}/station")["state"] == "unused"
    phone = service.phone()
    phone.status = 503
    subscribe(station, "lin", phone)
    assert leader.get(f"{PUSH}/station")["state"] == "quiet"
    faults = station.rows("SELECT count(*) FROM fault")
    press(owner)
    assert look(station) == 1
    for _ in range(60):
        hands.pass_(seconds=1)
        station.station.notifier.wake()
        eventually(lambda: station.rows(DUE, hands.now_ms) == [(0,)], "tried again")
    assert service.tries == 4  # at once, after 5, 15 and 35 s; the next would be too late
    assert station.rows("SELECT state, trouble FROM delivery") == [("undeliverable", "status_503")]
    state = leader.get(f"{PUSH}/station")
    assert (state["state"], state["failed"], state["trouble"]) == ("not_reached", 1, "status_503")
    assert station.rows("SELECT count(*) FROM fault") == faults
    assert [one["words"]["zh"] for one in neighbour.get("/api/v1/notify/deliveries")["items"]] == ["紧急报警"]


@only_sqlite
def test_orders_roll_calls_and_calls_for_help_are_pushed_to_guards_and_warnings_to_households(
    station: Served, service: PushService, hands: Hands, officer: Somebody
) -> None:
    add_companies(station, "beiguan")
    somebody(station, "wang", Role.GUARD, "beiguan")
    somebody(station, "hu", Role.HOUSEHOLD, HOUSEHOLDS[0])
    near = somebody(station, "lin", Role.OFFICER, STATION)
    wang = hire(officer, "B1", "王一", "beiguan", area=COMMUNITY, account="wang")
    lin = hire(officer, "P1", "林三", None, force="police", area=COMMUNITY, account="lin")
    duty(officer, wang, lin)
    hands.pass_(hours=2)
    with station.station.database.write() as session:
        session.add(Checkpoint(id="cp1", station=STATION, area=COMMUNITY, name="北门", from_ms=1, made_by="li"))
    for one in (wang, lin):
        check_in(station, one, "cp1", hands.now_ms - 60_000)
    guard, home = service.phone(), service.phone()
    subscribe(station, "wang", guard, page="guard")
    subscribe(station, "hu", home)
    order(officer, called(officer), wang)
    officer.post("/api/v1/roll-calls", {"area": COMMUNITY, "guards": [wang]}, status=201)
    call_for_help(near)
    sent(station)
    assert guard.titles == ["派单：紧急报警", "点名", "附近同事求助：紧急报警"]
    assert "北门" not in str([one.payload for one in guard.got])
    assert {one.payload["to"] for one in guard.got} == {"/phone/guard#today"}
    for kind, begins in (("tip", 0), ("warning", 0), ("warning", 2)):
        officer.post(
            "/api/v1/tips",
            {"kind": kind, "title": "有人冒充燃气工", "text": "…", "areas": [COMMUNITY],
             **({"begins": (MOMENT + timedelta(hours=4)).isoformat()} if begins else {}),
             "expires": (MOMENT + timedelta(hours=9)).isoformat()},
            status=201,
        )  # fmt: skip
    assert look(station) == 1
    (warned,) = home.got
    got = (warned.payload["title"], warned.headers["TTL"], warned.headers["Urgency"])
    assert got == ("治安预警", "25200", "normal")
    assert "燃气" not in str(warned.payload)
    hands.pass_(hours=2)
    assert look(station) == 1  # the one that begins only now


@only_sqlite
@pytest.mark.proves("G5", "G7")
def test_a_browser_is_put_down_by_who_is_signed_in_there_and_by_no_other_way(
    station: Served, service: PushService, hands: Hands
) -> None:
    made = {login: account(station.station, login, (Role.HOUSEHOLD, HOUSEHOLDS[nth])) for nth, login in
            enumerate(("hu", "lin"))}  # fmt: skip
    mine, theirs = (browser(station.station, station.app) for _ in range(2))
    mine.sign_in("hu")
    theirs.sign_in("lin")
    offer = mine.get(PUSH)
    assert (offer["offered"], len(offer["key"]), offer["devices"]) == (True, 87, 0)
    assert theirs.get(PUSH)["key"] == offer["key"]
    phone = service.phone()
    assert mine.put(f"{PUSH}/device", phone.subscription)["until"]
    mine.put(f"{PUSH}/device", phone.subscription)
    assert mine.get(PUSH)["devices"] == 1
    kept = station.rows("SELECT account, host, label, sealed, endpoint FROM notify_channel")
    assert [row[:3] for row in kept] == [(made["hu"], "127.0.0.1", "")]
    assert phone.endpoint not in str(kept)
    assert mine.get("/api/v1/notify/channels")["items"] == []
    mine.post(f"{PUSH}/test", status=202)
    sent(station)
    assert (phone.titles, phone.got[0].payload["to"]) == (["推送已开"], "/phone/")
    for changed, trouble in (
        ({"endpoint": "https://evil.example/x"}, "host_not_allowed"),
        ({"endpoint": "ftp://127.0.0.1/xxxxx"}, "bad_address"),
        ({"endpoint": "https://user:pw@127.0.0.1/"}, "bad_address"),
        ({"auth": "AAAA"}, "bad_keys"),
        ({"p256dh": "A" * 87}, "bad_keys"),
    ):
        answer = mine.put(f"{PUSH}/device", phone.subscription | changed, status=422)
        assert answer["trouble"] == trouble, changed
    # The phone goes to somebody else: it is his alone.
    theirs.put(f"{PUSH}/device", phone.subscription)
    assert (mine.get(PUSH)["devices"], theirs.get(PUSH)["devices"]) == (0, 1)
    mine.post(f"{PUSH}/device/end", {"endpoint": phone.endpoint}, status=204)
    assert theirs.get(PUSH)["devices"] == 1
    token = somebody(station, "by-token", Role.HOUSEHOLD, HOUSEHOLDS[2])
    assert token.put(f"{PUSH}/device", phone.subscription, status=403)["type"] == "no_session"
    theirs.ask("DELETE", "/api/v1/session", status=204)
    hands.pass_(minutes=1)
    look(station)
    assert station.rows("SELECT count(*) FROM notify_channel WHERE ended_ms IS NULL") == [(0,)]
    with station.station.database.write() as session:
        for row in station.station.channels.hosts(session):
            session.delete(row)
    assert mine.get(PUSH) == {"offered": False, "key": None, "devices": 0}
