"""The catalogue of faults in docs/faults.md: every row is shown by a nemesis or a test, or says why it is not.

    | F23 | what goes wrong | what has to hold | shown by |

The last column is written by `python -m tests.checks --write`; only a row that nothing shows has words of its own.
They begin with "open: ", or with "not here: " where no such machine can show it; then they name rows that stand for it.
Whatever shows a row has its number in its name: `F23-broker-killed`, `test_a_sync_that_fails[F07]`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from faults.nemeses import NEMESES

WHERE = "docs/faults.md"
ROWS = [f"F{number:02}" for number in range(1, 65)]
ROW = re.compile(r"^(\| (F\d\d) \| .+? \| .+? \|) (.*) \|$", re.MULTILINE)
OPEN = "open: "
NOT_HERE = "not here: "
STANDS_FOR_IT = re.compile(r"; instead (F\d\d(?:, F\d\d)*)")
SHOWN = 3


def problems(root: Path, proven: Mapping[str, Collection[str]]) -> Iterator[str]:
    found = ROW.findall((root / WHERE).read_text(encoding="utf-8"))
    if [row for _, row, _ in found] != ROWS:
        yield f"{WHERE} has to have each of F01 to F64 once, in order"
    for _, row, said in found:
        if shown := _shown(row, proven):
            if said != shown:
                yield f"{WHERE}: {row} is shown by other tests than it says; run python -m tests.checks --write"
        elif said.startswith(NOT_HERE):
            instead = STANDS_FOR_IT.search(said)
            if instead is None or not all(_shown(other, proven) for other in instead[1].split(", ")):
                yield f"{WHERE}: {row} cannot be shown here; name rows that are and stand for it, with `; instead F..`"
        elif not said.startswith(OPEN):
            yield f"{WHERE}: nothing shows {row}; say why, with `{OPEN}`"
        for test in _unnumbered(row, proven):
            yield f"{test} shows {row} and does not have it in its name"


def write(root: Path, proven: Mapping[str, Collection[str]]) -> None:
    path = root / WHERE
    text = ROW.sub(lambda row: f"{row[1]} {_shown(row[2], proven) or row[3]} |", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")


def _unnumbered(row: str, proven: Mapping[str, Collection[str]]) -> Iterator[str]:
    """What shows a row, and could not be found by its number."""
    yield from (name for name, nemesis in NEMESES.items() if row in nemesis.rows and row not in name.split("-"))
    yield from (
        test for test, ids in proven.items() if row in ids and row not in re.split(r"[\[\]-]", test.partition("[")[2])
    )


def _shown(row: str, proven: Mapping[str, Collection[str]]) -> str:
    nemeses = [f"`{name}`" for name, nemesis in NEMESES.items() if row in nemesis.rows]
    tests = list(dict.fromkeys(test.partition("[")[0] for test, ids in proven.items() if row in ids))
    told = [*nemeses, *(f"`{test}`" for test in tests[:SHOWN])]
    return ", ".join(told) + (f" and {len(tests) - SHOWN} more" if len(tests) > SHOWN else "")
