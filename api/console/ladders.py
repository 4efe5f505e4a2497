"""How alarms climb: the ladders that hold for a kind of alarm, and setting another one."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.console.interface import Reply
from api.console.known import Form, Known, Typed, known
from api.console.page import Reader, go, reader
from api.console.sections import Id, Text, nothing, section
from api.escalation.rules import LEVELS_MOST, STAGE_WORDS, Sound, Stage, Target, climbs
from broker.kinds import KIND_WORDS, Kind

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

ANY: Final = "any"
KINDS: Final = tuple(kind.value for kind in Kind if climbs(kind, None))
STAGES: Final = tuple(stage.value for stage in Stage)
SPARE: Final = 2
"""Empty levels below those that are there."""
BLANK: Final[dict[str, Any]] = {"after_s": None, "tell": [], "sound": None, "share": None}


def _always(names: Known) -> dict[str, Any]:
    return {
        "names": names,
        "kinds": KINDS,
        "stages": STAGES,
        "kind_words": KIND_WORDS,
        "stage_words": STAGE_WORDS,
        "targets": [(target.value, target.role) for target in Target],
        "sounds": [sound.value for sound in Sound],
    }


@router.get("/admin/ladders")
async def ladders(request: Request, kind: Text = Kind.PANIC, stage: Text = "", area: Text = "") -> Response:
    """What holds for one kind, stage by stage, and every ladder that somebody set."""
    one = await reader(request)
    if stage in STAGES and kind in {*KINDS, ANY} and area:
        return go(f"/admin/ladders/{stage}/{kind}/{area}")
    reply = await one.ask.get("/ladders")
    if not reply.good:
        return await nothing(one, reply)
    kind = kind if kind in KINDS else Kind.PANIC
    rows = reply.body["items"]
    return await section(
        one,
        "admin_ladders.html",
        kind=kind,
        given=[row for row in rows if row["kind"] == kind and not row["version"]],
        own=[row for row in rows if row["version"]],
        **_always(await known(one, "areas")),
    )


@router.get("/admin/ladders/{stage}/{kind}/{area}")
async def ladder(request: Request, stage: Id, kind: Id, area: Id) -> Response:
    """One ladder to look at and to set."""
    return await _ladder(await reader(request), stage, kind, area)


async def _ladder(
    one: Reader, stage: str, kind: str, area: str, *, typed: Typed | None = None, problem: Any = None
) -> Response:
    path = f"/ladders/{stage}/{kind}/{area}"
    found = await one.ask.get(path)
    every = await one.ask.get("/ladders")
    if not every.good or (not found.good and found.body.get("version") is None):
        return await nothing(one, every if not every.good else found)
    now = _now(found, every.body["items"], stage, kind)
    return await section(
        one,
        "admin_ladder.html",
        stage=stage,
        kind=kind,
        area=area,
        set_=found.body if found.good else None,
        version=typed.text("version") if typed else found.etag or f'"{found.body["version"]}"',
        rungs=_padded(rungs_of(typed) if typed else now),
        typed=typed or Typed(),
        problem=problem,
        most=LEVELS_MOST,
        **_always(await known(one, "areas")),
    )


def _now(found: Reply, every: list[Any], stage: str, kind: str) -> list[dict[str, Any]]:
    """The levels as they are set; else those that one begins from."""
    if found.good:
        return list(found.body["rungs"])
    fit = [row for row in every if row["stage"] == stage and row["kind"] in {kind, ANY} and row["area"] == ANY]
    return list(max(fit, key=lambda row: (row["kind"] == kind, row["version"]))["rungs"]) if fit else []


def _padded(rungs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [BLANK | rung for rung in [*rungs, *({} for _ in range(min(SPARE, LEVELS_MOST - len(rungs))))]]


def rungs_of(typed: Typed) -> list[dict[str, Any]]:
    """The levels of a form, without those in which nothing was said."""
    found = []
    for number in range(LEVELS_MOST):
        after, tell = typed.number(f"after-{number}"), typed.many(f"tell-{number}")
        if after is None and not tell:
            continue
        rung: dict[str, Any] = {"after_s": after, "tell": tell, "sound": typed.maybe(f"sound-{number}")}
        share = typed.number(f"share-{number}")
        found.append(rung | ({} if share is None else {"share": share / 100 if isinstance(share, int) else share}))
    return found


@router.post("/admin/ladders/{stage}/{kind}/{area}")
async def set_ladder(request: Request, stage: Id, kind: Id, area: Id, typed: Form) -> Response:
    """Let it hold from now on, or take it back."""
    one = await reader(request, csrf=typed.csrf)
    path, match = f"/ladders/{stage}/{kind}/{area}", {"If-Match": typed.text("version")}
    if typed.text("do") == "back":
        reply = await one.ask.ask("DELETE", path, headers=match)
    else:
        reply = await one.ask.ask("PUT", path, body={"rungs": rungs_of(typed)}, headers=match)
    if reply.good:
        return go(f"/admin/ladders?kind={kind if kind != ANY else Kind.PANIC.value}")
    return await _ladder(one, stage, kind, area, typed=typed, problem=reply.body)
