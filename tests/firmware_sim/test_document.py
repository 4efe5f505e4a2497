"""docs/simulator.md names every command, every event and every fault that there is, and its village can be read."""

import re
from pathlib import Path

from firmware_sim import diary
from firmware_sim.acts import ACTS
from firmware_sim.faults import FAULTS
from firmware_sim.settings import VillageSettings

TEXT = Path(__file__).parents[2].joinpath("docs", "simulator.md").read_text(encoding="utf-8")


def events() -> set[str]:
    kinds = [kind for kind in vars(diary).values() if isinstance(kind, type) and issubclass(kind, diary.Entry)]
    return {kind.event for kind in kinds if kind is not diary.Entry}


def named(heading: str) -> set[str]:
    """What stands between backquotes in the first column of the tables under a heading."""
    section = re.split(r"^## ", TEXT.split(f"## {heading}\n")[1], flags=re.MULTILINE)[0]
    cells = re.findall(r"^\| (`[^|]*) \|", section, flags=re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} - {"do", "event"}


def test_every_command_stands_in_the_document_and_no_other() -> None:
    assert named("Commands") == {*ACTS, "unplug", "plug", "log", "quit"}


def test_every_event_stands_in_the_document_and_no_other() -> None:
    assert named("Events") == {*events(), "ready", "done", "refused", "port_lost"}


def test_every_fault_stands_in_the_document() -> None:
    assert all(f"`{name}`" in TEXT for name in FAULTS)


def test_the_village_of_the_document_is_one() -> None:
    [example] = re.findall(r"```json\n(.*?)```", TEXT, flags=re.DOTALL)
    village = VillageSettings.from_json(example)
    assert [line.name for line in village.lines] == ["line1", "gate", "air"]
