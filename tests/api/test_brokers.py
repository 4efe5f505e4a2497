"""Accounts at the broker, keys of units and gateways that are believed, as people put them down at the station."""

import re
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Iterator
from hashlib import pbkdf2_hmac
from pathlib import Path
from typing import Any

import pytest

from api.rights.rules import Role as By
from api.settings import StationSettings
from broker import access
from broker.access import Access
from broker.ids import GatewayId, HouseholdId
from broker.messages import ConfigPart, Outcome
from broker.sealing import sealing_key
from broker.signing import Signer, gateway_kid
from broker.slices import RegisterSlice, open_keys
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import Serve, Served, only_sqlite
from tests.api.peers import COMMUNITY, GATEWAYS, GRID, HOUSEHOLDS, STATION, Gateway, eventually, seed
from tests.api.people import Somebody, somebody

ACCOUNTS = "/api/v1/broker/accounts"
FIRST, SECOND = HOUSEHOLDS[0], HOUSEHOLDS[1]
KEY, OTHER_KEY = "0123456789abcdef" * 2, "f" * 32


@pytest.fixture
def settings(settings: StationSettings, tmp_path: Path) -> StationSettings:
    """A station whose broker asks for its rights, and which was set up with one household's account."""
    units = [unit.model_copy(update={"gateway": GATEWAYS[0], "line": "line1", "address": 1}) for unit in settings.units]
    more: dict[str, Any] = {
        "broker_access": tmp_path / "access.json",
        "mqtt_households": (HouseholdId(SECOND), HouseholdId("nobody")),
        "units": tuple(units),
        "groups": tuple(group.model_copy(update={"gateway": GATEWAYS[0]}) for group in settings.groups),
    }
    return settings.model_copy(update=more)


@pytest.fixture
def leader(served: Served) -> Somebody:
    return somebody(served, "wang", By.DUTY_LEADER, STATION)


@pytest.fixture
def other(broker: PrivateBroker) -> Iterator[Gateway]:
    with Gateway(broker, GATEWAYS[1], salt=7) as connected:
        yield connected


def written(served: Served) -> Access:
    path = served.station.settings.broker_access
    assert path is not None
    assert path.stat().st_mode & 0o777 == 0o600
    return access.read(path.read_text())


def users(served: Served) -> set[str]:
    return {one.user.removeprefix("north.") for one in written(served).principals}


def opens(digest: str, password: str) -> bool:
    _, sort, rounds, salt, hashed = digest.split("$")
    return sort == "7" and pbkdf2_hmac("sha512", password.encode(), b64decode(salt), int(rounds)) == b64decode(hashed)


MACHINES = {"station", "police", "gateway.g1", "gateway.g2", f"community.{COMMUNITY}", f"grid.{GRID}"}


class TestAccounts:
    @pytest.mark.proves("G1", "N4")
    def test_one_is_given_once_and_its_password_is_kept_nowhere(self, served: Served, leader: Somebody) -> None:
        assert users(served) == MACHINES | {f"household.{SECOND}"}
        user = f"north.household.{FIRST}"
        given = leader.post(ACCOUNTS, {"role": "household", "id": FIRST}, status=201)
        assert (given["user"], given["by"], given["valid"]) == (user, "wang", True)
        assert given["topics"] == [f"sw1/north/household/{FIRST}/{leaf}" for leaf in ("alarm", "update")]
        assert users(served) == MACHINES | {f"household.{FIRST}", f"household.{SECOND}"}
        assert opens(written(served).digests[user], given["password"])
        assert leader.post(ACCOUNTS, {"role": "household", "id": FIRST}, status=409)["type"] == "has_account"
        again = leader.post(ACCOUNTS, {"role": "household", "id": FIRST, "renew": True}, status=201)
        assert opens(written(served).digests[user], again["password"])
        assert not opens(written(served).digests[user], given["password"])
        listed = leader.get(ACCOUNTS)["items"]
        assert [one["user"] for one in listed] == [user, f"north.household.{SECOND}"]
        assert "password" not in listed[0]
        for table in ("broker_account", "audit_words"):
            for row in served.rows(f"SELECT * FROM {table}"):  # noqa: S608 - as above
                assert again["password"] not in str(row)

    @pytest.mark.proves("G1", "N4")
    def test_one_that_is_taken_back_is_gone_also_where_the_register_would_give_it(
        self, served: Served, leader: Somebody
    ) -> None:
        leader.delete(f"{ACCOUNTS}/north.household.{SECOND}")
        leader.delete(f"{ACCOUNTS}/north.community.{COMMUNITY}")
        leader.delete(f"{ACCOUNTS}/north.community.{COMMUNITY}", status=404)
        assert users(served) == MACHINES - {f"community.{COMMUNITY}"}
        leader.delete(f"{ACCOUNTS}/north.station", status=404)
        leader.delete(f"{ACCOUNTS}/north.household.h77", status=404)
        page = leader.get(ACCOUNTS, limit=1)
        assert [one["valid"] for one in page["items"]] == [False]
        assert len(leader.get(ACCOUNTS, after=page["next"])["items"]) == 1
        leader.post(ACCOUNTS, {"role": "community", "id": COMMUNITY}, status=201)
        assert users(served) == MACHINES

    @pytest.mark.proves("G7", "N4")
    def test_whoever_moves_in_does_not_inherit_one_and_nobody_is_told_until_he_is_given_his_own(
        self, served: Served, leader: Somebody
    ) -> None:
        version = served.client.get(f"/api/v1/register/places/{SECOND}", headers=as_("zhao")).headers["ETag"]
        moved = served.client.post(
            f"/api/v1/register/places/{SECOND}/move-in", json={"name": "新住户"}, headers=as_("zhao", version)
        )
        assert moved.status_code == 200, moved.text
        assert users(served) == MACHINES
        assert [one["valid"] for one in leader.get(ACCOUNTS)["items"]] == [False]
        given = leader.post(ACCOUNTS, {"role": "household", "id": SECOND}, status=201)
        assert given["user"] == f"north.household.{SECOND}@2"
        assert given["topics"][0] == f"sw1/north/household/{SECOND}/alarm"
        assert users(served) == MACHINES | {f"household.{SECOND}@2"}
        assert leader.post(ACCOUNTS, {"role": "household", "id": SECOND}, status=409)["user"] == given["user"]

    @pytest.mark.proves("G5", "N4")
    def test_an_installer_gives_them_to_households_and_gateways_and_to_no_screen(self, served: Served) -> None:
        installer = somebody(served, "sun", By.INSTALLER, GRID)
        elsewhere = somebody(served, "qian", By.DUTY_OFFICER, "nowhere")
        installer.post(ACCOUNTS, {"role": "household", "id": FIRST}, status=201)
        for body in (
            {"role": "grid", "id": GRID},
            {"role": "police", "seat": "desk-9"},
            {"role": "gateway", "id": "g1"},
            {"role": "household", "id": "h99"},
            {"role": "household"},
            {"role": "police", "id": "x"},
        ):
            assert installer.post(ACCOUNTS, body, status=404)["type"] == "no_such_principal"
        elsewhere.post(ACCOUNTS, {"role": "household", "id": SECOND}, status=404)
        elsewhere.delete(f"{ACCOUNTS}/north.household.{FIRST}", status=404)
        installer.post(ACCOUNTS, {"role": "station"}, status=422)
        here = somebody(served, "zhou", By.INSTALLER, STATION)
        here.post(ACCOUNTS, {"role": "gateway", "id": "g1"}, status=201)
        here.post(ACCOUNTS, {"role": "police", "seat": "desk-9"}, status=404)
        here.delete(f"{ACCOUNTS}/north.police", status=404)

    @only_sqlite
    def test_a_file_that_cannot_be_written_is_written_when_it_can(self, served: Served, leader: Somebody) -> None:
        path = served.station.settings.broker_access
        assert path is not None
        path.unlink()
        path.mkdir()
        leader.post(ACCOUNTS, {"role": "household", "id": FIRST}, status=201)
        assert served.station.brokers.owes
        path.rmdir()
        served.station.brokers.write_down(served.station.database)
        assert f"household.{FIRST}" in users(served)

    @only_sqlite
    def test_after_a_restart_it_is_written_again_and_nobody_is_counted_in_twice(self, serve: Serve) -> None:
        with serve() as served:
            somebody(served, "wang", By.DUTY_LEADER, STATION).delete(f"{ACCOUNTS}/north.household.{SECOND}")
            path = served.station.settings.broker_access
            assert path is not None
            path.unlink()
        with serve() as served:
            assert users(served) == MACHINES


def as_(officer: str, if_match: str | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer token-of-{officer}"} | ({} if if_match is None else {"If-Match": if_match})


def text(part: ConfigPart) -> RegisterSlice:
    return RegisterSlice.model_validate_json(urlsafe_b64decode(part.data + "=="))


class TestKeys:
    @pytest.mark.proves("G1", "N13")
    def test_a_units_key_reaches_its_gateway_sealed_and_nobody_else(
        self, served: Served, gateway: Gateway, leader: Somebody
    ) -> None:
        own = seed("sealing of g1")
        gateway.say_status(register_version=0, sealing_key=sealing_key(own).hex())
        told = "SELECT sealing_key FROM gateway_slice WHERE gateway = 'g1'"
        eventually(lambda: served.rows(told) == [(sealing_key(own).hex(),)], "the key for sealing is known")
        leader.put("/api/v1/register/units/u1/key", {"key": KEY}, status=204)
        first = text(gateway.hear(ConfigPart, lambda part: part.version == 1))
        assert open_keys(first, seed=own) == {"u1": bytes.fromhex(KEY)}
        leader.put("/api/v1/register/units/u1/key", {"key": OTHER_KEY}, status=204)
        second = text(gateway.hear(ConfigPart, lambda part: part.version == 2))
        assert open_keys(second, seed=own) == {"u1": bytes.fromhex(OTHER_KEY)}
        again = seed("another box")
        gateway.say_status(register_version=2, sealing_key=sealing_key(again).hex())
        third = text(gateway.hear(ConfigPart, lambda part: part.version == 3))
        assert open_keys(third, seed=again) == {"u1": bytes.fromhex(OTHER_KEY)}
        tables = ("unit_key", "gateway_slice", "outgoing", "audit_words")
        rows = str([served.rows(f"SELECT * FROM {table}") for table in tables])  # noqa: S608 - as above
        assert KEY not in rows
        assert OTHER_KEY not in rows
        assert "key" not in leader.get("/api/v1/register/units/u1")
        leader.put("/api/v1/register/units/u9/key", {"key": KEY}, status=404)
        leader.put("/api/v1/register/units/u1/key", {"key": KEY[:-1]}, status=422)

    @only_sqlite
    def test_a_point_that_is_no_key_costs_the_keys_and_not_the_slice(
        self, served: Served, gateway: Gateway, leader: Somebody
    ) -> None:
        gateway.say_status(register_version=0, sealing_key="00" * 32)
        eventually(lambda: ("00" * 32,) in served.rows("SELECT sealing_key FROM gateway_slice"), "it is known")
        leader.put("/api/v1/register/units/u1/key", {"key": KEY}, status=204)
        assert text(gateway.hear(ConfigPart, lambda part: part.version == 1)).sealed is None

    @pytest.mark.proves("G1", "N10", "N13", "F59")
    def test_a_gateway_that_is_revoked_is_believed_nowhere_and_one_that_is_put_down_is(
        self, served: Served, gateway: Gateway, other: Gateway, leader: Somebody
    ) -> None:
        hung = leader.ask("GET", "/api/v1/register/units/u1", status=200)
        body = {"sort": "native", "gateway": "g2", "line": "line1", "address": 1}
        headers = as_("zhao", f'"{hung["version"]}"')
        answer = served.client.put("/api/v1/register/units/u1", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        peers = text(gateway.hear(ConfigPart, lambda part: part.version == 1)).peers
        assert peers is not None
        assert [(peer.gateway, peer.public) for peer in peers] == [("g2", {"gateway:g2": other.signer.public.hex()})]
        leader.post("/api/v1/register/gateways/g2/revoke", status=204)
        peers = text(gateway.hear(ConfigPart, lambda part: part.version == 2)).peers
        assert peers == ()
        assert "gateway.g2" not in users(served)
        leader.post("/api/v1/register/gateways/g2/revoke", status=404)
        anew = Signer(gateway_kid(GATEWAYS[1]), seed("a new box"))
        taken = leader.put("/api/v1/register/gateways/g2", {"public_key": gateway.signer.public.hex()}, status=409)
        assert [fault["code"] for fault in taken["faults"]] == ["key_is_another"]
        leader.put("/api/v1/register/gateways/g2", {"public_key": anew.public.hex()}, status=204)
        listed = {one["id"]: one["public_keys"] for one in leader.get("/api/v1/register/gateways")}
        assert listed["g2"] == {"gateway:g2": anew.public.hex()}
        assert "gateway.g2" in users(served)
        events = other.presses(1)
        other.send(events)  # by the key of the box that was stolen
        other.signer = anew
        more = other.presses(1)
        other.send(more)
        assert other.receipted([*events, *more]) == {events[0].id: Outcome.REJECTED, more[0].id: Outcome.STORED}


@only_sqlite
@pytest.mark.proves("G1", "N13")
def test_an_account_is_given_out_on_a_sheet_whose_password_is_shown_once_and_opens_the_broker(
    served: Served, leader: Somebody
) -> None:
    with served.station.registrar.edit("wang") as edit:
        edit.believe("gw2", Signer(gateway_kid(GatewayId("gw2")), seed("another")).public.hex())
    asked = {"role": "gateway", "id": "gw2"}
    page = leader.post(f"{ACCOUNTS}/sheet", asked)
    assert (page.headers["content-type"], page.headers["cache-control"]) == ("text/html; charset=utf-8", "no-store")
    (line,) = re.findall(rf"<code>({STATION}\.gateway\.gw2 [^<]+)</code>", page.text)
    user, password = line.split(" ")
    digest = written(served).digests[user]
    assert password in page.text
    assert opens(digest, password)
    signing = served.station.settings.signing
    public = Signer(signing.kid, signing.seed()).public.hex()
    assert (f"{signing.kid} {public}" in page.text, signing.seed().hex() in page.text) == (True, False)
    assert "<svg" in page.text
    assert "http" not in page.text
    leader.post(f"{ACCOUNTS}/sheet", asked, status=409)
    assert password not in str(served.rows("SELECT * FROM broker_account")) + str(served.rows("SELECT * FROM audit"))
    household = leader.post(f"{ACCOUNTS}/sheet", {"role": "household", "id": FIRST}).text
    assert ("住户 Household" in household, public in household) == (True, False)
