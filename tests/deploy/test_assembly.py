"""Each program is told its part of the site, and they agree with one another."""

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from api.register.service import Register as StationRegister
from api.settings import NotifySettings, StationSettings
from broker.acl import Principal, acl_file, rights
from broker.ids import GatewayId, HouseholdId
from broker.kinds import Kind
from broker.signing import Signer
from broker.topics import Role
from deploy import accounts, assembly, keys
from deploy.assembly import BrokerAddress, UnknownGateway
from deploy.check import check_text, load
from deploy.keys import KeyMissing, Keys
from deploy.site import Site
from firmware_sim.settings import LineKind, VillageSettings
from gateway.register import Register as GatewayRegister
from gateway.settings import Contact, GatewaySettings, Remote, Sounder, ZigbeeAccess, ZigbeeButton

EXAMPLES = Path(__file__).parents[2] / "examples"
VILLAGE = load(EXAMPLES / "village.toml")
HOME = load(EXAMPLES / "home.toml")
STATE = Path("/run/demo")
ADDRESS = BrokerAddress(port=40_001)

TWO_BOXES = """\
[station]
id = "north"

[broker]
host = "10.0.0.1"
ca = "/etc/shouwang/ca.pem"

[[officer]]
id = "desk"

[[community]]
id = "c1"

[[grid]]
id = "w1"
community = "c1"

[[grid]]
id = "w2"
community = "c1"

[[group]]
id = "ten1"
grid = "w1"
gateway = "gw1"

[[group]]
id = "ten2"
grid = "w2"
gateway = "gw2"

[[household]]
id = "h01"
group = "ten1"
door = 1

[[household]]
id = "h02"
group = "ten1"
door = 2
remote = true

[[household]]
id = "h03"
group = "ten2"
door = 3
duress = true

[[gateway]]
id = "gw1"

[[gateway.line]]
name = "line1"
port = "/dev/serial/by-id/one"

[[gateway.unit]]
id = "u01"
line = "line1"
address = 1
household = "h01"
silent = false
volume = 2
night_volume = 1
strobe = true

[[gateway]]
id = "gw2"
gpio = "mock"
night = [0, 0]

[[gateway.line]]
name = "line1"
port = "/dev/serial/by-id/two"
baud = 115200

[[gateway.line]]
name = "radio"
port = "/dev/serial/by-id/three"
kind = "radio433"
form = "text"

[[gateway.unit]]
id = "u02"
line = "line1"
address = 1
household = "h02"

[[gateway.unit]]
id = "u03"
line = "line1"
address = 0xFFEF
household = "h03"

[[gateway.contact]]
id = "k1"
pin = 17
household = "h03"
kind = "duress"
normally_closed = true

[[gateway.sounder]]
id = "s1"
pin = 27
group = "ten2"
active_high = false

[[gateway.remote]]
id = "f1"
identity = 0xABCDE
command = 8
household = "h03"
kind = "fire"

[gateway.zigbee]
user = "bridge"
base = "z2m"

[[gateway.zigbee_button]]
id = "z1"
name = "red button"
household = "h03"
actions = { emergency = "panic", hold = "medical" }
"""


def site_of(text: str) -> Site:
    checked = check_text(text)
    assert checked.site is not None, checked.problems
    return checked.site


TWO = site_of(TWO_BOXES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def village_keys(folder: Path) -> Keys:
    return keys.provision(VILLAGE, folder, draw=Random(1).randbytes).keys


@pytest.fixture
def two_keys(folder: Path) -> Keys:
    keys.provision(TWO, folder, draw=Random(2).randbytes)
    zigbee = folder / "gateways/gw2/zigbee"
    zigbee.touch(mode=0o600)
    zigbee.write_text("bridge of-sighs\n")
    return keys.read(folder)


def told(site: Site, known: Keys, gateway: str) -> GatewaySettings:
    return assembly.gateway_settings(site, known, gateway, state=STATE, broker=ADDRESS)


@pytest.mark.proves("N4")
def test_gateway_and_station_agree_on_who_belongs_together(village_keys: Keys) -> None:
    ours = GatewayRegister(told(VILLAGE, village_keys, "gw1"))
    theirs = StationRegister(assembly.station_settings(VILLAGE, village_keys, state=STATE))
    for household in VILLAGE.households:
        membership = ours.membership(ours.household(household.id))
        assert membership == theirs.membership(household.id)
        assert len(membership.households) == 10
        assert membership.excluded == household.excludes
        assert (membership.community, membership.grid) == ("c1", "w1")


def test_the_village_has_what_the_demo_shows(village_keys: Keys) -> None:
    settings = told(VILLAGE, village_keys, "gw1")
    register = GatewayRegister(settings)
    fourth, seventh = register.unit("line1", 4), register.unit("line1", 7)
    assert fourth is not None
    assert seventh is not None
    assert register.membership(register.household(fourth.household)).excluded == {"h05"}
    assert [household.id for household in settings.households if household.duress] == [seventh.household]
    assert [household.id for household in settings.households if household.medical_consent] == ["h06"]
    assert len(settings.units) == 10
    assert [(line.name, line.kind, line.baud, line.reader) for line in settings.lines] == [
        ("line1", "native", 9600, None),
        ("gate", "rdm6300", 9600, "r1"),
        ("west", "wiegand", 9600, "r2"),
        ("garage", "rdm6300", 9600, "r3"),
    ]
    assert len(settings.tags) == 3
    assert settings.gpio == "mock"
    assert [(reader.id, reader.form, reader.buzzer, reader.lamp) for reader in settings.readers] == [
        ("r1", None, 22, 23),
        ("r2", "w34", 24, 25),
        ("r3", None, 5, 6),
    ]


def test_simulated_units_and_the_gateway_hold_the_same_keys(village_keys: Keys) -> None:
    settings = told(VILLAGE, village_keys, "gw1")
    village = assembly.village_settings(VILLAGE, village_keys, "gw1", seed=5, heartbeat_s=2)
    assert {
        unit.name: (line.name, unit.unit, unit.key, unit.door) for line in village.lines for unit in line.units
    } == {
        unit.id: (unit.line, unit.address, unit.key.get_secret_value(), household.door)
        for unit, household in zip(settings.units, settings.households, strict=True)
    }
    assert [(line.name, line.kind, line.baud) for line in village.lines] == [
        ("line1", LineKind.NATIVE, 9600),
        ("gate", LineKind.RDM6300, 9600),
        ("west", LineKind.WIEGAND, 9600),
        ("garage", LineKind.RDM6300, 9600),
    ]
    assert (village.seed, village.heartbeat_s) == (5, 2)
    assert VillageSettings.from_json(village.to_json()) == village
    assert assembly.village_settings(VILLAGE, village_keys, "gw1").heartbeat_s == 60


def test_gateway_and_station_know_each_others_public_keys(village_keys: Keys) -> None:
    gateway = told(VILLAGE, village_keys, "gw1")
    station = assembly.station_settings(VILLAGE, village_keys, state=STATE)
    of_gateway = Signer("gateway:gw1", gateway.signing_seed.get_secret_value())
    of_station = Signer("station", station.signing.seed())
    assert station.public_keys == {"gateway:gw1": of_gateway.public}
    assert gateway.known_keys == {"station": of_station.public.hex()}


def test_both_come_to_the_broker_under_their_own_accounts(village_keys: Keys) -> None:
    gateway = told(VILLAGE, village_keys, "gw1")
    station = assembly.station_settings(VILLAGE, village_keys, state=STATE, broker=ADDRESS)
    known = {principal.user: password for principal, password in assembly.principals(VILLAGE, village_keys).items()}
    for access in (gateway.broker, station.broker):
        assert access.password is not None
        assert known[access.user] == access.password.get_secret_value()
        assert (access.host, access.port, access.ca) == ("127.0.0.1", 40_001, None)
    assert known == village_keys.passwords


def test_without_an_address_the_site_files_broker_counts(two_keys: Keys) -> None:
    gateway = assembly.gateway_settings(TWO, two_keys, "gw1", state=STATE)
    station = assembly.station_settings(TWO, two_keys, state=STATE)
    for access in (gateway.broker, station.broker):
        assert (access.host, access.port, access.ca) == ("10.0.0.1", 8883, Path("/etc/shouwang/ca.pem"))


def test_ports_without_a_slash_lie_in_the_state_directory(village_keys: Keys, two_keys: Keys) -> None:
    village, two = told(VILLAGE, village_keys, "gw1"), told(TWO, two_keys, "gw2")
    assert [line.port for line in village.lines] == [
        STATE / "ports" / name for name in ("line1", "gate", "west", "garage")
    ]
    assert [str(line.port) for line in two.lines] == ["/dev/serial/by-id/two", "/dev/serial/by-id/three"]
    for site, settings in ((VILLAGE, village), (TWO, two)):
        assert assembly.ports(site, settings.gateway, state=STATE) == {line.name: line.port for line in settings.lines}


def test_everything_on_a_gateway_reaches_it(two_keys: Keys) -> None:
    settings = told(TWO, two_keys, "gw2")
    assert settings.contacts == (
        Contact.model_validate({"id": "k1", "pin": 17, "household": "h03", "kind": "duress", "normally_closed": True}),
    )
    assert settings.sounders == (
        Sounder.model_validate({"id": "s1", "pin": 27, "group": "ten2", "active_high": False}),
    )
    assert settings.remotes == (
        Remote.model_validate({"id": "f1", "identity": 0xABCDE, "command": 8, "household": "h03", "kind": "fire"}),
    )
    assert settings.zigbee_buttons == (
        ZigbeeButton.model_validate(
            {
                "id": "z1",
                "name": "red button",
                "household": "h03",
                "actions": {"emergency": Kind.PANIC, "hold": Kind.MEDICAL},
            }
        ),
    )
    assert settings.zigbee == ZigbeeAccess.model_validate({"user": "bridge", "password": "of-sighs", "base": "z2m"})
    assert [(line.baud, line.kind, line.form) for line in settings.lines] == [
        (115_200, "native", "timed"),
        (9600, "radio433", "text"),
    ]
    assert [(unit.address, unit.household) for unit in settings.units] == [(1, "h02"), (0xFFEF, "h03")]
    assert (settings.gpio, settings.night) == ("mock", (0, 0))
    (unit,) = told(TWO, two_keys, "gw1").units
    assert (unit.volume, unit.night_volume, unit.strobe) == (2, 1, True)


@pytest.mark.proves("N4")
def test_a_gateway_knows_its_own_groups_and_nobody_else(two_keys: Keys) -> None:
    first, second = told(TWO, two_keys, "gw1"), told(TWO, two_keys, "gw2")
    assert [household.id for household in first.households] == ["h01", "h02"]
    assert [group.id for group in first.groups] == ["ten1"]
    assert [household.id for household in second.households] == ["h01", "h02", "h03"]
    assert [(group.id, group.community, group.grid) for group in second.groups] == [
        ("ten1", "c1", "w1"),
        ("ten2", "c1", "w2"),
    ]
    assert {unit.id for unit in first.units} == {"u01"}


def test_where_a_group_is_on_two_gateways_each_rings_its_own_for_the_other(two_keys: Keys) -> None:
    """h02 hangs on gw2 though its group is at home on gw1: their presses cross by the broker, both ways."""
    first, second = told(TWO, two_keys, "gw1"), told(TWO, two_keys, "gw2")
    assert [household.id for household in first.households if household.remote] == ["h01"]
    assert [household.id for household in second.households if household.remote] == ["h02"]
    assert set(first.known_keys) == {"station", "gateway:gw2"}
    assert set(second.known_keys) == {"station", "gateway:gw1"}
    text = acl_file(accounts.principals(TWO))
    of_first, of_second = (_block(text, f"north.gateway.gw{n}") for n in (1, 2))
    assert "topic read sw1/north/household/h01/alarm" in of_first
    assert "topic write sw1/north/household/h02/alarm" in of_first
    assert "topic read sw1/north/household/h02/alarm" in of_second
    assert "topic write sw1/north/household/h01/alarm" in of_second
    assert not any("h03" in line or "w2" in line for line in of_first)
    assert not any("read" in line and ("h01" in line or "h03" in line) for line in of_second)


def _block(text: str, user: str) -> list[str]:
    return text.split(f"user {user}\n")[1].partition("\n\n")[0].splitlines()


@pytest.mark.proves("N4")
def test_a_gateway_may_write_to_its_slice_only() -> None:
    gateway = VILLAGE.gateways[0]
    principal = accounts.gateway_principal(VILLAGE, gateway)
    assert principal.alerts == frozenset(("grid:w1", "community:c1", *(f"household:h{n:02}" for n in range(1, 11))))
    assert principal.rings == set()
    assert not any(right.access == "write" and "+" in right.filter for right in rights(principal))


@pytest.mark.proves("N4")
def test_a_household_has_an_account_only_when_the_file_gives_it_one() -> None:
    roles = [principal.role for principal in accounts.principals(HOME)]
    assert Role.HOUSEHOLD not in roles
    assert Principal(station=VILLAGE.station.id, role=Role.HOUSEHOLD, id="h03") in accounts.principals(VILLAGE)
    assert Principal(station=TWO.station.id, role=Role.HOUSEHOLD, id="h03") not in accounts.principals(TWO)


def test_the_station_learns_of_everybody_and_of_every_device(two_keys: Keys) -> None:
    settings = assembly.station_settings(TWO, two_keys, state=STATE)
    assert [household.id for household in settings.households] == ["h01", "h02", "h03"]
    assert {unit.id: unit.household for unit in settings.units} == {
        "u01": "h01",
        "u02": "h02",
        "u03": "h03",
        "k1": "h03",
        "f1": "h03",
        "z1": "h03",
    }
    assert settings.gateways == {"gw1", "gw2"}
    assert settings.database == "sqlite:////run/demo/station.db"
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert assembly.station_settings(TWO, two_keys, state=STATE, http_port=0).http.port == 0


def test_an_officers_token_opens_the_station(folder: Path) -> None:
    made = keys.provision(VILLAGE, folder)
    (officer,) = assembly.station_settings(VILLAGE, made.keys, state=STATE).officers
    assert (officer.id, officer.name, officer.role) == ("desk", "值班台", "officer")
    assert officer.token_hash == made.keys.officer("desk")


def test_where_an_alarm_is_opened_is_said_in_the_site_file(village_keys: Keys, two_keys: Keys) -> None:
    station = assembly.station_settings(VILLAGE, village_keys, state=STATE)
    assert (station.notify.link, station.notify.loopback) == ("http://localhost:8080/api/v1/alarms/", False)
    assert assembly.station_settings(TWO, two_keys, state=STATE).notify == NotifySettings()


def test_the_stations_former_key_is_named_when_it_lies_beside_the_present_one(folder: Path) -> None:
    made = keys.provision(VILLAGE, folder).keys
    assert assembly.station_settings(VILLAGE, made, state=STATE).signing.former == ()
    former = folder / "station" / "seed.former"
    former.write_text("00" * 32)
    former.chmod(0o600)
    assert assembly.station_settings(VILLAGE, keys.read(folder), state=STATE).signing.former == (former,)


def test_the_stations_settings_pass_through_their_file(village_keys: Keys) -> None:
    settings = assembly.station_settings(VILLAGE, village_keys, state=STATE)
    again = StationSettings.model_validate_json(assembly.station_text(settings))
    assert again == settings
    assert again.broker.password is not None
    assert again.broker.password.get_secret_value() == village_keys.password("north.station")


def test_one_box_has_its_button_and_its_siren_on_real_pins(folder: Path) -> None:
    known = keys.provision(HOME, folder, draw=Random(3).randbytes).keys
    settings = told(HOME, known, "box")
    assert [(contact.id, contact.pin, contact.household) for contact in settings.contacts] == [("button", 17, "h1")]
    assert [(sounder.id, sounder.pin, sounder.household) for sounder in settings.sounders] == [("siren", 27, "h1")]
    assert settings.gpio == "lgpio"
    pretended = assembly.gateway_settings(
        HOME, known, "box", state=STATE, broker=ADDRESS, gpio="mock", gpio_socket=STATE / "pins"
    )
    assert (pretended.gpio, pretended.gpio_socket) == ("mock", STATE / "pins")


def test_a_gateway_that_is_not_there_is_told_with_those_that_are(village_keys: Keys) -> None:
    with pytest.raises(UnknownGateway, match="'gw9' in the site file, only gw1") as caught:
        told(VILLAGE, village_keys, "gw9")
    assert caught.value.known == (GatewayId("gw1"),)


@pytest.mark.parametrize("missing", ["public", "gateways/gw1/seed", "gateways/gw1/account", "gateways/gw1/units"])
@pytest.mark.usefixtures("village_keys")
def test_a_gateway_without_its_keys_is_not_put_together(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    if missing == "public":
        (folder / "station/seed").unlink()
    with pytest.raises(KeyMissing):
        told(VILLAGE, keys.read(folder), "gw1")


@pytest.mark.parametrize("missing", ["station/seed", "station/account", "station/officers"])
@pytest.mark.usefixtures("village_keys")
def test_a_station_without_its_keys_is_not_put_together(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(KeyMissing):
        assembly.station_settings(VILLAGE, keys.read(folder), state=STATE)


def test_a_zigbee_password_is_asked_of_people(two_keys: Keys, folder: Path) -> None:
    """The broker is theirs: what we would draw opens nothing there."""
    (folder / "gateways/gw2/zigbee").unlink()
    with pytest.raises(KeyMissing, match="write the line `user password` there") as caught:
        told(TWO, keys.read(folder), "gw2")
    assert caught.value.path == folder / "gateways/gw2/zigbee"
    assert told(TWO, two_keys, "gw1").zigbee is None


def test_a_gateway_is_put_together_without_station_simulator_or_screen() -> None:
    """They cost memory on a board that has little."""
    program = (
        "import sys; from deploy import assembly, check, keys; print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "gateway" in loaded
    assert not {"api", "firmware_sim", "rich", "typer", "fastapi", "sqlmodel"} & set(loaded)


def test_a_household_in_no_group_is_known_where_its_unit_hangs(folder: Path) -> None:
    group = '[[group]]\nid = "ten2"\ngrid = "w2"\ngateway = "gw2"\n'
    lonely = site_of(TWO_BOXES.replace(group, "").replace('group = "ten2"\n', ""))
    known = keys.provision(lonely, folder, draw=Random(4).randbytes).keys
    part = accounts.slice_of(lonely, lonely.gateways[1])
    assert HouseholdId("h03") in {household.id for household in part.households}
    assert part.rings == {"h02"}
    assert GatewayRegister(told(lonely, known, "gw1")).household(HouseholdId("h03")) is None


@pytest.mark.proves("N8")
def test_a_site_that_wants_to_know_sooner_of_a_lost_gateway_has_gateways_that_speak_as_often(two_keys: Keys) -> None:
    close = TWO.model_copy(update={"station": TWO.station.model_copy(update={"lost_within_s": 20})})
    for site, within_s, status_s in ((TWO, 90, 20), (close, 20, 5)):
        assert assembly.station_settings(site, two_keys, state=STATE).lost_within_s == within_s
        for id_ in ("gw1", "gw2"):
            assert assembly.gateway_settings(site, two_keys, id_, state=STATE).status_s == status_s
