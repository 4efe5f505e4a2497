"""docs/operations.md names every fault that a gateway can tell, and none that it cannot."""

import re
from pathlib import Path

import gateway

PACKAGE = Path(gateway.__file__).parent
ROW = re.compile(r"^\| `([a-z_]+)` \| .* \| .+ \| .+ \|$", re.MULTILINE)
STATED = re.compile(r'state\(\s*"([a-z_]+)"|"fault": "([a-z_]+)"')


def test_every_fault_of_the_program_is_explained() -> None:
    told = {
        name
        for path in PACKAGE.rglob("*.py")
        for names in STATED.findall(path.read_text(encoding="utf-8"))
        for name in names
        if name
    }
    text = Path(PACKAGE.parent, "docs/operations.md").read_text(encoding="utf-8")
    explained = ROW.findall(text.partition("## Faults")[2].partition("\n## ")[0])
    assert len(told) > 20
    assert sorted(explained) == sorted(told)
