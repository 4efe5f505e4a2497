"""Migrations are one line: each after the one before, none twice. Two that follow the same one stop every station."""

import re
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path("api/migrations/versions")
_NAMED = re.compile(r'^(revision|down_revision) = (?:"(\w+)"|None)$', re.MULTILINE)


def problems(root: Path) -> list[str]:
    """What keeps the migrations of a tree from being one line."""
    return broken({path.name: path.read_text(encoding="utf-8") for path in sorted((root / FOLDER).glob("v*.py"))})


def broken(files: Mapping[str, str]) -> list[str]:
    """The same of files by their names."""
    follows: dict[str, str] = {}
    seen: dict[str, str] = {}
    found: list[str] = []
    for name, text in files.items():
        said = dict(_NAMED.findall(text))
        revision, before = said.get("revision", ""), said.get("down_revision", "")
        if revision in seen:
            found.append(f"{name}: {revision} is {seen[revision]} already")
        if before in follows:
            found.append(f"{name}: follows {before or 'nothing'}, and so does {follows[before]}")
        seen[revision], follows[before] = name, name
    return found + [f"{follows[one]}: follows {one}, which is not there" for one in follows if one and one not in seen]
