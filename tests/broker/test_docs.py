"""docs/topics.md is executed: its tables are those of the code, its examples are genuine and mean what they say."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.ids import CommunityId, GridId, HouseholdId, StationId
from broker.kinds import Kind
from broker.messages import BODIES, AlarmView, GatewayEvent, alarm_view, plain
from broker.policy import POLICY, Audience, Membership, views
from broker.signing import Signer, Verifier, canonical, may_ring
from broker.topics import TABLE, Role, Row, parse
from tests.broker.golden_files import WRITE, assert_fresh

PAGE = Path(__file__).parents[2] / "docs" / "topics.md"
BLOCK = re.compile(r"```json\n(.*?)\n```", re.DOTALL)
HEADING = re.compile(r"^### `(.+)`$", re.MULTILINE)
KEY = re.compile(r"^\| `([a-z0-9:#]+)` \| `([0-9a-f]{64})` \| `([0-9a-f]{64})` \|$", re.MULTILINE)


def text() -> str:
    return PAGE.read_text(encoding="utf-8")


SIGNERS = {kid: Signer(kid, bytes.fromhex(seed)) for kid, seed, _ in KEY.findall(text())}
PUBLIC = {kid: bytes.fromhex(public) for kid, _, public in KEY.findall(text())}


def examples() -> list[dict[str, Any]]:
    return [json.loads(block) for block in BLOCK.findall(text())]


def row_line(row: Row) -> str:
    retained = "yes" if row.retained else "no"
    receivers = ", ".join(
        f"{'own ' if role is row.owner else ''}{role}" + (" (remote units)" if _by_the_way(row, role) else "")
        for role in row.receivers
    )
    publisher = f"{'own ' if row.publisher is row.owner else ''}{row.publisher}"
    bodies = ", ".join(f"`{type_}`" for type_ in row.bodies)
    return f"| `{row.template}` | {publisher} | {receivers} | {row.qos} | {retained} | {bodies} | {row.purpose} |"


def _by_the_way(row: Row, role: Role) -> bool:
    return role is Role.GATEWAY and row.owner is Role.HOUSEHOLD


def topics_table() -> str:
    head = "| Topic | Publishes | Receives | QoS | Retained | Message | What for |\n|---|---|---|---|---|---|---|"
    return "\n".join([head, *(row_line(row) for row in TABLE)])


def policy_table() -> str:
    """Kinds with the same row share a line."""
    head = "| Kind | Neighbour | Grid worker | Community | Police |\n|---|---|---|---|---|"
    shared: dict[tuple[str, ...], list[Kind]] = {}
    for kind, row in POLICY.items():
        cells = tuple(", ".join(row[audience] or ()) for audience in reversed(Audience))
        shared.setdefault(cells, []).append(kind)
    lines = [f"| {', '.join(kinds)} | {' | '.join(cells)} |" for cells, kinds in shared.items()]
    return "\n".join([head, *lines])


def signed_again(match: re.Match[str]) -> str:
    envelope = json.loads(match[1])
    sealed = json.loads(SIGNERS[envelope["kid"]].seal(canonical(envelope["body"])))
    return f"```json\n{json.dumps(sealed, ensure_ascii=False, indent=2)}\n```"


def with_table(page: str, name: str, table: Callable[[], str]) -> str:
    return re.sub(
        f"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
        lambda match: f"{match[1]}\n{table()}\n\n{match[2]}",
        page,
        flags=re.DOTALL,
    )


def test_the_tables_and_signatures_of_the_page_are_those_of_the_code() -> None:
    fresh = with_table(with_table(text(), "table", topics_table), "policy", policy_table)
    if os.environ.get(WRITE):
        fresh = BLOCK.sub(signed_again, fresh)
    assert_fresh(PAGE, fresh)


def test_the_example_keys_belong_together_and_are_those_of_rfc_8032() -> None:
    assert {kid: signer.public for kid, signer in SIGNERS.items()} == PUBLIC
    assert PUBLIC["gateway:gw1"].hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert PUBLIC["station"].hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"


def test_every_topic_has_a_heading_in_the_order_of_the_table() -> None:
    assert HEADING.findall(text()) == [row.template for row in TABLE]


def test_every_type_of_message_has_an_example_on_its_topic() -> None:
    shown = {(parse(example["body"]["topic"]).row.name, example["body"]["type"]) for example in examples()}
    assert shown == {(row.name, type_) for row in TABLE for type_ in row.bodies}
    assert {type_ for _, type_ in shown} == set(BODIES)


@pytest.mark.parametrize("example", examples(), ids=lambda example: example["body"]["type"])
def test_every_example_is_genuine(example: dict[str, Any]) -> None:
    topic = example["body"]["topic"]
    retained = parse(topic).row.retained
    body = Verifier(StationId("north"), PUBLIC).open(topic, json.dumps(example).encode(), retained=retained)
    assert plain(body) == example["body"]


@pytest.mark.proves("A1")
def test_the_example_alarms_are_what_the_policy_makes_of_the_example_event() -> None:
    bodies = [Verifier(StationId("north"), PUBLIC).open(e["body"]["topic"], json.dumps(e).encode()) for e in examples()]
    event = next(body for body in bodies if isinstance(body, GatewayEvent))
    alarms = [body for body in bodies if isinstance(body, AlarmView)]
    facts = event.facts()
    assert facts is not None
    membership = Membership(
        station=StationId("north"),
        group=event.group,
        households=frozenset({HouseholdId("h03"), HouseholdId("h04")}),
        community=CommunityId("guangming"),
        grid=GridId("grid-3"),
    )
    made = [alarm_view(view, alarm=event.id, age_ms=0) for view in views(facts, membership)]
    assert made == [alarm.model_copy(update={"age_ms": 0}) for alarm in alarms]
    assert may_ring(alarms[-1], retained=False, known_ids=(), member_of={"household:h04"})
