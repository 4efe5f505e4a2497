"""How the chapters of the benchmark reckon with what they saw."""

from __future__ import annotations

import json
from pathlib import Path

from bench.disk import backlog
from bench.latency import Presses
from bench.listening import STATION, Arrival
from bench.places import HOUSEHOLDS, Place
from bench.sirens import Heard, read_ns, take
from deploy import check

PLACE = Place(groups=2, baud=115_200)


def arrival(audience: str, at_ns: int, **body: object) -> Arrival:
    return Arrival(audience, at_ns, "sw1/bench/x", json.dumps({"body": body}))


def test_the_measured_site_is_one_that_check_accepts(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(PLACE.text(), encoding="utf-8")
    site = check.load(path)
    assert [unit.id for unit in site.gateways[0].units] == list(PLACE.units)
    assert [unit.address for unit in site.gateways[0].units] == list(range(1, 21))


def test_a_press_reaches_police_community_grid_and_nine_neighbours_of_its_own_group() -> None:
    audiences = PLACE.audiences_of("u012")
    assert audiences[:3] == ("police", "community:c1", "grid:w1")
    assert set(audiences[3:]) == {f"household:h{number:03}" for number in range(11, 21)} - {"household:h012"}
    assert len(PLACE.neighbours_of("u012")) == HOUSEHOLDS


def test_backlog_is_what_had_gone_and_not_come() -> None:
    assert backlog([1, 2, 3, 10], [4, 5, 6, 11]) == 3
    assert backlog([1, 3, 5], [2, 4, 6]) == 1


def test_a_press_counts_when_everybody_who_must_has_it_and_nobody_else() -> None:
    wanted = {"u001:2:1": ("police", "grid:w1"), "u001:2:2": ("police",), "u001:2:3": ("police",)}
    presses = Presses()
    presses.take(
        {"u001:2:1": 1_000_000, "u001:2:2": 2_000_000, "u001:2:3": 3_000_000},
        [
            arrival(STATION, 2_000_000, id="a", press="u001:2:1"),
            arrival("police", 3_000_000, id="a"),
            arrival("grid:w1", 5_000_000, id="a"),
            arrival(STATION, 2_100_000, id="b", press="u001:2:2"),
            arrival("police", 3_000_000, id="b"),
            arrival("household:h002", 3_000_000, id="b"),
            arrival("police", 4_000_000, id="c"),
        ],
        wanted,
    )
    assert (presses.station, presses.first, presses.last) == ([1.0], [2.0], [4.0])
    assert presses.incomplete == 2


def test_a_siren_is_reckoned_from_the_first_press_that_concerns_it_to_the_begin_of_its_frame() -> None:
    place = Place(groups=1, baud=9_600)
    ms = 1_000_000
    events = [
        {"event": "pressed", "unit": "u003", "at_ns": 1_000 * ms},
        *({"event": "siren", "unit": unit, "at_ns": 1_200 * ms} for unit in place.units[:9]),
        {"event": "confirmed", "unit": "u003", "what": "press", "at_ns": 1_500 * ms},
    ]
    read = read_ns([arrival(STATION, 0, event="press", unit="u003", mono_us=100_000)], 1_000 * ms)
    assert read == {"u003": 1_100 * ms}
    heard = Heard()
    take(heard, place, events, read)
    assert heard.silent == 1
    assert heard.recorded == [0.5]
    assert [round(seconds, 4) for seconds in heard.frame] == [0.0625] * 9  # 36 characters take 37.5 ms
    assert heard.ear == [0.2] * 9
