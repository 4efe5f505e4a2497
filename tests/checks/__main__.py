"""Run every check from the root of the tree. Exit 1 when one finds something wrong; what is only unproven is told.

With --write the catalogue of docs/faults.md names the tests that there are.
"""

import sys
from pathlib import Path

from tests.checks import (
    actions,
    catalogue,
    commands,
    links,
    migrations,
    places,
    proofs,
    provisions,
    requirements,
    status,
    words,
)

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    rows = requirements.read(ROOT)
    proven = proofs.collect(ROOT)
    if "--write" in sys.argv[1:]:
        catalogue.write(ROOT, proven)
    problems = [
        *proofs.unknown(proven, {*rows, *catalogue.ROWS}),
        *catalogue.problems(ROOT, proven),
        *status.problems(ROOT, rows, proven),
        *provisions.problems(ROOT, proven),
        *links.problems(ROOT),
        *commands.problems(ROOT),
        *places.problems(ROOT),
        *migrations.problems(ROOT),
        *words.problems(ROOT),
        *actions.problems(ROOT),
    ]
    without = proofs.without_one(proven, rows)
    print(f"{len(rows) - len(without)} of {len(rows)} rows and invariants have a `proves` test; these have none:")
    for row in without:
        print(f"  {row:<4}{requirements.first_words(rows[row])}")
    for problem in problems:
        print(f"error: {problem}")
    print(f"checks: {len(problems)} errors")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
