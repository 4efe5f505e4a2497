"""A register slice travels in parts, and is put together whole or not at all."""

from collections.abc import Iterator
from itertools import count
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ids import EventId, GatewayId, StationId, event_id
from broker.messages import ConfigPart
from broker.sealing import sealing_key
from broker.slices import (
    Assembly,
    RegisterSlice,
    SliceGroup,
    SliceHousehold,
    SlicePeer,
    SliceRefused,
    SliceUnit,
    open_keys,
    parts,
    read,
    seal_keys,
)


def ids() -> Iterator[EventId]:
    return (event_id(number, bytes(10)) for number in count(1))


def slice_of(households: int, *, version: int = 1, gateway: str = "g1") -> RegisterSlice:
    return RegisterSlice(
        station="north",
        gateway=GatewayId(gateway),
        version=version,
        groups=(SliceGroup.model_validate({"id": "gr1", "community": "c1"}),),
        households=tuple(
            SliceHousehold.model_validate({"id": f"h{number}", "group": "gr1", "label": "东街" * 20})
            for number in range(households)
        ),
        units=(SliceUnit.model_validate({"id": "u1", "household": "h0", "line": "line1", "address": 7}),),
    )


def sent(one: RegisterSlice) -> list[ConfigPart]:
    return parts(one.text(), station=StationId("north"), gateway=one.gateway, version=one.version, ids=ids())


@pytest.mark.proves("G1")
@given(st.integers(0, 400), st.randoms(use_true_random=False))
def test_parts_in_any_order_and_twice_make_the_same_slice(households: int, dice: Random) -> None:
    one = slice_of(households)
    shuffled = sent(one) * 2
    dice.shuffle(shuffled)
    assembly = Assembly("north", "g1")
    made = []
    for part in shuffled:
        if (whole := assembly.take(part)) is not None:
            made.append(whole)
            assembly.runs = whole.version
    assert made == [one]


def test_the_digest_of_the_content_does_not_know_the_version() -> None:
    assert slice_of(3, version=1).content() == slice_of(3, version=9).content() != slice_of(4).content()


@pytest.mark.proves("N13")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"version": 4}, "old_version"),
        ({"version": 6}, "not_ours"),
        ({"sha256": "0" * 64}, "bad_hash"),
        ({"part": 9}, "bad_part"),
        ({"parts": 9_999, "part": 1}, "bad_part"),
    ],
)
def test_what_is_not_the_slice_that_it_says_is_refused(changed: dict[str, object], code: str) -> None:
    (part,) = sent(slice_of(2, version=7))
    with pytest.raises(SliceRefused) as caught:
        Assembly("north", "g1", runs=5).take(part.model_copy(update=changed))
    assert caught.value.code == code


def test_another_gateways_slice_is_refused() -> None:
    (part,) = sent(slice_of(2, gateway="g2"))
    with pytest.raises(SliceRefused) as caught:
        Assembly("north", "g1").take(part)
    assert caught.value.code == "not_ours"


def test_a_newer_one_puts_a_half_sent_one_aside() -> None:
    first, second = sent(slice_of(300, version=1)), sent(slice_of(301, version=2))
    assert len(first) > 1
    assembly = Assembly("north", "g1")
    assert assembly.take(first[0]) is None
    made = [assembly.take(part) for part in second]
    assert made[-1] == slice_of(301, version=2)
    assembly.runs = 2
    with pytest.raises(SliceRefused):
        assembly.take(first[1])


SEED, OTHER_SEED = bytes(range(32)), bytes(range(1, 33))
KEYS = {"u1": bytes(range(16)), "u2": bytes(range(16, 32))}


def sealed(one: RegisterSlice, secret: int = 7) -> RegisterSlice:
    text = seal_keys(KEYS, one, key=sealing_key(SEED), secret=bytes([secret]) * 32)
    return one.model_copy(update={"sealed": text})


@pytest.mark.proves("N13")
def test_keys_of_units_are_opened_by_the_gateway_of_the_slice_and_by_nobody_else() -> None:
    one = sealed(slice_of(3))
    assert open_keys(read(one.text(), station="north", gateway="g1", version=1), seed=SEED) == KEYS
    assert open_keys(slice_of(3), seed=SEED) == {}
    for other, seed in ((one, OTHER_SEED), (one.model_copy(update={"gateway": GatewayId("g2")}), SEED)):
        with pytest.raises(SliceRefused) as caught:
            open_keys(other, seed=seed)
        assert caught.value.code == "bad_seal"
    for key in KEYS.values():
        assert key.hex().encode() not in one.text()
        assert key not in one.text()


def test_a_seal_is_another_one_each_time_and_changes_nothing_of_what_is_said() -> None:
    assert sealed(slice_of(3)).sealed != sealed(slice_of(3), secret=8).sealed
    assert sealed(slice_of(3)).content() == slice_of(3).content()


@pytest.mark.proves("N13")
@pytest.mark.parametrize("kid", ["station", "gateway:g3", "gateway:g22", "gateway:g2x#2", "g2"])
def test_a_peers_key_stands_for_nobody_else(kid: str) -> None:
    with pytest.raises(ValueError, match="somebody else's name"):
        SlicePeer(gateway=GatewayId("g2"), public={kid: "0" * 64})
    both = {"gateway:g2#2": "0" * 64, "gateway:g2": "1" * 64}
    assert SlicePeer(gateway=GatewayId("g2"), public=both).public == both
