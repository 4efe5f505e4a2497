"""Hazards and incidents with their life cycle, tasks from the admitted list, and that list."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from api.access import anybody
from api.alarms.rules import Action, Outcome, State
from api.alarms.schemas import ACTION_WORDS, OUTCOME_WORDS, STATE_WORDS
from api.bodies import holds
from api.console import photo
from api.console.known import Form, Typed, every, known, places_by_id
from api.console.page import Reader, go, reader
from api.console.sections import Number, Text, nothing, section
from api.shapes import words_answer
from api.tasks.rules import MATTER_ACTIONS, MATTER_WORDS, TASK_WORDS, MatterKind, TaskState, matter_after
from broker.kinds import Words

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

SHOWN: Final = 50
OPEN: Final = (State.RECEIVED, State.ACKNOWLEDGED, State.VERIFIED, State.ON_THE_WAY, State.ON_SCENE)
STATES: Final = (*OPEN, State.RESOLVED, State.FOLLOWED_UP, State.ARCHIVED)
OUTCOMES: Final = (Outcome.REAL, Outcome.NOTHING_FOUND, Outcome.FALSE)
NEXT: Final[Mapping[State, Action]] = {
    State.RECEIVED: Action.ACKNOWLEDGE,
    State.ACKNOWLEDGED: Action.ON_SCENE,
    State.VERIFIED: Action.ON_SCENE,
    State.ON_THE_WAY: Action.ON_SCENE,
    State.ON_SCENE: Action.RESOLVE,
    State.RESOLVED: Action.FOLLOW_UP,
    State.FOLLOWED_UP: Action.ARCHIVE,
}
"""What is mostly done next: it stands open."""
ORDER: Final = (
    Action.ACKNOWLEDGE, Action.VERIFY, Action.ON_THE_WAY, Action.ON_SCENE, Action.RESOLVE, Action.FOLLOW_UP,
    Action.ARCHIVE, Action.NOTE, Action.REOPEN,
)  # fmt: skip


def _words(table: Mapping[Any, Words]) -> dict[str, dict[str, str]]:
    return {str(key): words_answer(words).model_dump() for key, words in table.items()}


SAID: Final[Mapping[str, Any]] = {
    "state_words": _words(STATE_WORDS),
    "action_words": _words(ACTION_WORDS),
    "outcome_words": _words(OUTCOME_WORDS),
    "kind_words": _words(MATTER_WORDS),
    "task_words": _words(TASK_WORDS),
}


def place_of(typed: Typed) -> str | None:
    """A place that was typed or chosen; None where it is somewhere in the group."""
    return typed.maybe("place")


async def _matters(one: Reader, *, state: str = "", after: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/matters", state=state or None, limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    return await section(
        one,
        "matters.html",
        rows=reply.body["items"],
        next=reply.body["next"],
        names=await known(one, "areas"),
        state=state,
        states=STATES,
        open_states=OPEN,
        kinds=[*MatterKind],
        **SAID,
        **values,
    )


@router.get("/affairs")
async def matters(request: Request, state: Text = "", after: Text = "") -> Response:
    """What was reported, newest first, and the form for another."""
    return await _matters(await reader(request), state=state, after=after)


@router.post("/affairs")
async def report(request: Request, typed: Form) -> Response:
    """One more: then its page, where a photo can be attached."""
    one = await reader(request, csrf=typed.csrf)
    body = {
        "kind": typed.text("kind"),
        "group": typed.text("group"),
        "place": place_of(typed),
        "words": typed.text("words"),
    }
    reply = await one.ask.ask("POST", "/matters", body=body)
    if reply.good:
        return go(f"/affairs/matters/{reply.body['number']}")
    return await _matters(one, typed=typed, problem=reply.body)


def possible(state: State, one: Reader) -> list[Action]:
    """What the reader may do about a matter in this state, in the order of its life."""
    if not one.may("matter.handle"):
        return []
    return [action for action in ORDER if action in MATTER_ACTIONS and matter_after(state, action) is not None]


async def _matter(one: Reader, number: int, *, did: str = "", **values: Any) -> Response:
    reply = await one.ask.get(f"/matters/{number}")
    if not reply.good:
        return await nothing(one, reply)
    found = reply.body
    acts = possible(State(found["state"]), one)
    called = {person["account"]: person["name"] for person in found["people"]}
    tasks = await one.ask.get("/tasks", matter=number, limit=SHOWN) if one.may("task.read") else None
    assigning = one.may("task.assign")
    admitted = await one.ask.get("/admitted") if assigning else None
    workers = await one.ask.get(f"/areas/{found['group']}/grid-workers") if assigning else None
    return await section(
        one,
        "matter.html",
        matter=found,
        called=called,
        names=await known(one, "areas"),
        places=await places_by_id(one, [found["place"]]),
        acts=acts,
        nearest=next((action for action in acts if action is NEXT.get(State(found["state"]))), None),
        outcomes=OUTCOMES,
        tasks=tasks.body["items"] if tasks is not None and tasks.good else [],
        admitted=admitted.body["items"] if admitted is not None and admitted.good else [],
        workers=workers.body["items"] if workers is not None and workers.good else [],
        may_attach=one.may("matter.attach") and found["state"] != State.ARCHIVED,
        did=did,
        **SAID,
        **values,
    )


@router.get("/affairs/matters/{number}")
async def matter(request: Request, number: Number) -> Response:
    """One with what was done about it."""
    return await _matter(await reader(request), number)


@router.post("/affairs/matters/{number}")
async def move(request: Request, number: Number, typed: Form) -> Response:
    """Take the next step, or lay a task on somebody."""
    one = await reader(request, csrf=typed.csrf)
    do = typed.text("do")
    if do == "assign":
        before = await one.ask.get(f"/matters/{number}")
        body: dict[str, Any] = {
            "admitted": typed.text("admitted"),
            "worker": typed.text("worker"),
            "area": before.body["group"] if before.good else "-",
            "words": typed.text("words"),
            "matter": number,
        }
        reply = await one.ask.ask("POST", "/tasks", body=body)
    else:
        body = {"action": do, "words": typed.maybe("words")}
        if do in {Action.RESOLVE, Action.NOTE, Action.REOPEN}:
            body["words"] = typed.text("words")
        if do == Action.RESOLVE:
            body["outcome"] = typed.text("outcome")
        if do == Action.FOLLOW_UP:
            body["satisfaction"] = typed.number("satisfaction") or ""
        reply = await one.ask.ask("POST", f"/matters/{number}/steps", body=body)
    if reply.good:
        return go(f"/affairs/matters/{number}")
    return await _matter(one, number, did=do, typed=typed, problem=reply.body)


@router.post("/affairs/matters/{number}/photos", openapi_extra=holds(photo.DRAINED))
async def attach(request: Request, number: Number) -> Response:
    """A photo; what is too large or no picture is said beside the field."""
    typed, content = await photo.sent(request)
    one = await reader(request, csrf=typed.csrf)
    if content is None:
        return await _matter(one, number, did="photo", problem=photo.TOO_LARGE)
    reply = await one.ask.ask("POST", f"/matters/{number}/photos", content=content)
    if reply.good:
        return go(f"/affairs/matters/{number}")
    return await _matter(one, number, did="photo", problem=reply.body)


# Tasks


async def _tasks(one: Reader, *, state: str = "", after: str = "", area: str = "", **values: Any) -> Response:
    reply = await one.ask.get("/tasks", state=state or None, limit=SHOWN, after=after or None)
    if not reply.good:
        return await nothing(one, reply)
    names = await known(one, "areas")
    assigning = one.may("task.assign")
    area = area or next((row["id"] for row in names.rows("areas") if row["meaning"] == "grid"), "")
    workers = await one.ask.get(f"/areas/{area}/grid-workers") if assigning and area else None
    listed = await one.ask.get("/admitted") if one.may("admitted.read") else None
    admitted = listed.body["items"] if listed is not None and listed.good else []
    return await section(
        one,
        "matter_tasks.html",
        rows=reply.body["items"],
        next=reply.body["next"],
        names=names,
        state=state,
        states=[*TaskState],
        assigning=assigning,
        area=area,
        workers=workers.body["items"] if workers is not None and workers.good else [],
        admitted=admitted,
        entries={row["id"]: row["name"] for row in admitted},
        **SAID,
        **({"about": 0} | values),
    )


@router.get("/affairs/tasks")
async def tasks(request: Request, state: Text = "", after: Text = "", area: Text = "") -> Response:
    """Tasks of the area, or of whoever looks."""
    return await _tasks(await reader(request), state=state, after=after, area=area)


@router.post("/affairs/tasks")
async def move_task(request: Request, typed: Form) -> Response:
    """Lay one on somebody; say what was done; accept it or send it back."""
    one = await reader(request, csrf=typed.csrf)
    do, number = typed.text("do"), typed.number("number") or 0
    words = {"words": typed.text("words")}
    match do:
        case "assign":
            body = {name: typed.text(name) for name in ("admitted", "worker", "area", "words")}
            reply = await one.ask.ask("POST", "/tasks", body=body)
        case "accept":
            reply = await one.ask.ask("POST", f"/tasks/{number}/accept")
        case "send-back":
            reply = await one.ask.ask("POST", f"/tasks/{number}/send-back", body=words)
        case _:
            reply = await one.ask.ask("POST", f"/tasks/{number}/done", body=words)
    if reply.good:
        return go("/affairs/tasks")
    about = 0 if do == "assign" else number
    return await _tasks(one, area=typed.text("area"), typed=typed, about=about, problem=reply.body)


# The admitted list


async def _admitted(one: Reader, **values: Any) -> Response:
    reply = await one.ask.get("/admitted")
    if not reply.good:
        return await nothing(one, reply)
    return await section(
        one, "matter_admitted.html", rows=reply.body["items"], writing=one.may("admitted.write"), **values
    )


@router.get("/affairs/admitted")
async def admitted(request: Request) -> Response:
    """What may be laid on a grid worker at all."""
    return await _admitted(await reader(request))


@router.post("/affairs/admitted")
async def admit(request: Request, typed: Form) -> Response:
    """Admit something, or take it off the list."""
    one = await reader(request, csrf=typed.csrf)
    if typed.text("do") == "end":
        reply = await one.ask.ask("POST", f"/admitted/{typed.text('id') or '-'}/end")
    else:
        body = {name: typed.text(name) for name in ("id", "name", "department", "authority", "funds")}
        reply = await one.ask.ask("POST", "/admitted", body=body | {"deadline_h": typed.number("deadline_h")})
    return go("/affairs/admitted") if reply.good else await _admitted(one, typed=typed, problem=reply.body)


async def to_do(one: Reader) -> dict[str, Any]:
    """Of matters and tasks, what waits for somebody: for the pages with which roles begin."""
    fresh = await every(one, "/matters", state=State.RECEIVED) if one.may("matter.read") else []
    done = await every(one, "/tasks", state=TaskState.DONE) if one.may("task.assign") else []
    return {"fresh_matters": fresh, "tasks_to_judge": done}
