"""What a fuzzer found worth keeping: tests/fuzz/corpus/<target>.hex, an input a line, sorted."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "corpus"
HEAD: Final = "# Inputs that reach different code, one a line in hexadecimal; kept by `make fuzz`.\n"


def kept(target: str) -> list[bytes]:
    """The inputs of a target, none if it has no file yet."""
    path = FOLDER / f"{target}.hex"
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return [bytes.fromhex(line) for line in lines if not line.startswith("#")]


def keep(target: str, inputs: Iterable[bytes]) -> int:
    """Write down these and no others; returns how many they are."""
    lines = sorted({one.hex() for one in inputs}, key=lambda line: (len(line), line))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{target}.hex").write_text(HEAD + "".join(f"{line}\n" for line in lines), encoding="ascii")
    return len(lines)
