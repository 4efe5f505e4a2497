import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.asyncapi import document
from broker.messages import BODIES
from broker.topics import TABLE
from tests.broker.golden_files import assert_fresh

DOCS = Path(__file__).parents[2] / "docs"


def every_ref(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for child in node.values():
            yield from every_ref(child)
    elif isinstance(node, list):
        for child in node:
            yield from every_ref(child)


def test_the_document_in_docs_is_fresh() -> None:
    assert_fresh(DOCS / "asyncapi.json", json.dumps(document(), ensure_ascii=False, indent=1) + "\n")


def test_every_reference_of_the_document_leads_somewhere() -> None:
    whole = document()
    refs = set(every_ref(whole))
    assert refs
    for ref in refs:
        node: Any = whole
        for step in ref.removeprefix("#/").split("/"):
            node = node[step]


def test_every_topic_is_a_channel_with_its_senders_and_receivers() -> None:
    whole = document()
    assert [channel["address"] for channel in whole["channels"].values()] == [
        f"sw1/{{station}}/{row.template}" for row in TABLE
    ]
    for row in TABLE:
        channel = {"$ref": f"#/channels/{row.name}"}
        ends = [(name, op) for name, op in whole["operations"].items() if op["channel"] == channel]
        assert {name.split("_")[0] for name, op in ends if op["action"] == "send"} == {row.publisher}
        assert {name.split("_")[0] for name, op in ends if op["action"] == "receive"} == set(row.receivers)
        assert {op["bindings"]["mqtt"]["retain"] for _, op in ends if op["action"] == "send"} == {row.retained}


@pytest.mark.parametrize(("type_", "model"), BODIES.items())
def test_every_schema_is_closed_and_versioned(type_: str, model: type) -> None:
    schema = document()["components"]["schemas"][model.__name__]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["type"]["const"] == type_
    assert schema["properties"]["v"]["const"] == 1
    assert {"v", "type", "topic", "audience", "id", "age_ms"} <= set(schema["required"])


def test_no_schema_lets_a_float_through() -> None:
    assert '"number"' not in json.dumps(document())
