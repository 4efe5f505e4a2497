"""Reading and writing channels and deliveries. Never commits."""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import Table, and_, func, or_, update
from sqlalchemy import select as sa_select
from sqlmodel import Session, SQLModel, col, select

from api.database import Bulk
from api.notify.models import Delivery, NotifyChannel, NotifyHost, PushKey

DELIVERY: Final[Table] = SQLModel.metadata.tables["delivery"]
CHANNEL: Final[Table] = SQLModel.metadata.tables["notify_channel"]
OPEN: Final = ("waiting", "failed")
PUSH: Final = "push"
"""The sort of a channel that is somebody's browser."""
NAMES: Final = (
    "id", "station", "channel", "account", "notice", "police", "urgent", "escalation", "state", "tries", "made_ms",
    "due_ms", "expires_ms", "private",
)  # fmt: skip
_ADD: Final = Bulk("delivery", NAMES)


def channels_of(session: Session, accounts: Collection[str]) -> Sequence[NotifyChannel]:
    """The channels of these accounts that have not ended, without browsers."""
    found = select(NotifyChannel).where(
        col(NotifyChannel.account).in_([*accounts]), col(NotifyChannel.ended_ms).is_(None), NotifyChannel.sort != PUSH
    )
    return session.exec(found.order_by(col(NotifyChannel.made_ms), col(NotifyChannel.id))).all()


def channels_of_station(session: Session, station: str) -> Sequence[NotifyChannel]:
    """The station's own channels that have not ended."""
    found = select(NotifyChannel).where(
        NotifyChannel.station == station, col(NotifyChannel.account).is_(None), col(NotifyChannel.ended_ms).is_(None)
    )
    return session.exec(found.order_by(col(NotifyChannel.made_ms), col(NotifyChannel.id))).all()


def open_channels(session: Session, station: str) -> Sequence[NotifyChannel]:
    """Everybody's channels that have not ended, browsers too."""
    found = select(NotifyChannel).where(NotifyChannel.station == station, col(NotifyChannel.ended_ms).is_(None))
    return session.exec(found.order_by(col(NotifyChannel.id))).all()


def browsers(session: Session, accounts: Collection[str] | None) -> Sequence[NotifyChannel]:
    """The browsers that are pushed to: of these accounts, or all."""
    found = select(NotifyChannel).where(NotifyChannel.sort == PUSH, col(NotifyChannel.ended_ms).is_(None))
    if accounts is not None:
        found = found.where(col(NotifyChannel.account).in_([*accounts]))
    return session.exec(found.order_by(col(NotifyChannel.made_ms), col(NotifyChannel.id))).all()


def any_browser(session: Session, station: str) -> bool:
    """Whether anybody is pushed to."""
    found = select(NotifyChannel.id).where(
        NotifyChannel.station == station, NotifyChannel.sort == PUSH, col(NotifyChannel.ended_ms).is_(None)
    )
    return session.exec(found.limit(1)).first() is not None


def browser(session: Session, station: str, endpoint: str) -> NotifyChannel | None:
    """The browser with this digest of an address."""
    found = select(NotifyChannel).where(
        NotifyChannel.station == station, NotifyChannel.endpoint == endpoint, col(NotifyChannel.ended_ms).is_(None)
    )
    return session.exec(found).first()


def push_key(session: Session, station: str) -> PushKey | None:
    """The station's key for push services."""
    return session.get(PushKey, station)


def add_push_key(session: Session, *, station: str, sealed: str, public: str, made_ms: int) -> None:
    """Insert it."""
    session.add(PushKey(station=station, sealed=sealed, public=public, made_ms=made_ms))
    session.flush()


def drop_push_key(session: Session, row: PushKey) -> None:
    """Take it out."""
    session.delete(row)
    session.flush()


def known_ids(session: Session, ids: Collection[str]) -> set[str]:
    """Those of these deliveries that there are already."""
    found = sa_select(DELIVERY.c.id).where(DELIVERY.c.id.in_([*ids]))
    return {*session.connection().execute(found).scalars()}


def pushed(session: Session, station: str, since_ms: int) -> tuple[dict[str, int], Delivery | None]:
    """What became of what was pushed since then, counted by state; and the one that was tried last."""
    mine = sa_select(CHANNEL.c.id).where(CHANNEL.c.station == station, CHANNEL.c.sort == PUSH)
    counted = (
        sa_select(DELIVERY.c.state, func.count().label("many"))
        .where(DELIVERY.c.channel.in_(mine), DELIVERY.c.made_ms >= since_ms)
        .group_by(DELIVERY.c.state)
    )
    last = (
        select(Delivery)
        .where(col(Delivery.channel).in_(mine), Delivery.made_ms >= since_ms, Delivery.tries > 0)
        .order_by(col(Delivery.number).desc())
    )
    counts = {row.state: row.many for row in session.connection().execute(counted)}
    return counts, session.exec(last.limit(1)).first()


def channel(session: Session, station: str, channel: str) -> NotifyChannel | None:
    """The channel of this id, ended or not."""
    found = session.get(NotifyChannel, channel)
    return found if found is not None and found.station == station else None


def add_channel(session: Session, row: NotifyChannel) -> None:
    """Insert one."""
    session.add(row)
    session.flush()


def hosts(session: Session, station: str) -> Sequence[NotifyHost]:
    """The hosts that channels may use."""
    return session.exec(select(NotifyHost).where(NotifyHost.station == station).order_by(col(NotifyHost.host))).all()


def host(session: Session, station: str, name: str) -> NotifyHost | None:
    """This host, if channels may use it."""
    return session.get(NotifyHost, (station, name))


def add_host(session: Session, row: NotifyHost) -> None:
    """Allow one."""
    session.add(row)
    session.flush()


def remove_host(session: Session, row: NotifyHost) -> None:
    """Allow it no more."""
    session.delete(row)
    session.flush()


def add(session: Session, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert deliveries (in the order of `NAMES`) before the commit: nobody reads them until then."""
    _ADD.later(session, rows)


def due_channels(session: Session, station: str, *, now_ms: int, claimed_before_ms: int) -> list[tuple[str, str]]:
    """Channels that have something to do, with their hosts, the longest waiting first."""
    found = (
        sa_select(DELIVERY.c.channel, CHANNEL.c.host, func.min(DELIVERY.c.due_ms))
        .join(CHANNEL, CHANNEL.c.id == DELIVERY.c.channel)
        .where(
            DELIVERY.c.station == station,
            DELIVERY.c.state.in_(OPEN),
            DELIVERY.c.due_ms <= now_ms,
            or_(DELIVERY.c.claimed_ms.is_(None), DELIVERY.c.claimed_ms < claimed_before_ms),
        )
        .group_by(DELIVERY.c.channel, CHANNEL.c.host)
        .order_by(func.min(DELIVERY.c.due_ms))
    )
    return [(channel, host) for channel, host, _ in session.connection().execute(found)]


def due(session: Session, channel: str, *, now_ms: int, claimed_before_ms: int) -> Sequence[Delivery]:
    """What is due on a channel and in nobody's hands, oldest first."""
    found = select(Delivery).where(
        Delivery.channel == channel,
        col(Delivery.state).in_(OPEN),
        Delivery.due_ms <= now_ms,
        or_(col(Delivery.claimed_ms).is_(None), col(Delivery.claimed_ms) < claimed_before_ms),
    )
    return session.exec(found.order_by(col(Delivery.number))).all()


def waits_since(session: Session, station: str, *, now_ms: int) -> int | None:
    """Since when the oldest message is owed that ought to be out by now. What only the police hear is left out."""
    due = or_(DELIVERY.c.due_ms <= now_ms, DELIVERY.c.tries > 0)
    found = sa_select(func.min(DELIVERY.c.made_ms)).where(
        DELIVERY.c.station == station, DELIVERY.c.state.in_(OPEN), DELIVERY.c.police.is_(False), due
    )
    first_ms: int | None = session.connection().execute(found).scalar()
    return first_ms


def sent_since(session: Session, channel: str, since_ms: int) -> tuple[int, int]:
    """How many messages a channel took on since then, for one delivery each and for several."""
    found = (
        select(DELIVERY.c.message, func.count())
        .where(DELIVERY.c.channel == channel, DELIVERY.c.claimed_ms >= since_ms, DELIVERY.c.message.is_not(None))
        .group_by(DELIVERY.c.message)
    )
    sizes = [size for _, size in session.connection().execute(found)]
    return sum(size == 1 for size in sizes), sum(size > 1 for size in sizes)


def claim(
    session: Session, numbers: Collection[int], *, message: str, now_ms: int, claimed_before_ms: int
) -> list[int]:
    """Compare and set: those of `numbers` that nobody else has in hand are ours now."""
    mine = []
    for number in numbers:
        done = session.connection().execute(
            update(DELIVERY)
            .where(
                DELIVERY.c.number == number,
                DELIVERY.c.state.in_(OPEN),
                or_(DELIVERY.c.claimed_ms.is_(None), DELIVERY.c.claimed_ms < claimed_before_ms),
            )
            .values(claimed_ms=now_ms, message=message, tries=DELIVERY.c.tries + 1)
        )
        if done.rowcount == 1:
            mine.append(number)
    return mine


def of_message(session: Session, message: str) -> Sequence[Delivery]:
    """The deliveries that go out in one message and have not come to an end."""
    found = select(Delivery).where(Delivery.message == message, col(Delivery.state).in_(OPEN))
    return session.exec(found.order_by(col(Delivery.number))).all()


def hopeful(session: Session, escalation: str, account: str | None) -> bool:
    """Whether an account was reached about this level, or may still be."""
    found = select(Delivery.number).where(
        Delivery.escalation == escalation, Delivery.account == account, Delivery.state != "undeliverable"
    )
    return session.exec(found.limit(1)).first() is not None


def page(
    session: Session, station: str, *, account: str | None, before: tuple[int, str] | None, limit: int
) -> Sequence[Delivery]:
    """Deliveries, newest first: of one account, or of all, without those that are an account's alone."""
    found = select(Delivery).where(Delivery.station == station)
    if account is not None:
        found = found.where(Delivery.account == account)
    else:
        found = found.where(col(Delivery.private).is_(False))
    if before is not None:
        at_ms, id_ = before
        found = found.where(
            or_(col(Delivery.made_ms) < at_ms, and_(col(Delivery.made_ms) == at_ms, col(Delivery.id) < id_))
        )
    return session.exec(found.order_by(col(Delivery.made_ms).desc(), col(Delivery.id).desc()).limit(limit)).all()
