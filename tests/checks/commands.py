"""Every `shouwang` command has help and a heading in docs/commands.md; nothing is documented that does not exist."""

import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WHERE = "docs/commands.md"
HEADING = re.compile(r"^#+ .*?`shouwang ([a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)*)(?=[ `])", re.MULTILINE)


def problems(root: Path) -> Iterator[str]:
    if importlib.util.find_spec("deploy.cli") is None:
        return
    existing = dict(commands_of(importlib.import_module("deploy.cli").app))
    document = root / WHERE
    documented = set(HEADING.findall(document.read_text(encoding="utf-8"))) if document.exists() else set()
    for name, help_text in existing.items():
        if name not in documented:
            yield f"{WHERE} has no heading with `shouwang {name}`"
        if not help_text:
            yield f"shouwang {name} has no help"
    yield from (
        f"{WHERE} describes `shouwang {name}`, which does not exist" for name in sorted(documented - {*existing})
    )


def commands_of(app: Any) -> Iterator[tuple[str, str | None]]:
    """Each command of a Typer application with its help; the commands of a group as `group command`."""
    typer_main = importlib.import_module("typer.main")
    yield from leaves(typer_main.get_command(app), prefix=())


def leaves(command: Any, *, prefix: tuple[str, ...]) -> Iterator[tuple[str, str | None]]:
    for name, below in getattr(command, "commands", {}).items():
        if below.hidden:
            continue
        if hasattr(below, "commands"):
            yield from leaves(below, prefix=(*prefix, name))
        else:
            yield " ".join((*prefix, name)), below.help
