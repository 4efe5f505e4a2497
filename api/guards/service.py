"""Guards for the other parts of the patrol: who somebody is, whose, on duty, by which card, and excused for what.

Functions take a session and only read, but `excuse`, which writes the caller's excuse into the caller's transaction.
Moments are Unix milliseconds, spans [from, to). What people change is `api.guards.guarding`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlmodel import Session

from api.guards import repository
from api.guards.models import GuardExcuse
from api.guards.rules import (
    CardEnd,
    Cause,
    Employment,
    Excuse,
    Force,
    Instead,
    Serving,
    Tells,
    Told,
    clip,
    employer,
)
from broker.tags import Tag, canonical

__all__ = [
    "Card", "Cause", "Employment", "Excuse", "Force", "Person", "PhoneOut", "Serving", "Tells", "Told",
    "cards", "cards_mark", "cards_now", "employer", "employer_at", "employments", "end_excuse", "excuse", "excuses",
    "excuses_of", "guard", "guard_of_account", "guard_of_card", "named", "of_areas", "of_company", "on_duty",
    "phone_out", "phones_out", "servings", "servings_of", "told_after", "written_as",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A guard, or whoever else goes on patrol. Number and name are None once their period has ended.

    The name is for his own employer of today, the police and himself; whoever shows it asks `rights` first.
    """

    id: str
    force: Force
    service_number: str | None
    name: str | None
    area: str
    account: str | None
    left: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A tag that stood for a guard in [from_ms, to_ms); None: still. `lost`: it ended by being reported lost (挂失)."""

    tag: Tag
    guard: str
    from_ms: int
    to_ms: int | None
    lost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneOut:
    """A guard's phone is dead: by what his visits are shown instead, and by which partner."""

    instead: Instead
    witness: str | None
    from_ms: int
    to_ms: int


def guard(session: Session, id_: str) -> Person | None:
    """The guard of this id."""
    return named(session, (id_,)).get(id_)


def named(session: Session, ids: Collection[str]) -> dict[str, Person]:
    """The guards of these ids, in one question."""
    return {
        row.id: Person(
            id=row.id,
            force=Force(row.force),
            service_number=row.service_number,
            name=row.name,
            area=row.area,
            account=row.account,
            left=row.closed_ms is not None,
        )
        for row in repository.guards(session, ids)
    }


def guard_of_account(session: Session, account: str) -> str | None:
    """The guard who signs in with this account."""
    return repository.guard_of_account(session, account)


def employments(session: Session, ids: Collection[str]) -> dict[str, list[Employment]]:
    """Whose guards these were and are, each from the first to the last; for whole months at once."""
    return repository.employments(session, ids)


def employer_at(session: Session, guard: str, at_ms: int) -> str | None:
    """The company that employed a guard at a moment; None: none, or no company's."""
    return employer(repository.employments(session, (guard,)).get(guard, ()), at_ms)


def of_areas(session: Session, areas: Collection[str]) -> set[str]:
    """Those who belong to these areas and have not left, by id."""
    return repository.of_areas(session, areas)


def of_company(session: Session, company: str, *, from_ms: int, to_ms: int) -> list[str]:
    """The guards whom a company employed at any moment of a span, by id."""
    return repository.of_company(session, company, from_ms=from_ms, to_ms=to_ms)


def written_as(session: Session, station: str, words: Collection[str]) -> dict[str, str]:
    """The guards whom other programs write like this: by service number, or by a name that only one of them has."""
    return repository.written_as(session, station, words)


def guard_of_card(session: Session, tag: str, at_ms: int) -> str | None:
    """Whose card this was at a moment: `tag` as any reader gives it, in canonical form (`broker.tags`).

    None: nobody's, no tag, or a short face that two people's cards have.
    """
    read = canonical(tag)
    return None if read is None else repository.guard_of_card(session, read, at_ms)


def cards_now(session: Session) -> list[str]:
    """Every tag that is somebody's card now, without whose."""
    return repository.cards_now(session)


def cards_mark(session: Session) -> tuple[int, int | None]:
    """Another one where `cards_now` may say something else: cheap, to be asked often."""
    return repository.cards_mark(session)


def cards(session: Session, tags: Collection[Tag]) -> list[Card]:
    """Every card that one of these tags may be, whoever had it whenever, in one question: for many check-ins."""
    return [
        Card(tag=Tag(tag), guard=guard, from_ms=from_ms, to_ms=to_ms, lost=ended == CardEnd.LOST.value)
        for tag, guard, from_ms, to_ms, ended in repository.cards(session, tags)
    ]


def servings_of(session: Session, guard: str, from_ms: int, to_ms: int) -> list[Serving]:
    """A guard's times on duty lists that share a moment with a span, in order, each as it was in the end."""
    return repository.servings(session, from_ms=from_ms, to_ms=to_ms, guards=(guard,))


def servings(session: Session, from_ms: int, to_ms: int, *, areas: Collection[str] | None = None) -> list[Serving]:
    """Everybody's times on duty lists of these areas (None: all) that share a moment with a span, in order."""
    return repository.servings(session, from_ms=from_ms, to_ms=to_ms, areas=areas)


def on_duty(session: Session, at_ms: int, areas: Collection[str] | None = None) -> list[str]:
    """The guards who are on a duty list of these areas (None: all) at a moment, by id, each once."""
    return sorted({one.guard for one in servings(session, at_ms, at_ms + 1, areas=areas)})


def excuses(session: Session, guard: str, from_ms: int, to_ms: int) -> Sequence[Excuse]:
    """When, in a span, a guard's visits are excused by order, spot call, alarm or leave. The spans are cut to it."""
    return excuses_of(session, (guard,), from_ms, to_ms)[guard]


def excuses_of(session: Session, guards: Collection[str], from_ms: int, to_ms: int) -> dict[str, list[Excuse]]:
    """The same for each of these guards, in few questions."""
    found: dict[str, list[Excuse]] = {}
    for guard_, all_ in repository.excuses(session, guards, from_ms=from_ms, to_ms=to_ms).items():
        cuts = [(one, clip(one.from_ms, one.to_ms, within_from=from_ms, within_to=to_ms)) for one in all_]
        rows = [replace(one, from_ms=cut[0], to_ms=cut[1]) for one, cut in cuts if cut is not None]
        found[guard_] = sorted(rows, key=lambda one: (one.from_ms, one.evidence))
    return found


def told_after(session: Session, heard: Mapping[Tells, int], limit: int) -> list[Told]:
    """What was told of guards since these numbers: it may be about what is over. At most `limit` of each kind."""
    return repository.told_after(session, heard, limit)


def excuse(
    session: Session, *, station: str, guard: str, cause: Cause, evidence: str, from_ms: int, to_ms: int, now_ms: int
) -> None:
    """Excuse a guard's visits for a time, once for each evidence."""
    if repository.excused_by(session, guard, evidence):
        return
    row = GuardExcuse(
        station=station, guard=guard, cause=cause.value, evidence=evidence, from_ms=from_ms, to_ms=to_ms, made_ms=now_ms
    )
    repository.add(session, row)


def end_excuse(session: Session, guard: str, evidence: str, to_ms: int) -> None:
    """What excused a guard is over earlier than was thought."""
    repository.end_excuse(session, guard, evidence, to_ms)


def phones_out(session: Session, guards: Collection[str], from_ms: int, to_ms: int) -> dict[str, list[tuple[int, int]]]:
    """When the phones of these guards were told to be dead, as spans that share a moment with this one; by guard."""
    found: dict[str, list[tuple[int, int]]] = {}
    for guard, begins, ends in repository.phones_out(session, guards, from_ms=from_ms, to_ms=to_ms):
        found.setdefault(guard, []).append((begins, ends))
    return found


def phone_out(session: Session, guard: str, at_ms: int) -> PhoneOut | None:
    """What was told of a guard's dead phone for a moment: visits shown otherwise are marked with it."""
    row = repository.phone_out(session, guard, at_ms)
    if row is None:
        return None
    return PhoneOut(instead=Instead(row.instead), witness=row.witness, from_ms=row.from_ms, to_ms=row.to_ms)
