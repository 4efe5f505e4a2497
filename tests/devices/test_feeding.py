"""The helper that proves codecs must itself notice a codec that depends on how it is fed."""

from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.devices.feeding import cut, feed_every_way, places, random_pieces, single_bytes
from tests.devices.vectors import FOLDER, read_vectors


class Letters:
    """Yields each capital letter once in a row, as codecs with folded repeats do."""

    def __init__(self, *, needs_whole_reads: bool = False, forgets: bool = False) -> None:
        self._needs_whole_reads = needs_whole_reads
        self._forgets = forgets
        self._last = ""

    def receive_data(self, data: bytes, now_ns: int) -> list[str]:
        assert now_ns
        readings: list[str] = []
        if self._needs_whole_reads and len(data) < 2:
            return readings
        for letter in data.decode("ascii", "ignore"):
            if letter != self._last or self._forgets:
                readings.append(letter)
            self._last = letter
        return readings


def test_a_codec_that_does_not_care_how_it_is_fed_passes() -> None:
    feed_every_way(Letters, b"AA", ["A"])
    feed_every_way(Letters, b"AAB", ["A", "B"], again=["A", "B"])


def test_a_codec_that_needs_whole_reads_is_found_out() -> None:
    with pytest.raises(AssertionError, match="byte by byte"):
        feed_every_way(partial(Letters, needs_whole_reads=True), b"AA", ["A"])


def test_a_codec_that_does_not_fold_repeats_is_found_out() -> None:
    with pytest.raises(AssertionError, match="around noise"):
        feed_every_way(partial(Letters, forgets=True), b"A", ["A"])


@given(st.binary(max_size=40), places(), st.integers())
def test_pieces_of_a_stream_add_up_to_it(stream: bytes, where: list[int], seed: int) -> None:
    for pieces in (cut(stream, where), random_pieces(stream, Random(seed)), single_bytes(stream)):
        assert b"".join(pieces) == stream


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("r*.hex")))
def test_every_vector_of_a_reader_says_where_it_comes_from(name: str) -> None:
    assert all(vector.source and vector.data and vector.meaning for vector in read_vectors(name))
