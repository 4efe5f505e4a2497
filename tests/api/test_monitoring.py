"""Rules for Prometheus and the dashboard, held to a running station: on a name that nobody shows no alert rings."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.rights.rules import Role
from tests.api.conftest import Served, only_sqlite
from tests.api.peers import Gateway
from tests.api.people import somebody

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "packaging" / "monitoring"
OF_PROMETHEUS = {"up": {"job"}}
"""Made by Prometheus itself for what it asks; it adds `job` and `instance` to everything."""
ADDED = {"job", "instance"}
USED = re.compile(r"\b(up|shouwang_\w+)\b(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Everything that is asked, with who asks."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                yield panel["title"], f"{target['expr']} by ({label})"


def misused(expression: str, shown: dict[str, set[str]]) -> list[str]:
    """Names and labels in it that are not shown."""
    wrong = []
    labels: set[str] = set()
    for name, selected in USED.findall(expression):
        if name not in shown:
            wrong.append(name)
            continue
        labels |= shown[name]
        wrong += [
            f"{name}{{{label}}}" for label in re.findall(r"(\w+)\s*=", selected) if label not in shown[name] | ADDED
        ]
    grouped = {label.strip() for group in GROUPED.findall(expression) for label in group.split(",")}
    return [*wrong, *sorted(grouped - labels - ADDED)]


@only_sqlite
@pytest.mark.proves("N8")
def test_rules_and_dashboard_ask_only_for_what_a_station_shows(served: Served, gateway: Gateway) -> None:
    somebody(served, "monitor", Role.AUDITOR)
    panic = gateway.event()
    gateway.send([panic])
    gateway.receipted([panic])
    answer = served.client.get("/metrics", headers={"Authorization": "Bearer token-of-monitor"})
    families = list(text_string_to_metric_families(answer.text))
    # A family without a sample shows that name all the same; faults and certificate have their labels in their tests.
    shown = {family.name: {label for one in family.samples for label in one.labels} for family in families}
    shown["shouwang_faults"] |= {"code"}
    for who, expression in expressions():
        assert not misused(expression, shown | OF_PROMETHEUS), who
    assert {
        "shouwang_disk_used_ratio",
        "shouwang_job_done",
        "shouwang_certificate_ends_timestamp_seconds",
    } <= shown.keys()
    figures = {one.name: one.value for family in families for one in family.samples}
    assert 0 < figures["shouwang_disk_used_ratio"] <= 1
    assert figures["shouwang_backup_timestamp_seconds"] == 0
    assert figures["shouwang_delivery_lag_seconds"] == 0
    jobs = {one.labels["work"]: one.value for family in families for one in family.samples if "work" in one.labels}
    assert jobs == {"ingest": 1, "notifier": 1}


def test_a_wrong_name_and_a_wrong_label_would_be_found() -> None:
    shown = {"shouwang_faults": {"code"}}
    assert misused('sum by (code) (shouwang_faults{code="x"})', shown) == []
    assert misused("shouwang_fault", shown) == ["shouwang_fault"]
    assert misused('shouwang_faults{gateway="x"}', shown) == ["shouwang_faults{gateway}"]
    assert misused("sum by (gateway) (shouwang_faults)", shown) == ["gateway"]


def test_each_alert_says_in_two_languages_what_it_means_and_what_to_do_and_where_more_stands() -> None:
    document = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    codes = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8"), re.MULTILINE))
    for rule in rules():
        said = rule["annotations"]
        for part in ("summary", "meaning", "action"):
            assert re.search("[一-鿿]", said[f"{part}_zh"]) or part == "action"
            assert said[part].isascii()
        assert rule["labels"]["severity"] in {"critical", "warning"}
        file, _, anchor = said["paragraph"].partition("#")
        assert file == "docs/monitoring.md"
        assert anchor == rule["alert"].lower()
        assert f"\n### {rule['alert']}\n" in document
        assert set(re.findall(r'code="(\w+)"', rule["expr"])) <= codes


def test_prometheus_itself_reads_the_rules_and_each_of_them_rings_when_it_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here (Debian's package prometheus): the rules were read by us alone")
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run([promtool, *command], cwd=MONITORING, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = (MONITORING / "alerts_test.yml").read_text(encoding="utf-8")
    assert not [rule["alert"] for rule in rules() if rule["alert"] not in tested]
