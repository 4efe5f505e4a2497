"""Everything that the station writes into its audit chain has words, and no words are left over.

Of an entry that is its action, and the sort of thing that it is about (`place` of "place:h01"). Both are read out of
the sources, where an action is written in one of four ways:

1. `record(..., action="place.close")`, also with `... if ... else ...`;
2. by a function whose parameter it is: then what is handed to it in its module counts;
3. made of something (`f"alarm.{action}"`): the table below says of what;
4. `action=by.action`, what the route asked for. Then every route counts that hands its `by` on to that place, function
   by function by their names: within the package if it has one of that name, else in whichever has. Names that are the
   same there join what is apart: too much may be found. Where nothing is, that is told.
"""

import ast
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from api.alarms.rules import Action
from api.audit.words import SORTS, WORDS
from api.privacy.rules import Then

WHERE: Final = "api/audit/words.py"
DEEP: Final = 3
"""Names behind names that are followed."""
Function = ast.FunctionDef | ast.AsyncFunctionDef
Made = Callable[[str], Iterable[str]]
"""What a formatted text may be, by how it is written: "alarm.{action}"."""


@dataclass(frozen=True, slots=True)
class Source:
    """One module of the station."""

    where: str
    package: str
    tree: ast.Module


@dataclass(frozen=True, slots=True)
class Found:
    """The actions, the sorts of things that entries are about, and what could not be made out."""

    actions: frozenset[str]
    sorts: frozenset[str]
    unclear: tuple[str, ...]


def problems(root: Path) -> Iterator[str]:
    made_of = {
        "alarm.{action}": [*Action],
        "retention.{rule.then}": [*Then],
        "register.unit.{how.value}": ["removed", "lost", "scrapped"],  # what the route takes
        "register.{name}": ["company", "team"],
        "{name}:{id_}": ["company", "team"],
    }
    read = [
        Source(path.relative_to(root).as_posix(), path.relative_to(root / "api").parts[0], ast.parse(path.read_text()))
        for path in sorted((root / "api").rglob("*.py"))
        if "console" not in path.parts
    ]
    yield from against(WORDS, SORTS, collect(read, made_of))


def against(words: Collection[str], sorts: Collection[str], found: Found) -> Iterator[str]:
    """What is wrong with tables that have words for these."""
    yield from found.unclear
    for there, recorded in ((words, found.actions), (sorts, found.sorts)):
        yield from (f"{WHERE} has no words for {one!r}, which is recorded" for one in sorted(recorded - {*there}))
        yield from (f"{WHERE} has words for {one!r}, which nothing records" for one in sorted({*there} - recorded))


def collect(sources: Iterable[Source], made_of: Mapping[str, Iterable[object]]) -> Found:
    """What these modules record. `made_of`: what stands in the hole of an action that is made of something."""
    read = [*sources]
    actions: set[str] = set()
    sorts: set[str] = set()
    unclear: list[str] = []
    asked = _asked(read)

    def filled(text: str) -> Iterator[str]:
        hole = text[text.index("{") : text.index("}") + 1]
        yield from (text.replace(hole, str(one)) for one in made_of.get(text, ()))

    def begun(text: str) -> Iterable[str]:
        return filled(text) if text in made_of else [text]

    for source, function, call in _records(read):
        action, about = (next(one.value for one in call.keywords if one.arg == name) for name in ("action", "about"))
        if _is_by_action(action):
            said = asked.get((source.package, function.name), set())
        else:
            said = {*_said(action, function, source, filled)}
        of = {text.partition(":")[0] for text in _said(about, function, source, begun)}
        for name, value, found in (("action", action, said), ("about", about, of)):
            if not found or "{" in "".join(found):
                unclear.append(f"{source.where}:{call.lineno}: no {name} was found for {ast.unparse(value)}")
        actions |= said
        sorts |= of
    return Found(frozenset(actions), frozenset(sorts), tuple(unclear))


def _records(sources: Iterable[Source]) -> Iterator[tuple[Source, Function, ast.Call]]:
    """The calls that record something: `record(...)`, `audit.record(...)`, `service.record(...)`."""
    for source in sources:
        for function in _functions(source.tree):
            for call in _calls(function):
                if _name(call) == "record" and {one.arg for one in call.keywords} >= {"action", "about"}:
                    yield source, function, call


def _said(value: ast.expr, function: Function, source: Source, made: Made, deep: int = 0) -> Iterator[str]:
    """What an expression inside a function may be."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr():
            yield from made(ast.unparse(value)[2:-1])
        case ast.IfExp():
            for one in (value.body, value.orelse):
                yield from _said(one, function, source, made, deep)
        case ast.Name(id=name) if deep < DEEP:
            yield from _handed(name, function, source, made, deep)
            for node in ast.walk(function):
                for to, what in _set(node):
                    if isinstance(to, ast.Name) and to.id == name:
                        yield from _said(what, function, source, made, deep + 1)


def _set(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What is given a value, and which, also of several at once."""
    for target in node.targets if isinstance(node, ast.Assign) else ():
        assert isinstance(node, ast.Assign)
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=True)
        else:
            yield target, node.value


def _handed(name: str, function: Function, source: Source, made: Made, deep: int) -> Iterator[str]:
    """What the module hands to a function as the parameter of this name."""
    names = [one.arg for one in _parameters(function)]
    if name not in names:
        return
    at = names.index(name) - (names[0] == "self")
    for other in _functions(source.tree):
        for call in _calls(other):
            if _name(call) == function.name:
                named = [one.value for one in call.keywords if one.arg == name]
                for value in named or call.args[at : at + 1]:
                    yield from _said(value, other, source, made, deep + 1)


def _asked(sources: list[Source]) -> dict[tuple[str, str], set[str]]:
    """By package and name of a function: the actions of the routes whose `by` it may be given."""
    functions = [(source, one) for source in sources for one in _functions(source.tree)]
    packages: dict[str, set[str]] = defaultdict(set)
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for source, one in functions:
        packages[one.name].add(source.package)
    for source, one in functions:
        values = _module_values(source.tree)
        for argument in _parameters(one):
            if argument.annotation is not None:
                found[source.package, one.name] |= {*_may(argument.annotation, values)}
    leads: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for source, one in functions:
        for call in _calls(one):
            if any(isinstance(given, ast.Name) and given.id == "by" for given in _given(call)):
                name = _name(call)
                into = {source.package} if source.package in packages[name] else packages[name]
                leads[source.package, one.name] |= {(package, name) for package in into}
    changed = True
    while changed:
        changed = False
        for start, ends in leads.items():
            for end in ends:
                if not found[start] <= found[end]:
                    found[end] |= found[start]
                    changed = True
    return found


def _may(annotation: ast.expr, values: Mapping[str, ast.expr]) -> Iterator[str]:
    """The actions that an annotation asks for: `Annotated[Authority, may("...")]`, or a name of that."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name) and node.id in values:
            yield from _may(values[node.id], {name: value for name, value in values.items() if name != node.id})
        elif isinstance(node, ast.Call) and _name(node) == "may" and node.args:
            asked = node.args[0]
            asked = values.get(asked.id, asked) if isinstance(asked, ast.Name) else asked
            if isinstance(asked, ast.Constant):
                yield str(asked.value)


def _module_values(tree: ast.Module) -> dict[str, ast.expr]:
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {to.id: node.value for to in node.targets if isinstance(to, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = node.value
    return found


def _is_by_action(value: ast.expr) -> bool:
    return isinstance(value, ast.Attribute) and ast.unparse(value) == "by.action"


@cache
def _functions(tree: ast.Module) -> tuple[Function, ...]:
    return tuple(node for node in ast.walk(tree) if isinstance(node, Function))


@cache
def _calls(function: Function) -> tuple[ast.Call, ...]:
    return tuple(node for node in ast.walk(function) if isinstance(node, ast.Call))


def _parameters(function: Function) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def _name(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(one.value for one in call.keywords)]
