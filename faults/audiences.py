"""Who may know of what in examples/village.toml, written down by hand.

The checker believes this and nothing else. It is not computed from `broker.policy`, which it is there to check.
"""

from collections.abc import Mapping

DOORS: Mapping[str, int] = {
    "u01": 501, "u02": 502, "u03": 503, "u04": 504, "u05": 505,
    "u06": 601, "u07": 602, "u08": 603, "u09": 604, "u10": 605,
}  # fmt: skip

HOMES: Mapping[str, str] = {
    "u01": "h01", "u02": "h02", "u03": "h03", "u04": "h04", "u05": "h05",
    "u06": "h06", "u07": "h07", "u08": "h08", "u09": "h09", "u10": "h10",
}  # fmt: skip

NEIGHBOURS: Mapping[str, str] = {
    "u01": "h02 h03 h04 h05 h06 h07 h08 h09 h10",
    "u02": "h01 h03 h04 h05 h06 h07 h08 h09 h10",
    "u03": "h01 h02 h04 h05 h06 h07 h08 h09 h10",
    "u04": "h01 h02 h03 h06 h07 h08 h09 h10",  # 504 does not want 505 to know
    "u05": "h01 h02 h03 h04 h06 h07 h08 h09 h10",
    "u06": "h01 h02 h03 h04 h05 h07 h08 h09 h10",
    "u07": "h01 h02 h03 h04 h05 h06 h08 h09 h10",
    "u08": "h01 h02 h03 h04 h05 h06 h07 h09 h10",
    "u09": "h01 h02 h03 h04 h05 h06 h07 h08 h10",
    "u10": "h01 h02 h03 h04 h05 h06 h07 h08 h09",
}

OFFICES = frozenset({"police", "community:c1", "grid:w1"})
EVERYBODY = OFFICES | {f"household:{household}" for household in HOMES.values()}

LOUD = frozenset({"panic", "help", "medical", "fire", "intrusion"})
SILENT = frozenset({"duress"})

ALWAYS_READ = frozenset({"v", "type", "topic", "audience", "id", "age_ms", "kind", "word_zh", "word_en", "mark"})
OF_NEIGHBOURS = frozenset({"door", "label"})
OF_THE_GRID = OF_NEIGHBOURS | {"group", "place", "verified", "at_ms", "clock"}
OF_THE_COMMUNITY = OF_THE_GRID | {"gateway"}
OF_THE_POLICE = OF_THE_COMMUNITY | {"unit", "press", "reason"}


def may_know(unit: str, key: str) -> frozenset[str]:
    """The audiences, as messages spell them, that may learn of a press of `key` at `unit`."""
    if key in SILENT:
        return frozenset({"police"})
    assert key in LOUD
    return OFFICES | {f"household:{household}" for household in NEIGHBOURS[unit].split()}


def may_sound(unit: str, key: str) -> frozenset[str]:
    """The units that may sound for a press of `key` at `unit`: the neighbours' and its own."""
    if key in SILENT:
        return frozenset()
    households = NEIGHBOURS[unit].split()
    return frozenset({unit, *(other for other, household in HOMES.items() if household in households)})


def may_read(audience: str) -> frozenset[str]:
    """The fields of an alarm that an audience may read."""
    role = audience.partition(":")[0]
    of = {"police": OF_THE_POLICE, "community": OF_THE_COMMUNITY, "grid": OF_THE_GRID, "household": OF_NEIGHBOURS}
    return ALWAYS_READ | of[role]


def own_topics(audience: str) -> frozenset[str]:
    """The topics on which an audience may get anything at all."""
    folder = "/".join(("sw1/north", *audience.split(":")))
    return frozenset({f"{folder}/alarm", f"{folder}/update"})
