"""QR codes at patrol points: signed for one point, weak where they are printed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.qr import WINDOW_S, Freshness, Payload, holds, parse, point_key, printed, rotating
from tests.devices.vectors import TextVector, read_text_vectors

KEY = b"0123456789abcdef0123456789abcdef"
VECTORS = read_text_vectors("qr.txt")
WINDOW = 989_286
NOW_S = WINDOW * WINDOW_S + WINDOW_S // 2
points = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
versions = st.integers(0, 9_999)


def claimed(text: str) -> Payload:
    payload = parse(text)
    assert payload is not None
    return payload


@pytest.mark.proves("P1")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.meaning)
def test_codes_that_another_tool_signed_hold(vector: TextVector) -> None:
    payload = claimed(f" {vector.text}\n")
    assert f"{payload.point} {payload.version} {payload.freshness.value}" == vector.meaning
    assert holds(payload, key=KEY, at_s=NOW_S)
    assert not holds(payload, key=KEY[::-1], at_s=NOW_S)


@pytest.mark.proves("P1")
def test_what_we_sign_is_what_the_other_tool_signed() -> None:
    assert [
        printed("gate-3", 1, key=KEY),
        printed("gate-3", 2, key=KEY),
        rotating("gate-3", 1, key=KEY, at_s=NOW_S),
    ] == [vector.text for vector in VECTORS]


@pytest.mark.proves("P1")
@pytest.mark.parametrize(
    ("later_s", "good"), [(-WINDOW_S * 2, False), (-WINDOW_S, True), (0, True), (WINDOW_S, True), (WINDOW_S * 2, False)]
)
def test_a_rotating_code_ends_and_a_printed_one_does_not(later_s: int, good: bool) -> None:
    assert holds(claimed(rotating("p1", 1, key=KEY, at_s=NOW_S)), key=KEY, at_s=NOW_S + later_s) == good
    assert holds(claimed(printed("p1", 1, key=KEY)), key=KEY, at_s=NOW_S + later_s)


@given(points, versions, st.integers(0, 4_000_000_000))
def test_every_code_is_read_back_and_holds_for_its_own_point_alone(point: str, version: int, at_s: int) -> None:
    for text in (printed(point, version, key=KEY), rotating(point, version, key=KEY, at_s=at_s)):
        payload = claimed(text)
        assert (payload.point, payload.version) == (point, version)
        assert holds(payload, key=KEY, at_s=at_s)
        moved = Payload(
            f"{point[:31]}x" if point[-1] != "x" else f"{point[:31]}y", version, payload.window, payload.mac
        )
        assert not holds(moved, key=KEY, at_s=at_s)
        assert not holds(Payload(point, version + 1, payload.window, payload.mac), key=KEY, at_s=at_s)


def test_a_printed_code_does_not_pass_for_a_rotating_one() -> None:
    static = claimed(printed("p1", 1, key=KEY))
    assert static.freshness is Freshness.STATIC
    assert not holds(Payload("p1", 1, WINDOW, static.mac), key=KEY, at_s=NOW_S)


def test_each_point_and_version_has_its_own_key() -> None:
    keys = {point_key(b"secret", point, version) for point in ("p1", "p2", "p1:1") for version in (1, 2)}
    assert len(keys) == 6
    assert {len(key) for key in keys} == {32}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://example.org",
        "PT1:gate-3:1",
        "PT1:gate-3:1:4288BE88DB6BC678",
        "PT1:Gate-3:1:4288be88db6bc678",
        "PT2:gate-3:1:4288be88db6bc678",
        "PT1:gate-3:1:4288be88db6bc6789",
        "PR1:gate-3:1:4288be88db6bc678",
        "PT1:gate-3:١:4288be88db6bc678",
        " " * 97,
    ],
)
def test_what_is_no_code_is_none(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("point", "version"), [("Gate", 1), ("", 1), ("a:b", 1), ("x" * 33, 1), ("p1", 10_000), ("p1", -1)]
)
def test_a_code_that_could_not_be_read_is_not_made(point: str, version: int) -> None:
    with pytest.raises(ValueError, match="no code"):
        printed(point, version, key=KEY)


@given(st.text(max_size=120))
def test_whatever_is_scanned_nothing_raises(text: str) -> None:
    payload = parse(text)
    assert payload is None or not holds(payload, key=b"", at_s=0)
