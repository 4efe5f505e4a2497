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


def read_vectors(name: str) -> list[Vector]:
    """All vectors of tests/vectors/`name`.hex; an AssertionError if one has no source."""
    source = ""
    vectors: list[Vector] = []
    for line in (FOLDER / f"{name}.hex").read_text(encoding="utf-8").splitlines():
        if line.startswith(SOURCE):
            source = line.removeprefix(SOURCE)
        elif not line:
            source = ""
        elif not line.startswith("#"):
            assert source, f"{name}.hex: nobody knows where this comes from: {line}"
            data, _, meaning = line.partition(" = ")
            vectors.append(Vector(bytes.fromhex(data), meaning, source))
    assert vectors
    return vectors
