"""What is owed after a commit: sent once it can be, and not lost by a kill, a refusal or an absence."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

import httpx2
import pytest

from api.mqtt import Refused
from api.settings import StationSettings
from api.steps import F
from broker.acl import Principal, acl_file
from broker.ids import Session
from broker.kinds import Kind, UpdateState
from broker.messages import AlarmUpdate, Command
from broker.topics import Role
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import TOKENS, Launch, Serve, Served
from tests.api.databases import rows
from tests.api.peers import PRINCIPALS, Gateway, Peer, eventually, listener


@pytest.fixture
def police(broker: PrivateBroker) -> Iterator[Peer]:
    with listener(broker, Role.POLICE) as peer:
        yield peer


def acknowledged(served: Served, gateway: Gateway, **fields: Any) -> str:
    press = gateway.event(**fields)
    gateway.send([press])
    gateway.receipted([press])
    served.post(f"/api/v1/alarms/{press.id}/acknowledge")
    return press.id


@pytest.mark.proves("N11")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_station_killed_around_sending_has_told_everybody_after_its_restart(
    launch: Launch, serve: Serve, gateway: Gateway, police: Peer, moment: str
) -> None:
    gateway.say_status()
    killed = launch("tests.api.killable", f"outgoing.publish:{moment}:1")
    port = killed.ready()
    press = gateway.event()
    gateway.send([press])
    gateway.receipted([press])
    with suppress(httpx2.TransportError):  # it may be dead before it has answered
        httpx2.post(
            f"http://127.0.0.1:{port}/api/v1/alarms/{press.id}/acknowledge",
            headers={"Authorization": f"Bearer {TOKENS['li']}"},
        )
    assert killed.ended() == -9
    assert rows(killed.database, "SELECT state, acknowledged_by FROM alarm") == [("acknowledged", "li")]
    with serve() as served:
        gateway.commanded(lambda command: command.alarm == press.id)
        last = acknowledged(served, gateway)  # behind what was owed: when this is heard, all of that was
        police.hear(AlarmUpdate, lambda update: update.alarm == last)
    updates = [update for update in police.bodies(AlarmUpdate) if update.alarm == press.id]
    assert {(update.id, update.state) for update in updates} == {(updates[0].id, UpdateState.ACKNOWLEDGED)}
    assert len(updates) == (1 if moment == "before" else 2)  # told twice, and known by its id


def test_what_was_sent_is_not_sent_again_after_a_restart(serve: Serve, gateway: Gateway, police: Peer) -> None:
    with serve() as served:
        first = acknowledged(served, gateway)
        police.hear(AlarmUpdate)
    with serve() as served:
        second = acknowledged(served, gateway)
        police.hear(AlarmUpdate, lambda update: update.alarm == second)
    assert [update.alarm for update in police.bodies(AlarmUpdate)] == [first, second]


def test_an_update_says_how_old_it_is_when_it_is_sent(serve: Serve, gateway: Gateway, police: Peer) -> None:
    now = 1_800_000_000_000

    def never_sends(name: str, step: F) -> F:
        return cast("F", lambda _ready: ({}, {})) if name == "outgoing.publish" else step

    with serve(clock=lambda: now, wrap=never_sends) as served:
        acknowledged(served, gateway)
    with serve(clock=lambda: now + 90_000):
        assert police.hear(AlarmUpdate).age_ms == 90_000


def test_a_command_waits_for_a_gateway_that_is_away_and_carries_its_new_session(
    served: Served, gateway: Gateway, police: Peer
) -> None:
    press = acknowledged(served, gateway)
    police.hear(AlarmUpdate)  # went past the command, which has nobody to go to
    assert gateway.bodies(Command) == []
    gateway.say_status()
    command = gateway.commanded()
    assert (command.alarm, command.session) == (press, gateway.session)
    assert served.rows("SELECT count(*) FROM outgoing WHERE command_to = 'g1'") == [(1,)]


@pytest.mark.proves("A5")
def test_a_gateway_with_a_new_session_is_told_again_what_its_lamps_should_show(
    served: Served, gateway: Gateway
) -> None:
    gateway.say_status()
    press = acknowledged(served, gateway)
    duress = acknowledged(served, gateway, kind=Kind.DURESS)
    first = gateway.commanded(lambda command: command.alarm == press)
    gateway.session = Session("f" * 32)
    gateway.say_status()
    again = gateway.commanded(lambda command: command.session == "f" * 32)
    assert (again.alarm, again.state) == (press, first.state)
    assert again.counter > first.counter
    assert duress not in {command.alarm for command in gateway.bodies(Command)}


def test_counters_rise_through_a_restart(serve: Serve, gateway: Gateway) -> None:
    gateway.say_status()
    with serve() as served:
        acknowledged(served, gateway)
        gateway.commanded()
    with serve() as served:
        press = acknowledged(served, gateway)
        gateway.commanded(lambda command: command.alarm == press)
    counters = [command.counter for command in gateway.bodies(Command)]
    assert counters == sorted({*counters})


class TestRefused:
    """A broker that will not carry one topic."""

    @pytest.fixture
    def broker(self, tmp_path: Any) -> Iterator[PrivateBroker]:
        def narrowed(principals: Any) -> str:
            return acl_file(principals).replace("topic write sw1/north/community/+/update\n", "")

        with PrivateBroker(tmp_path / "broker", PRINCIPALS, render_acl=narrowed) as running:
            yield running

    @pytest.mark.proves("N9")
    def test_a_refused_update_stays_owed_with_the_reason_and_holds_nobody_else_back(
        self, served: Served, gateway: Gateway, police: Peer
    ) -> None:
        for press in [acknowledged(served, gateway) for _ in range(30)]:
            police.hear(AlarmUpdate, lambda update, press=press: update.alarm == press)  # type: ignore[misc] # mypy infers no default
        refused = [("sw1/north/community/c1/update",)]
        waiting = "SELECT DISTINCT topic FROM outgoing WHERE state = 'waiting' AND command_to IS NULL"
        eventually(lambda: served.rows(waiting) == refused, "everything else is sent")
        ((trouble,),) = served.rows("SELECT DISTINCT trouble FROM outgoing WHERE tries > 0 AND state = 'waiting'")
        assert "0x87" in trouble
        assert served.health()["outgoing"]["waiting"] >= 30


def test_a_refusal_carries_its_code() -> None:
    refused = Refused(0x87, "Not authorized")
    assert refused.code == 0x87
    assert str(refused) == "Not authorized (0x87)"


def test_principals_of_the_tests_have_the_station_as_they_have_it(settings: StationSettings) -> None:
    assert settings.broker.user == Principal(station=settings.station, role=Role.STATION).user
