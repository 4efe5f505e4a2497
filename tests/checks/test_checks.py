"""Each check is shown a tree with one thing wrong, and must say so."""

import ast
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import typer

from faults.nemeses import NEMESES
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

ROWS = ("A1", "N1")
Write = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Write:
    def write(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write


def status_of(tree: Write, *lines: str, proven: Mapping[str, tuple[str, ...]] | None = None) -> list[str]:
    table = "| Row | State | Test | Figure |\n|---|---|---|---|\n" + "".join(f"{line}\n" for line in lines)
    return list(status.problems(tree({status.WHERE: table}), ROWS, proven or {}))


def test_requirements_hold_every_row_and_every_invariant() -> None:
    """The list that all else is measured against: 12 + 12 + 7 rows and 16 invariants."""
    rows = requirements.read(Path(__file__).parents[2])
    expected = {"A": 12, "P": 12, "G": 7, "N": 16}
    assert set(rows) == {f"{letter}{n}" for letter, last in expected.items() for n in range(1, last + 1)}


def test_a_status_that_is_complete_and_true_passes(tree: Write) -> None:
    lines = ("| A1 | part | `tests/test_a.py::test_one` | |", "| N1 | works | `tests/test_a.py` | 3 ms |")
    proven = {"tests/test_a.py::test_one[x]": ("A1",), "tests/test_a.py::test_two": ("N1",)}
    assert status_of(tree, *lines, proven=proven) == []


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["| A1 | open | | |"], "misses N1"),
        (["| A1 | open | | |", "| A1 | open | | |", "| N1 | open | | |"], "names A1 twice"),
        (["| A1 | open | | |", "| N1 | open | | |", "| A13 | open | | |"], "names A13"),
        (["| A1 | done | | |", "| N1 | open | | |"], "A1 is 'done'"),
        (["| A1 | open | `tests/test_a.py::test_gone` | |", "| N1 | open | | |"], "test_gone, which does not exist"),
        (["| A1 | part | | |", "| N1 | open | | |"], "no test is named"),
        (["| A1 | works | `tests/test_a.py` | |", "| N1 | open | | |"], 'carries proves("A1")'),
    ],
)
def test_a_status_that_is_wrong_is_refused(tree: Write, lines: list[str], said: str) -> None:
    [problem] = status_of(tree, *lines, proven={"tests/test_a.py::test_one": ("N1",)})
    assert said in problem


def test_an_unknown_row_in_a_marker_is_an_error_and_an_unproven_one_is_listed() -> None:
    proven = {"tests/test_a.py::test_one": ("A1", "N99")}
    [problem] = proofs.unknown(proven, ROWS)
    assert "N99" in problem
    assert proofs.without_one(proven, ROWS) == ["N1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a](docs/gone.md)", "docs/gone.md"),
        ("[a](docs/there.md#not-a-heading)", "no such heading"),
        ("[a](#nowhere)", "no such heading"),
        ("![a picture](docs/road.svg)", "docs/road.svg"),
    ],
)
def test_a_broken_link_is_found(tree: Write, text: str, said: str) -> None:
    [problem] = links.problems(tree({"README.md": text, "docs/there.md": "# There\n"}))
    assert said in problem


def test_links_that_lead_somewhere_or_stand_in_code_pass(tree: Write) -> None:
    text = (
        "# 一键 报警: `x`\n[a](docs/there.md) [b](docs/there.md#the-road-of-a-press) [c](#一键-报警-x)"
        " [d](https://example.org/x) `[e](gone.md)`\n```\n[f](gone.md)\n```\n"
    )
    there = "## The road of a press\n[back](../README.md)\n"
    assert list(links.problems(tree({"README.md": text, "docs/there.md": there}))) == []


def application() -> typer.Typer:
    app = typer.Typer()
    group = typer.Typer()
    app.command("watch", help="Show what passes.")(lambda: None)
    app.command("inner", hidden=True)(lambda: None)
    group.command("make")(lambda: None)
    group.command("list", help="Show keys.")(lambda: None)
    app.add_typer(group, name="keys")
    return app


def test_commands_of_groups_are_found_and_hidden_ones_are_not() -> None:
    assert dict(commands.commands_of(application())) == {
        "watch": "Show what passes.",
        "keys make": None,
        "keys list": "Show keys.",
    }


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("## `shouwang demo`", "demo"),
        ("### `shouwang keys make`", "keys make"),
        ("## `shouwang gateway --site F --id G`", "gateway"),
        ("## Try it: `shouwang check SITE`", "check"),
    ],
)
def test_a_heading_documents_a_command(heading: str, name: str) -> None:
    assert commands.HEADING.findall(heading) == [name]


def in_git(root: Path) -> Path:
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    return root


@pytest.mark.parametrize(
    "text",
    [
        "see https://" + "pypi" + ".org/simple",
        "resolved https://" + "registry.npmjs" + ".org/htmx",
        "--index" + "-url somewhere",
        "/home" + "/alice/shouwang/site.toml",
    ],
)
def test_a_registry_or_a_home_folder_in_the_tree_is_found(tree: Write, text: str) -> None:
    [problem] = places.problems(in_git(tree({"docs/setup.md": f"first line\n{text}\n"})))
    assert problem.startswith("docs/setup.md:2 names ")


def test_the_folder_of_the_checkout_in_the_tree_is_found(tree: Write, tmp_path: Path) -> None:
    [problem] = places.problems(in_git(tree({"Makefile": f"demo:\n\t{tmp_path.parent}/main/.venv/bin/shouwang\n"})))
    assert problem.startswith("Makefile:2 names ")


def test_places_that_every_machine_has_pass(tree: Write) -> None:
    text = "/usr/sbin/mosquitto ~/site.toml /home/pi/site.toml $HOME/x docs/home/a/b /dev/serial/by-id/x\n"
    assert list(places.problems(in_git(tree({"docs/setup.md": text, "picture.png": "\x89"})))) == []


def catalogue_of(tree: Write, *lines: str) -> Path:
    said = {line[2:5]: line for line in lines}
    others = {row: f"| {row} | it goes wrong | it holds | open: not tried |" for row in catalogue.ROWS}
    return tree({catalogue.WHERE: "\n".join((others | said).values()) + "\n"})


def test_a_row_of_the_catalogue_that_nothing_shows_says_why(tree: Write) -> None:
    nothing = dict.fromkeys(("tests/test_x.py::test_y",), ())
    rows = [row for nemesis in NEMESES.values() for row in nemesis.rows]
    shown = [f"| {row} | wrong | holds | {catalogue._shown(row, nothing)} |" for row in rows]
    assert not list(catalogue.problems(catalogue_of(tree, *shown), nothing))
    [problem] = catalogue.problems(catalogue_of(tree, *shown, "| F64 | wrong | holds | ? |"), nothing)
    assert "F64" in problem
    stands = "| F64 | wrong | holds | not here: there is none; instead F01, F02 |"
    assert not list(catalogue.problems(catalogue_of(tree, *shown, stands), nothing))
    for nobody in ("not here: there is none", "not here: there is none; instead F63"):
        [problem] = catalogue.problems(catalogue_of(tree, *shown, f"| F64 | wrong | holds | {nobody} |"), nothing)
        assert "F64" in problem


def test_whatever_shows_a_row_has_its_number_in_its_name(tree: Write) -> None:
    named = {"tests/test_x.py::test_y[F63-F64]": ("F63", "F64"), "tests/test_x.py::test_y[F63-F64-1]": ("F63", "F64")}
    unnamed = {"tests/test_x.py::test_z[F63]": ("F64",), "tests/test_x.py::test_F64": ("F64",)}
    root = catalogue_of(tree)
    catalogue.write(root, {**named, **unnamed})
    found = list(catalogue.problems(root, {**named, **unnamed}))
    assert [problem.partition(" ")[0] for problem in found] == list(unnamed)


def test_the_catalogue_names_the_tests_that_there_are_and_is_written_so(tree: Write) -> None:
    proven = {"tests/test_x.py::test_y[F64-1]": ("F64",), "tests/test_x.py::test_y[F64-2]": ("F64", "N1")}
    root = catalogue_of(tree)
    assert any("F64" in problem for problem in catalogue.problems(root, proven))
    catalogue.write(root, proven)
    assert "| F64 | it goes wrong | it holds | `tests/test_x.py::test_y` |" in (root / catalogue.WHERE).read_text()
    assert not list(catalogue.problems(root, proven))


def test_a_catalogue_that_lacks_a_row_is_found(tree: Write) -> None:
    root = tree({catalogue.WHERE: "| F01 | wrong | holds | open: not tried |\n"})
    assert any("F01 to F64" in problem for problem in catalogue.problems(root, {}))


def test_migrations_that_are_no_line_are_named() -> None:
    def one(revision: str, before: str | None) -> str:
        follows = "None" if before is None else f'"{before}"'
        return f'revision = "{revision}"\ndown_revision = {follows}\n'

    line = {"v1.py": one("1", None), "v2.py": one("2", "1"), "v4.py": one("4", "2")}
    assert migrations.broken(line) == []
    assert migrations.broken(line | {"v5.py": one("5", "2")}) == ["v5.py: follows 2, and so does v4.py"]
    assert migrations.broken(line | {"v5.py": one("4", "4")}) == ["v5.py: 4 is v4.py already"]
    assert migrations.broken(line | {"v5.py": one("5", "3")}) == ["v5.py: follows 3, which is not there"]


def provisions_of(tree: Write, *changed: tuple[str, str]) -> list[str]:
    wanted = [f"{clause}-{n}" for clause, many in provisions.HOW_MANY.items() for n in range(1, many + 1)]
    text = "".join(f"| {one} what | met | `tests/t.py::test_it` |\n" for one in wanted)
    for old, new in changed:
        assert old in text
        text = text.replace(old, new)
    return list(provisions.problems(tree({provisions.WHERE: text}), ["tests/t.py::test_it[x]"]))


def test_every_provision_of_the_standard_is_answered_by_something_that_is_there(tree: Write) -> None:
    assert provisions_of(tree) == []
    line = "| 5.7-1 what | met | `tests/t.py::test_it` |\n"
    for changed, problem in {
        "": "misses provision 5.7-1",
        line + line: "misses provision 5.7-1",
        line.replace("test_it", "test_no"): "names the test tests/t.py::test_no, which does not exist",
        line.replace("met", "fine"): "is 'fine'",
        line.replace("`tests/t.py::test_it`", "surely"): "is met, and nothing shows it",
        line.replace("5.7-1", "5.7-9"): "which is no provision",
    }.items():
        assert any(problem in said for said in provisions_of(tree, (line, changed))), problem


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("%(n)s devices", "devices"),
        ("Wait %(n)s seconds.", "seconds"),
        ("%(n)s more alarms are there", "alarms"),
        ("seen by %(read)s of %(places)s households", "households"),
        ("%(n)s is left", None),
        ("%(who)s accepts", None),
        ("in %(n)s s", None),
        ("%(n)s min each", None),
    ],
)
def test_a_message_that_counts_something_in_one_form_is_found(message: str, word: str | None) -> None:
    assert words.without_plural(message) == word


ROUTED = """
Asks = Annotated[Authority, may("gate.open")]
def route(station, by: Asks): station.gates.open(1, by)
def other(station, by: Annotated[Authority, may("gate.read")]): station.gates.show(by)
"""
RECORDING = """
def open(self, number, by): record(session, by=by.account, action=by.action, about=f"gate:{number}")
def show(self, by): return by
def close(self, done): self._record("gate.close" if done else "gate.leave", f"gate:{done}")
def _record(self, action, about): record(session, by=None, action=action, about=about)
def paint(self, colour): record(session, by=None, action=f"gate.{colour}", about="gate")
"""


def sources(*texts: str) -> list[actions.Source]:
    return [actions.Source(f"api/gates/{n}.py", "gates", ast.parse(text)) for n, text in enumerate(texts)]


def test_what_is_recorded_is_read_out_of_the_sources_and_held_against_the_words() -> None:
    found = actions.collect(sources(ROUTED, RECORDING), {"gate.{colour}": ["red"]})
    assert found.unclear == ()
    assert found.actions == {"gate.open", "gate.close", "gate.leave", "gate.red"}
    assert found.sorts == {"gate"}
    assert [*actions.against(found.actions, found.sorts, found)] == []
    missing, left = actions.against((found.actions - {"gate.red"}) | {"gate.blue"}, found.sorts, found)
    assert "no words for 'gate.red'" in missing
    assert "'gate.blue', which nothing records" in left


def test_an_action_that_cannot_be_made_out_is_an_error() -> None:
    unclear = actions.collect(sources(RECORDING), {}).unclear
    assert [one.partition(": ")[2] for one in unclear] == [
        "no action was found for by.action",  # no route leads there
        "no action was found for f'gate.{colour}'",
    ]


def test_the_words_of_the_audit_are_total() -> None:
    assert [*actions.problems(Path(__file__).resolve().parents[2])] == []
