"""docs/status.md: one line for each row and invariant, true about the tests that it names."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

WHERE = "docs/status.md"
LINE = re.compile(r"^\|\s*([A-Z]\d+)\s*\|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)
NAMED_TEST = re.compile(r"`([^`]+)`")
STATES = ("open", "part", "works")


def problems(root: Path, rows: Collection[str], proven: Mapping[str, Collection[str]]) -> Iterator[str]:
    lines: list[tuple[str, str, str, str]] = LINE.findall((root / WHERE).read_text(encoding="utf-8"))
    listed = [row for row, *_ in lines]
    yield from (f"{WHERE} misses {row}" for row in rows if row not in listed)
    yield from (f"{WHERE} names {row} twice" for row in sorted({row for row in listed if listed.count(row) > 1}))
    for row, state, tests, _figure in lines:
        if row not in rows:
            yield f"{WHERE} names {row}, which is no row of docs/requirements.md"
            continue
        yield from line_problems(row, state=state.strip(), tests=NAMED_TEST.findall(tests), proven=proven)


def line_problems(
    row: str, *, state: str, tests: Collection[str], proven: Mapping[str, Collection[str]]
) -> Iterator[str]:
    if state not in STATES:
        yield f"{WHERE}: {row} is '{state}', and may be {', '.join(STATES)}"
    for test in tests:
        if not any(is_named(nodeid, by=test) for nodeid in proven):
            yield f"{WHERE}: {row} names the test {test}, which does not exist"
    if state == "part" and not tests:
        yield f"{WHERE}: {row} works in part, but no test is named"
    if state == "works" and not any(
        row in proven[nodeid] for test in tests for nodeid in proven if is_named(nodeid, by=test)
    ):
        yield f'{WHERE}: {row} works, but no test named there carries proves("{row}")'


def is_named(nodeid: str, *, by: str) -> bool:
    """A test is named with or without its parameters; a file or a class names all its tests."""
    return nodeid == by or nodeid.startswith((f"{by}[", f"{by}::"))
