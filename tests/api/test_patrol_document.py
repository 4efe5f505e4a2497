"""docs/patrol.md tells a technician how a patrol is put down; here it is put down as it says."""

import json
import re
from pathlib import Path

import pytest

from api.rights.rules import Role
from tests.api.conftest import Serve, only_sqlite
from tests.api.people import Hands, somebody

DOCUMENT = (Path(__file__).parents[2] / "docs/patrol.md").read_text(encoding="utf-8")
SECTION = DOCUMENT.partition("## Putting a patrol down\n")[2].partition("\n## ")[0]
REQUEST = re.compile(r"^ask (PUT|POST) (\S+) '(.*)'$", re.MULTILINE)
QUESTION = re.compile(r"`GET ([a-z/?=0-9-]+)`")
HERE = {'"w1"': '"gr1"', '"gw1"': '"g1"'}
"""Area and gateway of the tests' station."""


@only_sqlite
@pytest.mark.proves("P2")
def test_a_patrol_is_put_down_as_the_document_says(serve: Serve) -> None:
    with serve(clock=Hands()) as station:
        officer = somebody(station, "xu", Role.OFFICER, "north")
        guard = ""
        requests = REQUEST.findall(SECTION)
        assert len(requests) == 10
        for method, path, text in requests:
            body = text.replace("'$GUARD'", guard)
            for there, here in HERE.items():
                body = body.replace(there, here)
            address = f"/api/v1/{path.replace('$GUARD', guard)}"
            status = 201 if method == "POST" else 200
            answer = officer.ask(method, address, status=status, json=json.loads(body))
            guard = answer["id"] if path == "guards" else guard
        (found,) = officer.get("/api/v1/patrol-rounds", day="2027-01-15")["items"]
        detail = officer.get(f"/api/v1/patrol-rounds/{found['number']}")
        assert [(one["point"], one["planned"]) for one in detail["visits"]] == [
            ("east", "2027-01-15T15:00:00Z"),
            ("west", "2027-01-15T15:10:00Z"),
        ]
        questions = QUESTION.findall(SECTION)
        assert len(questions) == 6
        for question in questions:
            officer.get(f"/api/v1/{question}")
