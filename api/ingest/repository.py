"""Reading and writing what came in. Never commits."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, func, literal, tuple_, union_all
from sqlalchemy import select as sql_select
from sqlmodel import Session, SQLModel, col, select

from api.database import Bulk, BulkUpdate
from api.ingest.models import ChainHead, DeadLetter, Gap, Gateway, GatewayEpoch, Inbox, Rejection, StationRow
from broker.kinds import EventType


class Place(NamedTuple):
    """Where an event stands in its gateway's order."""

    gateway: str
    epoch: str
    seq: int


class Heads(NamedTuple):
    """Of one epoch: the highest sequence number that is held, and below which gaps have been looked for."""

    highest: int
    checked: int


class Told(NamedTuple):
    """The highest head that a gateway told of an epoch's chain."""

    seq: int
    digest: str


_INBOX: Final = SQLModel.metadata.tables["inbox"]
_HELD: Final = sql_select(_INBOX.c.id, _INBOX.c.gateway, _INBOX.c.epoch, _INBOX.c.seq).where(
    _INBOX.c.id.in_(bindparam("ids", expanding=True))
)
_PLACE: Final = _INBOX.c.gateway, _INBOX.c.epoch, _INBOX.c.seq
_STANDING: Final = sql_select(*_PLACE).where(tuple_(*_PLACE).in_(bindparam("places", expanding=True)))
_SAVE_EPOCHS: Final = BulkUpdate("gateway_epoch", ["highest", "checked"], by=["gateway", "epoch"])
_SEE: Final = BulkUpdate("gateway", ["seen_ms"], by=["id"])
_ADD_INBOX: Final = Bulk(
    "inbox", ["id", "gateway", "epoch", "seq", "copy", "event", "received_ms", "digest", "envelope"]
)


def held(session: Session, ids: Collection[str]) -> dict[str, Place]:
    """Which of these events are in the inbox, and where they stand."""
    if not ids:
        return {}
    return {row[0]: Place(*row[1:]) for row in session.connection().execute(_HELD, {"ids": [*ids]})}


def copies(session: Session, places: Collection[Place]) -> "Counter[Place]":
    """How many events stand at these places already."""
    if not places:
        return Counter()
    return Counter(Place(*row) for row in session.connection().execute(_STANDING, {"places": [*places]}))


def add_inbox(session: Session, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows: id, gateway, epoch, seq, copy, event, received_ms, digest, envelope."""
    _ADD_INBOX.insert(session, rows)


def epochs(session: Session, gateway: str) -> Sequence[GatewayEpoch]:
    """The epochs of a gateway, newest last."""
    found = select(GatewayEpoch).where(GatewayEpoch.gateway == gateway).order_by(col(GatewayEpoch.number))
    return session.exec(found).all()


def epoch(session: Session, gateway: str, name: str, *, now_ms: int) -> Heads:
    """How far an epoch is held and checked. It gets its place among the gateway's epochs when it is new."""
    found = select(GatewayEpoch.highest, GatewayEpoch.checked).where(
        GatewayEpoch.gateway == gateway, GatewayEpoch.epoch == name
    )
    row = session.exec(found).first()
    if row is not None:
        return Heads(*row)
    session.add(GatewayEpoch(gateway=gateway, epoch=name, highest=0, checked=1, opened_ms=now_ms))
    session.flush()
    return Heads(0, 1)


def save_epochs(session: Session, heads: Mapping[tuple[str, str], Heads]) -> None:
    """Write how far epochs, by gateway and name, are held and checked."""
    _SAVE_EPOCHS.update(session, [(one.highest, one.checked, *epoch) for epoch, one in heads.items()])


def see(session: Session, gateways: Collection[str], *, now_ms: int) -> None:
    """Write down that these gateways, which have rows, were heard of."""
    _SEE.update(session, [(now_ms, one) for one in sorted(gateways)])


def present_epoch(session: Session, gateway: str) -> str | None:
    """The epoch that a gateway's last status named."""
    return session.exec(select(Gateway.epoch).where(Gateway.id == gateway)).first()


def chain_heads(session: Session, gateway: str) -> dict[str, Told]:
    """What a gateway told of its chains, by epoch."""
    found = select(ChainHead.epoch, ChainHead.seq, ChainHead.digest).where(ChainHead.gateway == gateway)
    return {epoch: Told(seq, digest) for epoch, seq, digest in session.exec(found)}


def save_chain_head(session: Session, gateway: str, epoch: str, seq: int, digest: str, *, now_ms: int) -> None:
    """Write the highest head that was told of an epoch's chain."""
    session.merge(ChainHead(gateway=gateway, epoch=epoch, seq=seq, digest=digest, told_ms=now_ms))
    session.flush()


def gateway(session: Session, id: str, *, now_ms: int) -> Gateway:  # noqa: A002 - an id is what it is
    """The row of a gateway, made when it is new."""
    row = session.get(Gateway, id)
    if row is None:
        row = Gateway(id=id, online=False, seen_ms=now_ms)
        session.add(row)
        session.flush()
    return row


def missing(session: Session, gateway: str, epoch: str, *, start: int, below: int) -> list[tuple[int, int]]:
    """Ranges of sequence numbers in [start, below) that are neither in the inbox nor among the dead letters."""

    def here(table: type[Inbox | DeadLetter]) -> Any:
        return select(table.seq).where(
            table.gateway == gateway, table.epoch == epoch, col(table.seq) >= start, col(table.seq) < below
        )

    seqs = union_all(here(Inbox), here(DeadLetter), select(literal(below))).subquery()
    before = func.lag(seqs.c.seq, 1, start - 1).over(order_by=seqs.c.seq)
    edges = select(before.label("before"), seqs.c.seq).subquery()
    rows = session.connection().execute(
        select(edges.c.before, edges.c.seq).where(edges.c.seq > edges.c.before + 1).order_by(edges.c.seq)
    )
    return [(int(last_held) + 1, int(next_held) - 1) for last_held, next_held in rows]


def gaps_around(session: Session, gateway: str, epoch: str, *, first: int, last: int) -> Sequence[Gap]:
    """Gaps that have a number in [first, last]."""
    found = select(Gap).where(Gap.gateway == gateway, Gap.epoch == epoch, Gap.first <= last, Gap.last >= first)
    return session.exec(found).all()


def envelopes_after(
    session: Session, gateway: str, epoch: str, seq: int, *, events: Collection[EventType]
) -> list[tuple[str, str]]:
    """Ids and envelopes of events of these types which stand later in a gateway's order."""
    found = select(Inbox.id, Inbox.envelope).where(
        Inbox.gateway == gateway,
        Inbox.epoch == epoch,
        Inbox.seq > seq,
        col(Inbox.event).in_(sorted(event.value for event in events)),
    )
    return [(id_, envelope) for id_, envelope in session.exec(found)]


def riddles(session: Session, gateway: str, epoch: str) -> list[tuple[int, int]]:
    """Ranges of an epoch that are missing, and nobody knows why."""
    found = select(Gap.first, Gap.last).where(Gap.gateway == gateway, Gap.epoch == epoch, Gap.reason == "")
    return [(first, last) for first, last in session.exec(found)]


def has_riddles(session: Session, gateway: str) -> bool:
    """Whether events of a gateway are missing, and nobody knows why."""
    return session.exec(select(Gap.number).where(Gap.gateway == gateway, Gap.reason == "").limit(1)).first() is not None


def count_rejection(session: Session, gateway: str, reason: str, *, now_ms: int) -> None:
    """One more message refused."""
    row = session.get(Rejection, (gateway, reason))
    if row is None:
        session.add(Rejection(gateway=gateway, reason=reason, times=1, last_ms=now_ms))
    else:
        row.times += 1
        row.last_ms = now_ms
    session.flush()


def dead_letter(session: Session, digest: str) -> DeadLetter | None:
    """The dead letter with this identity."""
    return session.exec(select(DeadLetter).where(DeadLetter.digest == digest)).first()


def dead_letters(session: Session, *, below: int | None, limit: int) -> Sequence[DeadLetter]:
    """Dead letters with numbers below `below`, newest first."""
    found = select(DeadLetter)
    if below is not None:
        found = found.where(col(DeadLetter.number) < below)
    return session.exec(found.order_by(col(DeadLetter.number).desc()).limit(limit)).all()


def events(session: Session, *, event: str | None, limit: int) -> Sequence[Inbox]:
    """The latest events, of one type or of all, newest first."""
    found = select(Inbox)
    if event is not None:
        found = found.where(col(Inbox.event) == event)
    return session.exec(found.order_by(col(Inbox.received_ms).desc(), col(Inbox.id).desc()).limit(limit)).all()


def how_many_dead_letters(session: Session) -> int:
    """How many messages were not taken in and kept."""
    return session.exec(select(func.count()).select_from(DeadLetter)).one()


def rejections(session: Session) -> Sequence[Rejection]:
    """Counts of everything that was refused, kept or not."""
    return session.exec(select(Rejection).order_by(col(Rejection.gateway), col(Rejection.reason))).all()


def gateways(session: Session) -> Sequence[Gateway]:
    """Every gateway that ever said something."""
    return session.exec(select(Gateway).order_by(col(Gateway.id))).all()


def gaps(session: Session, *, limit: int) -> Sequence[Gap]:
    """Gaps, newest first."""
    return session.exec(select(Gap).order_by(col(Gap.number).desc()).limit(limit)).all()


def station(session: Session, *, now_ms: int) -> StationRow:
    """The row about ourselves, made when there is none."""
    row = session.get(StationRow, 1)
    if row is None:
        row = StationRow(id=1, generation=1, alive_ms=now_ms)
        session.add(row)
        session.flush()
    return row


def generation(session: Session) -> int:
    """The station's generation; 0 before there was any."""
    row = session.get(StationRow, 1)
    return 0 if row is None else row.generation


def add(session: Session, rows: Iterable[DeadLetter | Gap]) -> None:
    """Insert rows now."""
    session.add_all(rows)
    session.flush()
