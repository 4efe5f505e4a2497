"""The station is the authority: each gateway gets its own slice, in rising versions, until it runs it."""

from base64 import urlsafe_b64decode
from collections.abc import Iterator

import pytest

from api.register.slices import MOST_TAGS, Slicer, TagsNow, slice_of
from api.register.snapshot import Snapshot
from api.rights.rules import Role
from broker.messages import ConfigPart
from broker.slices import RegisterSlice
from deploy.mosquitto import PrivateBroker
from tests.api.conftest import Serve, Served
from tests.api.peers import GATEWAYS, HOUSEHOLDS, STATION, Gateway, eventually
from tests.api.people import somebody


def exclude(served: Served, place: str, *excluded: str) -> None:
    read = served.client.get(f"/api/v1/register/places/{place}", headers={"Authorization": "Bearer token-of-li"})
    answer = served.client.put(
        f"/api/v1/register/places/{place}/exclusions",
        json={"excludes": excluded},
        headers={"Authorization": "Bearer token-of-li", "If-Match": read.headers["ETag"]},
    )
    assert answer.status_code == 200, answer.text


def text(part: ConfigPart) -> RegisterSlice:
    return RegisterSlice.model_validate_json(urlsafe_b64decode(part.data + "=="))


def versions(served: Served) -> dict[str, tuple[int, int | None]]:
    listed = served.get("/api/v1/register/slices", officer="zhao")
    return {one["gateway"]: (one["version"], one["runs"]) for one in listed}


def home(served: Served, gateway: Gateway) -> None:
    """Make `gateway` the home of the group."""
    read = served.get("/api/v1/register/areas/gr1")
    body = {"name": read["name"], "parent": read["parent"], "gateway": gateway.name}
    answer = served.client.put(
        "/api/v1/register/areas/gr1",
        json=body,
        headers={"Authorization": "Bearer token-of-zhao", "If-Match": f'"{read["version"]}"'},
    )
    assert answer.status_code == 200, answer.text


@pytest.fixture
def other(broker: PrivateBroker) -> Iterator[Gateway]:
    with Gateway(broker, GATEWAYS[1], salt=7) as connected:
        yield connected


class TestSlices:
    @pytest.mark.proves("G1")
    def test_what_gateways_were_set_up_with_is_sent_to_nobody(self, served: Served, gateway: Gateway) -> None:
        gateway.say_status(register_version=0)
        assert {version for version, _ in versions(served).values()} == {0}
        assert served.rows("SELECT count(*) FROM outgoing WHERE topic LIKE '%/config'") == [(0,)]

    @pytest.mark.proves("G1", "G7")
    def test_a_change_reaches_the_gateway_that_it_touches_and_no_other(
        self, served: Served, gateway: Gateway, other: Gateway
    ) -> None:
        home(served, gateway)
        gateway.say_status(register_version=0)
        other.say_status(register_version=0)
        exclude(served, HOUSEHOLDS[0], HOUSEHOLDS[1])
        part = gateway.hear(ConfigPart, lambda part: part.version == 2)
        found = text(part)
        assert (found.gateway, found.version) == (gateway.name, 2)
        first = next(one for one in found.households if one.id == HOUSEHOLDS[0])
        assert first.excludes == (HOUSEHOLDS[1],)
        assert served.rows("SELECT count(*) FROM outgoing WHERE topic LIKE ?", f"%/{other.name}/config") == [(0,)]
        assert "key" not in urlsafe_b64decode(part.data + "==").decode()

    def test_a_gateway_that_runs_an_older_one_is_sent_it_again_and_one_that_runs_it_is_left_alone(
        self, serve: Serve, gateway: Gateway
    ) -> None:
        now = [1_790_000_000_000]
        with serve(clock=lambda: now[0]) as served:
            home(served, gateway)
            gateway.hear(ConfigPart)
            now[0] += 20_000
            gateway.say_status(register_version=0)
            gateway.until(lambda: len(gateway.bodies(ConfigPart)) == 2, "the slice again")
            now[0] += 20_000
            gateway.say_status(register_version=1)
            exclude(served, HOUSEHOLDS[0], HOUSEHOLDS[1])
            gateway.hear(ConfigPart, lambda part: part.version == 2)
            assert [part.version for part in gateway.bodies(ConfigPart)] == [1, 1, 2]
            assert versions(served)[gateway.name] == (2, 1)

    def test_a_station_whose_tables_are_older_than_its_gateway_goes_on_above_it(
        self, served: Served, gateway: Gateway
    ) -> None:
        home(served, gateway)
        gateway.hear(ConfigPart)
        gateway.say_status(register_version=41)
        assert gateway.hear(ConfigPart, lambda part: part.version == 42).version == 42

    def test_drift_is_shown(self, served: Served, gateway: Gateway) -> None:
        gateway.say_status(register_version=0, faults=("register_drift",))

        def shown() -> bool:
            listed = served.get("/api/v1/register/slices", officer="zhao")
            return bool({one["gateway"]: one["drift"] for one in listed}[gateway.name])

        eventually(shown, "drift")

    def test_a_slice_has_nothing_of_groups_that_are_elsewhere(self, served: Served, gateway: Gateway) -> None:
        assert slice_of(served.station.register.now, gateway.name).households == ()
        home(served, gateway)
        now: Snapshot = served.station.register.now
        assert {one.id for one in slice_of(now, gateway.name).households} == {*HOUSEHOLDS}

    def test_a_change_that_was_not_made_into_a_slice_is_made_at_the_next_start(
        self, serve: Serve, gateway: Gateway
    ) -> None:
        with serve() as served:
            home(served, gateway)
            with served.station.database.write() as session:
                edit = served.station.registrar.within(session, "li")
                edit.exclude(HOUSEHOLDS[0], [HOUSEHOLDS[1]], if_match='"1"')
        with serve() as served:
            gateway.hear(ConfigPart, lambda part: part.version == 2)
            assert versions(served)[gateway.name][0] == 2


class TestTags:
    @pytest.mark.proves("P1", "G7")
    def test_a_gateway_with_a_reader_is_told_which_tags_are_known_and_never_whose(
        self, serve: Serve, gateway: Gateway, other: Gateway
    ) -> None:
        with serve() as served:
            officer = somebody(served, "xu", Role.DUTY_OFFICER, STATION)
            new = {"force": "police", "service_number": "P001", "name": "钱七"}
            guard = officer.post("/api/v1/guards", new, status=201)["id"]
            for tag in ("10:00:86:F4:44", "62:E3:08:6C:ED"):
                officer.post(f"/api/v1/guards/{guard}/cards", {"tag": tag}, status=201)
            officer.post("/api/v1/checkpoints", {"id": "pole", "area": "gr1", "name": "灯杆"}, status=201)
            officer.post("/api/v1/checkpoint-tags", {"tag": "04416D412B0289", "point": "pole"}, status=201)
            reader = {"gateway": gateway.name, "reader": "r-shed"}
            officer.post("/api/v1/checkpoints", {"id": "shed", "area": "gr1", "name": "车棚", **reader}, status=201)
            found = text(gateway.hear(ConfigPart, lambda part: part.version == 1))
            assert found.tags == ("04416D412B0289", "100086F444", "62E3086CED")
            assert guard not in found.text().decode()
            assert "钱七" not in found.text().decode()
            officer.post(f"/api/v1/guards/{guard}/cards/1/end", {"how": "lost"})
            lost = text(gateway.hear(ConfigPart, lambda part: part.version == 2))
            assert lost.tags == ("04416D412B0289", "62E3086CED")
            officer.post("/api/v1/checkpoints/shed/end")
            assert text(gateway.hear(ConfigPart, lambda part: part.version == 3)).tags is None
            assert served.rows("SELECT count(*) FROM outgoing WHERE topic LIKE ?", f"%/{other.name}/config") == [(0,)]
            served.station._look_at_tags(0)
            assert versions(served)[gateway.name][0] == 3

    @pytest.mark.proves("P1", "N7")
    def test_of_more_tags_than_a_slice_carries_cards_come_before_what_hangs_at_checkpoints(
        self, served: Served, gateway: Gateway
    ) -> None:
        cards = [f"{number:010X}" for number in range(2**32, 2**32 + MOST_TAGS)]
        tags = TagsNow((*cards, "04416D412B0289"), frozenset({gateway.name}))
        one = Slicer(served.station.register.now, {}, tags).make(gateway.name)
        assert one.tags == tuple(cards)
        assert len(one.text()) < 400_000
        assert Slicer(served.station.register.now, {}, tags).make("another").tags is None
