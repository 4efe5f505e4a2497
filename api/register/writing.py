"""How an edit writes its rows: each at once, or many together.

A single step of a desk is a handful of statements. An import of a thousand households is twenty thousand, and nobody
else writes while they are made: no officer acknowledges. Together they are a few statements of many rows each.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import bindparam, update
from sqlalchemy.sql.schema import ScalarElementColumnDefault
from sqlmodel import Session

from api.database import Bulk
from api.register import repository
from api.register.repository import table

T = TypeVar("T")

ORDER: Final = (
    "area", "area_detail", "area_parent", "group_gateway", "place", "place_detail", "place_group", "occupant",
    "occupancy", "exclusion", "consent", "contact", "responder_note", "unit", "unit_place",
)  # fmt: skip
"""In which order tables are filled: a row comes after what it refers to."""
OF: Final = {"place": "place", "occupant": "occupant", "unit": "unit", "area": "area", "group": "area"}
"""Of a column that names a thing, the table in which the thing has its row."""
AT_ONCE: Final = 512
"""Rows between two words about how far it is."""

Told = Callable[[int, int], None]
"""Called with how many rows are written, and of how many."""


class Writing(Protocol):
    """Writes rows of the register. As in `repository`, without a session."""

    def add(self, name: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Insert rows, all with the same columns."""
        ...

    def end(self, name: str, keys: Mapping[str, object], /, *, at_ms: int, **values: object) -> None:
        """Let the rows with these values that still hold, hold until now."""
        ...

    def change(self, name: str, station: str, id_: str, values: Mapping[str, object]) -> None:
        """Change a row that has an id."""
        ...

    def change_where(self, name: str, keys: Mapping[str, object], values: Mapping[str, object]) -> None:
        """Change the rows with these values."""
        ...


class AtOnce:
    """Each as it comes."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, name: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Insert rows, all with the same columns."""
        repository.add(self._session, name, rows)

    def end(self, name: str, keys: Mapping[str, object], /, *, at_ms: int, **values: object) -> None:
        """Let the rows with these values that still hold, hold until now."""
        repository.end(self._session, name, keys, at_ms=at_ms, **values)

    def change(self, name: str, station: str, id_: str, values: Mapping[str, object]) -> None:
        """Change a row that has an id."""
        repository.change(self._session, name, station, id_, values)

    def change_where(self, name: str, keys: Mapping[str, object], values: Mapping[str, object]) -> None:
        """Change the rows with these values."""
        repository.change_where(self._session, name, keys, values)


class Together:
    """Kept until `write`: what changes and ends of rows that are there first, then what is new.

    Of a thing that is new itself nothing is there to be ended, and what changes of it changes in the row that waits.
    So nothing may be ended that this edit has added, other than by not adding it; an import never does.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows: dict[str, list[dict[str, object]]] = {}
        self._new: dict[tuple[str, object], dict[str, object]] = {}
        self._updates: dict[tuple[str, tuple[str, ...], tuple[str, ...], bool], list[dict[str, object]]] = {}

    def add(self, name: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Insert rows later."""
        for row in rows:
            kept = dict(row)
            self._rows.setdefault(name, []).append(kept)
            if "id" in kept:
                self._new[name, kept["id"]] = kept

    def end(self, name: str, keys: Mapping[str, object], /, *, at_ms: int, **values: object) -> None:
        """Let rows end later; of a new thing there are none."""
        if not self._is_of_new(keys):
            self._update(name, keys, {"to_ms": at_ms, **values}, still=True)

    def change(self, name: str, station: str, id_: str, values: Mapping[str, object]) -> None:
        """Change a row that has an id, which may wait itself."""
        waiting = self._new.get((name, id_))
        if waiting is None:
            self._update(name, {"station": station, "id": id_}, values, still=False)
        else:
            waiting.update(values)

    def change_where(self, name: str, keys: Mapping[str, object], values: Mapping[str, object]) -> None:
        """Change rows later; of a new thing there are none."""
        if not self._is_of_new(keys):
            self._update(name, keys, values, still=False)

    def write(self, told: Told) -> None:
        """Write everything. `told` may raise, and then the caller's transaction is none."""
        whole = sum(map(len, self._updates.values())) + sum(map(len, self._rows.values()))
        done = 0
        for (name, keys, values, still), rows in self._updates.items():
            for some in _portions(rows):
                self._update_many(name, keys, values, some, still=still)
                done += len(some)
                told(done, whole)
        assert self._rows.keys() <= {*ORDER}, "an import adds nothing else by the thousand"
        for name in ORDER:
            for names, new in _alike(name, self._rows.get(name, ())):
                _bulk(name, names).insert(self._session, new)
                done += len(new)
                told(done, whole)
        self._rows, self._new, self._updates = {}, {}, {}

    def _is_of_new(self, keys: Mapping[str, object]) -> bool:
        return any((OF[column], value) in self._new for column, value in keys.items() if column in OF)

    def _update(self, name: str, keys: Mapping[str, object], values: Mapping[str, object], *, still: bool) -> None:
        assert None not in keys.values(), "which rows is said by values"
        shape = (name, tuple(keys), tuple(values), still)
        row = {f"key_{one}": value for one, value in keys.items()} | {f"to_{one}": values[one] for one in values}
        self._updates.setdefault(shape, []).append(row)

    def _update_many(
        self, name: str, keys: tuple[str, ...], values: tuple[str, ...], rows: list[dict[str, object]], *, still: bool
    ) -> None:
        one = table(name)
        where = [one.c[key] == bindparam(f"key_{key}") for key in keys]
        if still:
            where.append(one.c.to_ms.is_(None))
        changed = update(one).where(*where).values({value: bindparam(f"to_{value}") for value in values})
        self._session.connection().execute(changed, rows)


_BULKS: Final[dict[tuple[str, tuple[str, ...]], Bulk]] = {}


def _bulk(name: str, names: tuple[str, ...]) -> Bulk:
    return _BULKS.setdefault((name, names), Bulk(name, names))


def _alike(name: str, rows: Iterable[dict[str, object]]) -> list[tuple[tuple[str, ...], list[tuple[object, ...]]]]:
    """Rows with the same columns, as the driver takes them, in portions; with what a table puts in by itself."""
    defaults: dict[str, Any] = {
        column.name: column.default.arg
        for column in table(name).columns
        if isinstance(column.default, ScalarElementColumnDefault)
    }
    by_names: dict[tuple[str, ...], list[tuple[object, ...]]] = {}
    for row in rows:
        whole = defaults | row
        by_names.setdefault(tuple(whole), []).append(tuple(whole.values()))
    return [(names, some) for names, found in by_names.items() for some in _portions(found)]


def _portions(rows: list[T]) -> list[list[T]]:
    return [rows[begin : begin + AT_ONCE] for begin in range(0, len(rows), AT_ONCE)]
