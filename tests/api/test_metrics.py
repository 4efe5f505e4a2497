"""Figures for Prometheus, the page of the interface, and logs: none of them names anybody."""

import json
import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.logs import redact
from api.manual.rules import type_of
from api.rights.rules import Role
from broker.kinds import Kind
from tests.api.conftest import TOKENS, Served
from tests.api.peers import Gateway
from tests.api.people import somebody

CANARIES = ("王金丝雀", "13800138000", "老王家", "h01", "u1", "gr1")


def figures(served: Served) -> dict[str, float]:
    """What Prometheus reads, by name and labels."""
    answer = served.client.get("/metrics", headers={"Authorization": "Bearer token-of-monitor"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_only_whoever_may_reads_figures_from_wherever_he_asks(served: Served) -> None:
    assert served.client.get("/metrics").status_code == 401
    answer = served.client.get("/metrics", headers={"Authorization": f"Bearer {TOKENS['li']}"})
    assert (answer.status_code, answer.json()["action"]) == (403, "metrics.read")
    somebody(served, "monitor", Role.AUDITOR)
    assert figures(served)["shouwang_up[]"] == 1


@pytest.mark.proves("N4")
def test_a_duress_alarm_changes_no_figure(served: Served, gateway: Gateway) -> None:
    somebody(served, "monitor", Role.AUDITOR)
    panic = gateway.event()
    gateway.send([panic])
    gateway.receipted([panic])
    before = figures(served)
    assert before["shouwang_alarms_open['received']"] == 1
    duress = gateway.event(kind=Kind.DURESS, press="u1:1:900")
    gateway.send([duress])
    gateway.receipted([duress])
    assert len(served.alarms()) == 2
    moving = re.compile("seconds|viewers")
    after = figures(served)
    assert {name: one for name, one in after.items() if not moving.search(name)} == {
        name: one for name, one in before.items() if not moving.search(name)
    }
    assert after["shouwang_alarm_waits_seconds[]"] >= before["shouwang_alarm_waits_seconds[]"]


@pytest.mark.proves("N16")
def test_figures_name_nobody_and_no_place(served: Served, gateway: Gateway) -> None:
    somebody(served, "monitor", Role.AUDITOR)
    panic = gateway.event(label="老王家")
    gateway.send([panic])
    gateway.receipted([panic])
    text = served.client.get("/metrics", headers={"Authorization": "Bearer token-of-monitor"}).text
    assert not [canary for canary in CANARIES if canary in text]


@pytest.mark.proves("N16")
def test_a_log_line_loses_every_personal_field_however_deep_it_stands() -> None:
    line: dict[str, Any] = {
        "event": "x",
        "name": "王金丝雀",
        "inner": {"phone": "13800138000", "rows": [{"label": "老王家", "seq": 5}]},
        "many": ({"address": "王金丝雀"},),
        "count": 3,
    }
    told = json.dumps(redact(None, "info", line), ensure_ascii=False)
    assert not [canary for canary in CANARIES[:3] if canary in told]
    assert json.loads(told)["inner"]["rows"][0]["seq"] == 5
    assert json.loads(told)["count"] == 3


class TestManual:
    def test_every_operation_stands_on_the_page(self, served: Served) -> None:
        page = served.client.get("/docs")
        assert page.status_code == 200
        for path in served.client.get("/openapi.json").json()["paths"]:
            assert f"<code>{path}</code>" in page.text

    def test_it_loads_nothing_from_anywhere(self, served: Served) -> None:
        page = served.client.get("/docs")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert not re.search(r"https?://|<script|src=|@import|url\(", page.text)

    @pytest.mark.parametrize(
        ("schema", "words"),
        [
            ({"$ref": "#/components/schemas/AlarmAnswer"}, "AlarmAnswer"),
            ({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}, "date-time or null"),
            ({"type": "array", "items": {"type": "integer"}}, "list of integer"),
            ({"enum": ["a", "b"]}, "a | b"),
            ({"const": 1}, "1"),
            ({}, "anything"),
        ],
    )
    def test_types_are_told_in_a_few_words(self, schema: dict[str, Any], words: str) -> None:
        assert type_of(schema) == words
