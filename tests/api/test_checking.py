"""Signatures that a process of its own checks: true ones, false ones, and a process that is not well."""

import os
import signal
from collections.abc import Iterator
from io import BufferedReader, BytesIO

import pytest

from api.ingest import checker, checking
from api.ingest.checking import FEW, Checking
from broker.ed25519 import Claim, check, private_key

# RFC 8032 section 7.1, tests 2 and 3
GENUINE = (
    Claim(
        bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
        bytes.fromhex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
        bytes.fromhex("72"),
    ),
    Claim(
        bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"),
        bytes.fromhex(
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
        bytes.fromhex("af82"),
    ),
)
FALSE = (
    GENUINE[0]._replace(signed=b"\x73"),
    GENUINE[0]._replace(key=GENUINE[1].key),
    GENUINE[1]._replace(signature=GENUINE[0].signature),
    GENUINE[0]._replace(signature=b"", signed=b""),
    GENUINE[0]._replace(key=b"no key"),
)
MIXED = (*GENUINE, *FALSE, *GENUINE)
VERDICTS = [True, True, False, False, False, False, False, True, True]


@pytest.fixture
def checks() -> Iterator[Checking]:
    one = Checking()
    yield one
    one.close()


def test_the_vectors_of_the_standard_are_true_and_what_differs_by_anything_is_not() -> None:
    assert check(MIXED) == VERDICTS


@pytest.mark.proves("N13")
def test_the_process_says_of_each_what_is_true_however_many_are_asked(checks: Checking) -> None:
    key = private_key(bytes(32))
    public = key.public_key().public_bytes_raw()
    long = [Claim(public, key.sign(text), text) for text in (bytes([n]) * 3_000 for n in range(200))]
    assert checks([*GENUINE * FEW]) == [True] * len(GENUINE) * FEW
    assert checks(long) == [True] * len(long)
    assert checks([*long[:50], FALSE[0], *long[50:]]) == [True] * 50 + [False] + [True] * 150
    process = checks._process
    assert process is not None
    assert process.poll() is None


def test_it_answers_octet_for_octet_what_is_written_down() -> None:
    asked = b"\0\0\0\2" + b"".join(
        one.key + one.signature + len(one.signed).to_bytes(4, "big") + one.signed for one in (GENUINE[0], FALSE[0])
    )
    assert checker.pack((GENUINE[0], FALSE[0])) == asked
    answers = BytesIO()
    checker.serve(BufferedReader(BytesIO(asked * 2)), answers)
    assert answers.getvalue() == b"\1\0\1\0"


@pytest.mark.proves("N13", "N9")
def test_a_claim_that_is_no_key_and_no_signature_keeps_nobody_from_an_answer(checks: Checking) -> None:
    assert checks(MIXED) == VERDICTS
    assert checks([*GENUINE, *FALSE[:3]] * 2) == [True, True, False, False, False] * 2
    assert checks._process is not None  # it was asked only the second time


@pytest.mark.proves("N9")
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_when_the_process_is_dead_or_hangs_it_is_checked_here_and_nobody_waits_for_it_again(
    checks: Checking, sent: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks(GENUINE * FEW)  # its start takes longer where others are at work
    monkeypatch.setattr(checking, "ANSWER_S", 0.2)
    first = checks._process
    assert first is not None
    os.kill(first.pid, sent)
    assert checks(GENUINE * FEW) == [True] * len(GENUINE) * FEW
    assert first.poll() is not None
    assert checks(GENUINE * FEW) == [True] * len(GENUINE) * FEW
    assert checks._process is None


def test_a_few_are_checked_without_a_process(checks: Checking) -> None:
    assert checks(GENUINE) == [True, True]
    assert checks._process is None
