"""docs/security.md: every provision of ETSI EN 303 645 V2.1.1 once, with a state, and tests that exist."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from tests.checks.status import NAMED_TEST, is_named

WHERE = "docs/security.md"
LINE = re.compile(r"^\| (\d+(?:\.\d+)?-\d+) [^|]*\|([^|]*)\|([^|]*)\|$", re.MULTILINE)
HOW_MANY = {
    "5.1": 5, "5.2": 3, "5.3": 16, "5.4": 4, "5.5": 8, "5.6": 9, "5.7": 2, "5.8": 3, "5.9": 3, "5.10": 1, "5.11": 4,
    "5.12": 3, "5.13": 1, "6": 5,
}  # fmt: skip
"""Provisions of each clause, by the contents of the standard."""
STATES = ("met", "part", "gap", "n/a")


def problems(root: Path, proven: Collection[str]) -> Iterator[str]:
    lines: list[tuple[str, str, str]] = LINE.findall((root / WHERE).read_text(encoding="utf-8"))
    listed = [provision for provision, *_ in lines]
    wanted = [f"{clause}-{number}" for clause, many in HOW_MANY.items() for number in range(1, many + 1)]
    yield from (f"{WHERE} misses provision {one}" for one in wanted if listed.count(one) != 1)
    yield from (f"{WHERE} names {one}, which is no provision" for one in listed if one not in wanted)
    for provision, state, how in lines:
        if state.strip() not in STATES:
            yield f"{WHERE}: {provision} is '{state.strip()}', and may be {', '.join(STATES)}"
        tests = [test for test in NAMED_TEST.findall(how) if test.startswith("tests/")]
        for test in tests:
            if not any(is_named(nodeid, by=test) for nodeid in proven):
                yield f"{WHERE}: {provision} names the test {test}, which does not exist"
        if state.strip() == "met" and not tests and "](" not in how and "our own" not in how:
            yield f"{WHERE}: {provision} is met, and nothing shows it"
