"""Every input that a fuzzer ever found worth keeping, and every one that once broke something, in each run."""

import pytest

from tests.devices.vectors import FOLDER as VECTORS
from tests.fuzz import corpora
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.proves("N9", "F37")
def test_nothing_that_a_stranger_writes_breaks_anything(target: str) -> None:
    inputs = corpora.kept(target)
    assert len(inputs) > 1, f"{target} was never tried: make fuzz ARGS={target}"
    for one in inputs:
        TARGETS[target](one)


def test_a_corpus_belongs_to_a_target() -> None:
    assert {path.stem for path in corpora.FOLDER.glob("*.hex")} == set(TARGETS)


@pytest.mark.parametrize("target", ["rdm6300", "wand", "pn532", "line", "words"])
def test_what_real_devices_sent_is_taken_by_every_target(target: str) -> None:
    for path in sorted(VECTORS.glob("*.hex")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                TARGETS[target](bytes.fromhex(line.rpartition(" = ")[0]))
