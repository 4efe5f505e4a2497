"""Entries of the audit as people read them: who by name, what in words, about what, with the way to it.

A name is what the interface gives whoever reads the page; where it gives none the id stands. Ids stay on the page,
small: an audit is held against other records by them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from api.audit.words import SORTS
from api.console.known import known
from api.console.page import Reader
from broker.kinds import Words

PAGES: Final[Mapping[str, tuple[str, str]]] = {
    "account": ("/admin/accounts/", "account.read"),
    "alarm": ("/alarms/", "alarm.read"),
    "board": ("/register/boards/", "board.edit"),
    "drill": ("/affairs/drills/", "drill.announce"),
    "fault": ("/health/faults/", "fault.read"),
    "handover": ("/duty/handovers/", "duty.handover"),
    "inspection": ("/joint/inspections/", "inspection.read"),
    "matter": ("/affairs/matters/", "matter.handle"),
    "meeting": ("/joint/meetings/", "meeting.read"),
    "place": ("/register/places/", "register.read"),
    "points": ("/points/entries/", "points.read"),
    "points_comment": ("/points/comments/", "points.comment.read"),
    "reward": ("/points/rewards/", "reward.read"),
    "roll_call": ("/patrol/roll-calls/", "roll_call.read"),
    "stagger": ("/patrol/staggered/", "stagger.read"),
    "training": ("/joint/trainings/", "training.read"),
    "unit": ("/register/devices/", "register.unit.read"),
}
"""What has a page of its own, and the action without which that is not offered."""

ASKED: Final[Mapping[str, tuple[str, str]]] = {
    "account": ("/accounts/", "name"),
    "area": ("/register/areas/", "name"),
    "place": ("/register/places/", "label"),
}
"""What is asked for one by one, so that a page costs no list of everything, and what of the answer it is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """What an entry is about. `name`: None where the reader is given none. `page`: where it is looked at."""

    sort: Words
    id: str
    name: str | None
    page: str | None


async def things(one: Reader, rows: Iterable[Mapping[str, Any]]) -> dict[str, Thing]:
    """What these entries (`EntryAnswer`) are about, by how they say it ("place:h01")."""
    listed = [*rows]
    called = {f"account:{row['by']}": row["by_name"] for row in listed if row["by_name"]}
    abouts = {row["about"] for row in listed}
    guards = await known(one, *(["guards"] if any(about.startswith("guard:") for about in abouts) else []))
    found: dict[str, Thing] = {}
    for about in sorted(abouts):
        sort, _, id_ = about.partition(":")
        name, there = called.get(about), True
        if sort == "guard" and id_ in guards.of["guards"]:
            name = guards("guards", id_)
        elif name is None and sort in ASKED:
            path, field = ASKED[sort]
            reply = await one.ask.get(f"{path}{quote(id_, safe='')}")
            there = reply.good
            name = reply.body[field] if there else None
        where, action = PAGES.get(sort, ("", ""))
        page = f"{where}{quote(id_, safe='')}" if where and id_ and there and one.may(action) else None
        found[about] = Thing(sort=SORTS.get(sort, Words(sort, sort)), id=id_, name=name, page=page)
    return found
