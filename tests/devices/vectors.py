"""Reads tests/vectors: lines of `hex bytes = meaning` under a line that says where they come from."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "vectors"
SOURCE = "# source: "


@dataclass(frozen=True)
class Vector:
    data: bytes
    meaning: str
    source: str


@dataclass(frozen=True)
class TextVector:
    text: str
    meaning: str
    source: str


def read_vectors(name: str) -> list[Vector]:
    """All vectors of tests/vectors/`name`.hex; an AssertionError if one has no source."""
    return [Vector(bytes.fromhex(one.text), one.meaning, one.source) for one in read_text_vectors(f"{name}.hex")]


def read_text_vectors(name: str) -> list[TextVector]:
    """The same for a file whose left side is text: `name` has its ending."""
    source = ""
    vectors: list[TextVector] = []
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith(SOURCE):
            source = line.removeprefix(SOURCE)
        elif not line:
            source = ""
        elif not line.startswith("#"):
            assert source, f"{name}: nobody knows where this comes from: {line}"
            text, _, meaning = line.rpartition(" = ")
            vectors.append(TextVector(text, meaning, source))
    assert vectors
    return vectors
