"""One small village, as values: a station, a group of four, a key for each signer."""

from broker.ids import (
    CommunityId,
    EventId,
    GatewayId,
    GridId,
    GroupId,
    HouseholdId,
    PressKey,
    StationId,
    UnitId,
    event_id,
)
from broker.kinds import Kind
from broker.policy import AlarmFacts, Membership
from broker.signing import STATION_KID, Signer, Verifier, gateway_kid

STATION = StationId("north")
GATEWAY = GatewayId("gw1")
GROUP = GroupId("g07")
PRESSER, NEXT_DOOR, OPPOSITE, EXCLUDED = (HouseholdId(f"h0{number}") for number in range(1, 5))
COMMUNITY = CommunityId("guangming")
GRID = GridId("grid-3")

GATEWAY_SIGNER = Signer(gateway_kid(GATEWAY), bytes(range(32)))
OTHER_SIGNER = Signer(gateway_kid(GatewayId("gw2")), bytes(range(1, 33)))
STATION_SIGNER = Signer(STATION_KID, bytes(range(2, 34)))
SIGNERS = (GATEWAY_SIGNER, OTHER_SIGNER, STATION_SIGNER)

AT_MS = 1_763_776_000_123
ALARM: EventId = event_id(AT_MS, bytes(range(10)))

MEMBERSHIP = Membership(
    station=STATION,
    group=GROUP,
    households=frozenset({PRESSER, NEXT_DOOR, OPPOSITE, EXCLUDED}),
    excluded=frozenset({EXCLUDED}),
    community=COMMUNITY,
    grid=GRID,
)

PANIC = AlarmFacts(
    kind=Kind.PANIC,
    group=GROUP,
    place=PRESSER,
    door=1,
    label="王家小卖部",
    gateway=GATEWAY,
    unit=UnitId("u01"),
    press=PressKey("u01:3:7"),
    verified=True,
    reason="replay",
    at_ms=AT_MS,
    clock="synced",
)


def verifier(station: StationId = STATION) -> Verifier:
    return Verifier(station, {signer.kid: signer.public for signer in SIGNERS})
