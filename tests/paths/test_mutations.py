"""Promises of the product broken on purpose: each time the verdict must be red, and in the right colour."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from broker.acl import Principal, acl_file
from broker.signing import STATION_KID, NotAMember, Verifier, gateway_kid, ring_refusal
from deploy.accounts import principals
from faults.town import town
from gateway.retelling import TOLD_AGAIN

LISTENER = "user north.household.h09\n"


def widened(accounts: Iterable[Principal]) -> str:
    """An ACL in which one household may read what is for its neighbours."""
    text = acl_file(accounts)
    assert LISTENER in text
    return text.replace(LISTENER, f"{LISTENER}topic read sw1/north/household/+/alarm\n")


@pytest.mark.proves("N4")
def test_a_widened_policy_cell_shows_as_a_leak(tmp_path: Path) -> None:
    with town(tmp_path, mutations={"gateway": "neighbours_learn_of_duress"}) as broken:
        message = broken.press("u07", "duress")
        broken.settle()
        broken.wait_told("household:h01", message)
        verdict = broken.verdict()
    assert verdict.wrong.keys() == {"leaked"}
    assert any(one.startswith("household:h01 got alarm") for one in verdict.leaked)


@pytest.mark.proves("N4")
def test_a_widened_acl_line_shows_as_a_leak_and_whoever_verifies_still_does_not_ring(tmp_path: Path) -> None:
    with town(tmp_path, render_acl=widened) as broken:
        message = broken.press("u03")
        broken.settle()
        broken.wait_told("household:h09", message)
        verdict = broken.verdict()
        arrivals = broken.witnesses.arrivals("household:h09")
        site, keys = broken.box.site, broken.box.keys
    assert verdict.wrong.keys() == {"leaked"}
    assert {one.partition(" ")[0] for one in verdict.leaked} == {"household:h09"}

    kids = (STATION_KID, *(gateway_kid(gateway.id) for gateway in site.gateways))
    receiver = Verifier(site.station.id, {kid: bytes.fromhex(keys.public_key(kid)) for kid in kids})
    bodies = [receiver.open(one.topic, one.payload.encode(), retained=one.retained) for one in arrivals]
    refusals = {
        body.audience: ring_refusal(body, retained=False, known_ids=(), member_of={"household:h09"}) for body in bodies
    }
    assert len(refusals) == len([one for one in principals(site) if one.audience.startswith("household:")]) - 1
    assert [audience for audience, refusal in refusals.items() if refusal is None] == ["household:h09"]
    assert all(isinstance(refusal, NotAMember) for refusal in refusals.values() if refusal is not None)


@pytest.mark.proves("N1")
def test_an_answer_before_the_commit_shows_as_a_loss(tmp_path: Path) -> None:
    with town(tmp_path, mutations={"gateway": "answer_before_the_commit"}) as broken:
        broken.wait_greeted()
        with broken.killed(broken.gateway, "journal.append:before:1", "journal.append:delay:1500"):
            message = broken.press("u03")
        broken.settle()
        verdict = broken.verdict(timeout_s=0)
    assert verdict.wrong.keys() == {"lost"}
    assert f"{message}: confirmed, and in no journal" in verdict.lost


@pytest.mark.proves("N2")
def test_a_receipt_before_the_commit_shows_as_a_loss_until_the_gateway_tells_it_again(tmp_path: Path) -> None:
    """The station's next hello says that it holds less than it had receipted: what it lost comes once more.

    That the gateway says so is the trace of the loss: of a station that keeps what it receipts it never does, killed at
    the same step (`test_press_road`, for each step of a station).
    """
    with town(tmp_path, mutations={"station": "receipt_before_the_commit"}) as broken:
        broken.wait_greeted()
        with broken.killed(broken.station, "ingest.commit:before:1", "ingest.commit:delay:400"):
            message = broken.press("u03")
        broken.settle()
        verdict = broken.verdict(timeout_s=0)
        told_again = TOLD_AGAIN in broken.gateway.said()
    assert told_again or f"{message}: confirmed, and not at the station" in verdict.lost
    assert verdict.wrong.keys() <= {"lost"}
