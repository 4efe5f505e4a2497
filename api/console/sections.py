"""Register, neighbourhood, health, duty and administration: the ways within each, what their forms have in common."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Path, Query, Response

from api.console.interface import Reply
from api.console.known import Typed
from api.console.page import Reader

SECTIONS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "register": (
        ("/register", "register.read"),
        ("/register/devices", "register.unit.read"),
        ("/register/gateways", "broker.account"),
        ("/register/sheets", "register.export"),
        ("/register/planned", "register.planned"),
        ("/register/installations", "install.read"),
        ("/register/boards", "board.edit"),
    ),
    "affairs": (
        ("/affairs/today", "matter.handle"),
        ("/affairs", "matter.handle"),
        ("/affairs/tasks", "task.read"),
        ("/affairs/admitted", "admitted.read"),
        ("/affairs/drills", "drill.announce"),
        ("/affairs/tips", "tip.publish"),
        ("/affairs/complaints", "complaint.handle"),
    ),
    "joint": (
        ("/joint", "four_ones.read"),
        ("/joint/inspections", "inspection.read"),
        ("/joint/trainings", "training.read"),
        ("/joint/meetings", "meeting.read"),
    ),
    "audit": (
        ("/audit", "audit.accounts"),
        ("/audit/chain", "audit.read"),
    ),
    "health": (
        ("/health", "fault.read"),
        ("/health/gateways", "fault.read"),
        ("/health/quieted", "quieting.read"),
    ),
    "duty": (
        ("/duty", "duty.read"),
        ("/duty/handovers", "duty.handover"),
        ("/admin/ladders", "ladder.read"),
        ("/admin/channels", "notify.manage"),
    ),
    "admin": (
        ("/admin", "account.open"),
        ("/admin/ladders", "ladder.read"),
        ("/admin/channels", "notify.manage"),
        ("/admin/rules", "ladder.read"),
        ("/admin/desks", "desk.pair"),
        ("/admin/audit", "audit.accounts"),
    ),
}
"""Pages of each part, each with the action without which it is not offered."""

Id = Annotated[str, Path(pattern=r"^[0-9A-Za-z_.-]{1,64}$")]
Number = Annotated[int, Path(ge=1, le=(1 << 31) - 1)]
Text = Annotated[str, Query(max_length=256)]


async def section(one: Reader, template: str, *, problem: Any = None, status: int = 0, **values: object) -> Response:
    """A page of one of the parts, with the ways to the others. `problem` says the status, if nothing else does."""
    part = one.request.url.path.split("/")[1]
    ways = [where for where, action in SECTIONS.get(part, ()) if one.may(action)]
    said = int(problem["status"]) if problem else HTTPStatus.OK
    return await one.page(
        template, status=status or said, part=part, part_ways=ways, problem=problem, **({"typed": Typed()} | values)
    )


async def nothing(one: Reader, reply: Reply) -> Response:
    """What was asked for is not there, or not his to see."""
    return await section(one, "section_nothing.html", problem=reply.body, status=reply.status)
