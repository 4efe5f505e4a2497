"""Gateways keep where the audit chain ended, and tell it back: a tail cut off shows, and so does another history."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlmodel import Session
from typer.testing import CliRunner

from api.audit import repository, rules, service
from api.audit.repository import AUDIT, HEAD, WORDS
from api.audit.rules import AUDIT_CHANGED, Head, Why
from api.rights.rules import Role
from api.settings import StationSettings
from broker.messages import ChainHead, StationAudit
from deploy.cli import app
from tests.api.conftest import Served, as_json
from tests.api.peers import STATION, Gateway, eventually
from tests.api.signing_in import machine

pytestmark = pytest.mark.proves("N15")

REASON = "restored from the copy of 03:00 after the disk had failed"


def act(served: Served, number: int) -> None:
    """Somebody does something that is recorded."""
    with served.station.database.write() as session:
        service.record(session, at_ms=number, by="li", action="place.look_up", about=f"place:{number}")


def told_and_kept(served: Served, gateway: Gateway) -> ChainHead:
    """A gateway asks, is told where the chain ends, and tells that back."""
    act(served, 1)
    gateway.say_status()
    head = gateway.hear(StationAudit).head
    gateway.say_status(audit=head)
    eventually(lambda: [one["seq"] for one in witnesses(served)] == [head.seq], "the station knows what it keeps")
    return head


def cut_off(served: Served, at: int) -> None:
    """What an older copy is, or somebody who may do everything makes of the present one."""
    with served.station.database.write() as session:
        digest = repository.digest_at(session, at)
        session.connection().execute(delete(WORDS).where(WORDS.c.seq > at))
        session.connection().execute(delete(AUDIT).where(AUDIT.c.seq > at))
        session.connection().execute(update(HEAD).values(seq=at, digest=digest))


def leader(served: Served) -> dict[str, str]:
    return machine(served.station, "leader", (Role.DUTY_LEADER, STATION))


def witnesses(served: Served) -> list[dict[str, object]]:
    with served.station.database.read() as session:
        return [{"gateway": row.gateway, "seq": row.seq, "why": row.why} for row in repository.witnesses(session)]


def fault(served: Served, headers: dict[str, str]) -> list[dict[str, Any]]:
    found = served.client.get("/api/v1/faults", headers=headers).json()["faults"]
    return [one for one in found if one["code"] == AUDIT_CHANGED and one["there"]]


@pytest.mark.parametrize(
    ("told", "digest", "why"),
    [
        (Head(9, "a" * 64), "a" * 64, None),
        (Head(9, "a" * 64), "b" * 64, Why.OTHER_HISTORY),
        (Head(9, "a" * 64), None, Why.MISSING),
        (Head(11, "a" * 64), None, Why.CUT_OFF),
    ],
)
def test_what_a_gateway_was_told_is_held_against_the_chain(told: Head, digest: str | None, why: Why | None) -> None:
    assert rules.held_against(told, head=Head(10, "c" * 64), digest=digest) == why


def test_a_gateway_is_told_where_the_chain_ends_and_nothing_when_it_knows(served: Served, gateway: Gateway) -> None:
    head = told_and_kept(served, gateway)
    gateway.say_status(audit=head)
    act(served, 2)
    gateway.say_status(audit=head)
    later = gateway.hear(StationAudit, lambda one: one.follows == head)
    assert (later.head.seq, later.rewritten) == (head.seq + 1, False)
    assert [one.follows for one in gateway.bodies(StationAudit)] == [None, head]
    with served.station.database.read() as session:
        assert service.head(session) == Head(later.head.seq, later.head.digest)


@pytest.mark.proves("F63")
def test_a_tail_that_was_cut_off_is_a_fault_until_somebody_answers_for_it(
    served: Served, gateway: Gateway, settings: StationSettings, tmp_path: Path
) -> None:
    by = leader(served)
    auditor = machine(served.station, "auditor", (Role.AUDITOR, ""))
    head = told_and_kept(served, gateway)
    cut_off(served, head.seq - 1)
    gateway.say_status(audit=head)
    eventually(lambda: bool(fault(served, auditor)), "the auditor sees that the record was changed")
    (shown,) = fault(served, by)
    assert "审计" in shown["words"]["zh"]
    assert gateway.name in shown["detail"]
    answer = served.client.get("/api/v1/audit/witnesses", headers=by).json()
    assert [(one["gateway"], one["seq"], one["explained_at"]) for one in answer] == [(gateway.name, head.seq, None)]
    assert "cut off" in answer[0]["wrong"]

    file = tmp_path / "settings.json"
    file.write_text(as_json(settings))
    done = CliRunner().invoke(app, ["audit", "verify", "--settings", str(file), "--json"])
    verdict = json.loads(done.stdout)
    (named,) = verdict["gateways_told_otherwise"]
    assert (done.exit_code, verdict["ok"], named["why"], named["explained"]) == (1, False, "cut_off", False)
    done = CliRunner().invoke(app, ["audit", "verify", "--settings", str(file)])
    assert f"gateway {gateway.name}: it was told entry {head.seq}" in done.stdout

    # Nothing more is told to a gateway whose head is not explained: it goes on holding what it was told.
    for number in (3, 4):
        act(served, number)
        gateway.say_status(audit=head)
    assert len(gateway.bodies(StationAudit)) == 1

    body = {"gateways": [gateway.name], "reason": REASON}
    assert served.client.post("/api/v1/audit/witnesses/explain", headers=auditor, json=body).status_code == 403
    assert served.client.post("/api/v1/audit/witnesses/explain", headers=by, json=body).status_code == 204
    assert fault(served, by) == []
    again = served.client.post("/api/v1/audit/witnesses/explain", headers=by, json=body)
    assert (again.status_code, again.json()["type"]) == (409, "not_disputed")
    (entry,) = served.client.get("/api/v1/audit", headers=by, params={"action": "audit.explain"}).json()["items"]
    assert (entry["reason"], entry["detail"]["told"]) == (REASON, {gateway.name: f"{head.seq}:{head.digest}"})
    done = CliRunner().invoke(app, ["audit", "verify", "--settings", str(file)])
    assert done.exit_code == 0, done.stdout
    assert "explained" in done.stdout

    gateway.say_status(audit=head)
    anew = gateway.hear(StationAudit, lambda one: one.rewritten)
    assert anew.follows == head
    gateway.say_status(audit=anew.head)
    eventually(lambda: witnesses(served)[0]["why"] == "" and witnesses(served)[0]["seq"] == anew.head.seq, "it fits")


def test_a_history_that_was_rewritten_shows_and_is_over_when_the_old_one_is_back(
    served: Served, gateway: Gateway
) -> None:
    by = leader(served)
    head = told_and_kept(served, gateway)

    def set_digest(session: Session, digest: str) -> None:
        session.connection().execute(update(AUDIT).where(AUDIT.c.seq == head.seq).values(digest=digest))

    with served.station.database.write() as session:
        set_digest(session, "f" * 64)
    gateway.say_status(audit=head)
    eventually(lambda: bool(fault(served, by)), "the fault is there")
    assert [one["why"] for one in witnesses(served)] == ["other_history"]
    with served.station.database.write() as session:
        set_digest(session, head.digest)
    gateway.say_status(audit=head)
    eventually(lambda: not fault(served, by), "the fault is over")


def test_a_gateway_with_an_older_card_does_not_take_back_what_it_said(served: Served, gateway: Gateway) -> None:
    by = leader(served)
    early = told_and_kept(served, gateway)
    act(served, 2)
    gateway.say_status(audit=early)
    late = gateway.hear(StationAudit, lambda one: one.follows == early).head
    gateway.say_status(audit=late)
    eventually(lambda: witnesses(served)[0]["seq"] == late.seq, "it was told back")
    cut_off(served, early.seq)
    gateway.say_status(audit=early)
    eventually(lambda: bool(fault(served, by)), "what it said before counts")
    assert witnesses(served)[0]["seq"] == late.seq
