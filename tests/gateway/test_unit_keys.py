"""What units speak with by now: known after a restart, whatever keys came, and read by nobody else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretBytes

from broker.ids import StationId, UnitId
from broker.slices import RegisterSlice, SliceUnit
from gateway import unit_keys
from gateway.slices import Kept, apply, site_keys
from gateway.unit_keys import FILE, SpokenKey, digest
from tests.gateway.place import GATEWAY, STATION, seed, settings
from tests.gateway.running import running

pytestmark = pytest.mark.anyio

K1, K2, K3 = (bytes([number] * 16) for number in (1, 2, 3))
KNOWN, NEW = UnitId("u01"), UnitId("u07")


def slice_of(version: int = 1) -> RegisterSlice:
    units: list[dict[str, Any]] = [
        {"id": KNOWN, "household": "h01", "line": "line1", "address": 1},
        {"id": NEW, "household": "h04", "line": "line1", "address": 7},
    ]
    made = tuple(SliceUnit.model_validate(one) for one in units)
    return RegisterSlice(station=StationId(STATION), gateway=GATEWAY, version=version, units=made)


def came(version: int, **keys: bytes) -> Kept:
    return Kept(slice_of(version), "sw1/north/gateway/gw1/config", (), keys)


def secrets(one: Any) -> tuple[bytes, bytes | None, tuple[bytes, ...]]:
    later = None if one.next_key is None else one.next_key.get_secret_value()
    return one.key.get_secret_value(), later, tuple(key.get_secret_value() for key in one.other_keys)


def unit_in(found: Any, unit: UnitId) -> tuple[bytes, bytes | None, tuple[bytes, ...]]:
    return secrets(next(one for one in found.units if one.id == unit))


@pytest.mark.proves("N13", "N14")
def test_they_are_kept_sealed_for_this_box_and_what_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    here = settings(tmp_path)
    spoken = {"u01": SpokenKey(K1, digest(K2), (K3,)), "u07": SpokenKey(K2, digest(None))}
    unit_keys.keep(here, spoken)
    path = tmp_path / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert not [key for key in (K1, K2, K3) if key.hex() in path.read_text() or key in path.read_bytes()]
    assert unit_keys.load(here) == spoken
    assert unit_keys.load(settings(tmp_path, signing_seed=seed("gw9"))) == {}
    for text in ("", "{}", path.read_text()[:-4], "\x00"):
        path.write_text(text)
        assert unit_keys.load(here) == {}
    path.unlink()
    assert unit_keys.load(here) == {}


@pytest.mark.proves("N13")
def test_a_key_that_a_unit_has_taken_counts_until_somebody_writes_another_into_the_sites_keys() -> None:
    here = settings(Path("/nowhere"))
    own = site_keys(here)[KNOWN]
    spoken: dict[str, SpokenKey] = {KNOWN: SpokenKey(K1, digest(own), (K2,))}
    assert unit_in(apply(here, slice_of(), {KNOWN: K1}, spoken).settings, KNOWN) == (K1, None, (K2,))
    assert unit_in(apply(here, slice_of(), {KNOWN: K3}, spoken).settings, KNOWN) == (K1, K3, (K2,))
    by_hand: dict[str, SpokenKey] = {KNOWN: SpokenKey(K1, digest(K3))}
    assert unit_in(apply(here, slice_of(), {KNOWN: K1}, by_hand).settings, KNOWN) == (own, K1, ())


@pytest.mark.proves("N13", "N14")
async def test_one_that_is_offered_three_keys_in_a_row_is_believed_by_whichever_it_took(tmp_path: Path) -> None:
    """Also one that the site's keys never had; and a restart in between changes nothing."""
    here = settings(tmp_path / "state")
    own = site_keys(here)[KNOWN]
    async with running(here) as gateway:
        for version, key in enumerate((K1, K2, K3), start=1):
            gateway._apply(came(version, u01=key, u07=key))
        assert unit_in(gateway._settings, KNOWN) == (own, K3, (K1, K2))
        assert unit_in(gateway._settings, NEW) == (K1, K3, (K2,))
        await gateway._keep_spoken()
        loaded = await asyncio.to_thread(unit_keys.load, here)
        again = apply(here, slice_of(3), {KNOWN: K3, NEW: K3}, loaded).settings
        assert unit_in(again, KNOWN) == (own, K3, (K1, K2))
        assert unit_in(again, NEW) == (K1, K3, (K2,))
        gateway._key_taken(KNOWN, K2)
        gateway._key_taken(NEW, K3)
        assert unit_in(gateway._settings, KNOWN) == (K2, K3, ())
        assert unit_in(gateway._settings, NEW) == (K3, None, ())
        assert gateway.health()["keys_offered"] == [KNOWN]
        assert gateway._keeping_slice is not None
        await asyncio.gather(gateway._keeping_slice)
    loaded = await asyncio.to_thread(unit_keys.load, here)
    again = apply(here, slice_of(3), {KNOWN: K3, NEW: K3}, loaded).settings
    assert unit_in(again, KNOWN) == (K2, K3, ())
    assert unit_in(again, NEW) == (K3, None, ())
    assert SecretBytes(K1) not in [key for unit in again.units for key in (unit.key, *unit.other_keys)]
