"""Feeds a codec one stream in every way in which a wire may deliver it."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from random import Random
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

R_co = TypeVar("R_co", covariant=True)

SPLITS = 25
START_NS = 1_000_000_000_000
READ_NS = 1_000
"""Every read comes a microsecond after the last: no time-out may come between two of them."""

NOISE = (b"\xff", b"\x80\xff\xaa" * 20, bytes([0xF8] * 600))
"""What a loose wire and a wrong baud rate look like: nothing that begins a frame, and no text."""


class Codec(Protocol[R_co]):
    """Anything that turns bytes into readings."""

    def receive_data(self, data: bytes, now_ns: int, /) -> Sequence[R_co]: ...


def feed(codec: Codec[R_co], reads: Iterable[bytes], *, start_ns: int = START_NS) -> list[R_co]:
    """Return what `codec` makes of these reads, one a microsecond."""
    readings: list[R_co] = []
    for number, data in enumerate(reads):
        readings += codec.receive_data(data, start_ns + number * READ_NS)
    return readings


def feed_every_way(
    make_codec: Callable[[], Codec[Any]],
    stream: bytes,
    expected: Sequence[object],
    *,
    again: Sequence[object] = (),
    noise: Sequence[bytes] = NOISE,
) -> None:
    """Assert that a fresh codec makes `expected` of `stream`, however it is delivered.

    Whole; byte by byte; in random pieces; behind, before and between noise; and twice back to back, where
    the second time yields `again`: nothing, for a codec that folds repeats. `noise` must hold nothing that
    the codec may take for the beginning of a frame.
    """
    wanted = list(expected)
    assert feed(make_codec(), [stream]) == wanted, "whole"
    assert feed(make_codec(), single_bytes(stream)) == wanted, "byte by byte"
    for seed in range(SPLITS):
        assert feed(make_codec(), random_pieces(stream, Random(seed))) == wanted, f"in pieces, seed {seed}"
    for dirt in noise:
        for dirty in ([dirt + stream + dirt], [dirt, stream, dirt], single_bytes(dirt + stream + dirt)):
            assert feed(make_codec(), dirty) == wanted, f"in noise {dirt[:4].hex()}"
        assert feed(make_codec(), [stream + dirt + stream]) == [*wanted, *again], f"around noise {dirt[:4].hex()}"
    assert feed(make_codec(), [stream + stream]) == [*wanted, *again], "back to back in one read"
    assert feed(make_codec(), [stream, stream]) == [*wanted, *again], "back to back"
    assert feed(make_codec(), single_bytes(stream + stream)) == [*wanted, *again], "back to back, byte by byte"


def single_bytes(stream: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in stream]


def random_pieces(stream: bytes, dice: Random) -> list[bytes]:
    """`stream` cut at random places; some pieces may be empty."""
    return cut(stream, [dice.randint(0, len(stream)) for _ in range(dice.randint(1, 8))])


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def places() -> st.SearchStrategy[list[int]]:
    """Where to `cut` a stream of up to a few hundred bytes."""
    return st.lists(st.integers(0, 400), max_size=12)
