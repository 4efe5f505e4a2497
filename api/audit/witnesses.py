"""Gateways as witnesses of the audit chain: each keeps the newest head that it was told, and tells it back (N15).

Theory:

1. The answer to a gateway's status is where the chain ends. The gateway keeps that on its own disk and says so in its
   next status. Whoever changes the chain here cannot change it there.
2. What a gateway tells back is looked for in the chain before another head is told. Where it is not, the chain was cut
   off, rewritten, or restored from an older copy: one fault of the station, which everybody above sees, and the gateway
   is told nothing more, so that it goes on holding what it was told.
3. Somebody who may read the whole chain answers for it by name and with the reason (a copy was restored, say). That is
   an entry of the chain itself, which names the heads that it speaks of. Then the fault is over, and those gateways are
   told the present head. It is over by itself when the chain has again what they were told.
"""

from collections.abc import Callable, Collection

from sqlmodel import Session

from api.audit import repository, rules, service
from api.audit.models import AuditWitness
from api.audit.problems import NotDisputed
from api.audit.rules import AUDIT_CHANGED, Head, Telling
from api.clock import Clock
from api.faults import repository as faults
from api.faults.service import clear_fault, raise_fault
from api.register.service import Register
from api.rights.rules import Authority
from broker.messages import ChainHead, GatewayStatus


class Witnesses:
    """What the gateways of one station were told of its chain."""

    def __init__(self, register: Register, *, clock: Clock, above: Callable[[Session, int], None]) -> None:
        """`above` tells the level above, in the caller's transaction."""
        self._register = register
        self._clock = clock
        self._above = above

    def heard(self, session: Session, status: GatewayStatus) -> Telling | None:
        """Look in the chain for what a gateway tells back. Returns what it is to be told after the commit."""
        head = service.head(session)
        said = None if status.audit is None else Head(status.audit.seq, status.audit.digest)
        row = self._note(session, status.gateway, said, head)
        if row is not None and row.why and row.explained_ms is None:
            return None
        if head.seq == 0 or head == said:
            return None
        return Telling(head=head, follows=said, rewritten=row is not None and bool(row.why))

    def explain(self, session: Session, by: Authority, gateways: Collection[str], *, reason: str) -> None:
        """Answer for it that this chain does not hold what these gateways were told. Raises NotDisputed."""
        now, heads = self._clock(), {}
        for gateway in sorted(gateways):
            row = repository.witness(session, gateway)
            if row is None or not row.why or row.explained_ms is not None:
                raise NotDisputed(gateway)
            row.explained_ms = now
            heads[gateway] = f"{row.seq}:{row.digest}"
        session.flush()
        service.record(
            session,
            at_ms=now,
            by=by.principal.account,
            action=by.action,
            about=f"station:{self._register.station}",
            detail={"told": heads},
            reason=reason,
        )
        self._end_if_over(session, now)

    def _note(self, session: Session, gateway: str, said: Head | None, head: Head) -> AuditWitness | None:
        """Keep the highest head that a gateway says it was told, and whether the chain holds it."""
        now, row = self._clock(), repository.witness(session, gateway)
        if row is None:
            if said is None:
                return None
            row = AuditWitness(gateway=gateway, seq=said.seq, digest=said.digest, said_ms=now)
            repository.add_witness(session, row)
        elif said is not None and said != Head(row.seq, row.digest) and (said.seq >= row.seq or row.explained_ms):
            row.seq, row.digest, row.said_ms, row.explained_ms = said.seq, said.digest, now, None
        kept = Head(row.seq, row.digest)
        wrong = rules.held_against(kept, head=head, digest=repository.digest_at(session, kept.seq))
        before, row.why = row.why, "" if wrong is None else wrong.value
        session.flush()
        if row.why and row.explained_ms is None:
            self._raise(session, now, news=row.why != before)
        elif before and not row.why:
            self._end_if_over(session, now)
        return row

    def _raise(self, session: Session, now: int, *, news: bool) -> None:
        station = self._register.station
        present = faults.present(session, AUDIT_CHANGED, "", station)
        if present is not None and not news:
            return
        raise_fault(
            session,
            AUDIT_CHANGED,
            about=station,
            detail=f"told to {', '.join(row.gateway for row in repository.disputes(session))}"[:256],
            now_ms=now,
            areas=self._register.lies_in(station),
        )
        if present is None:
            self._above(session, now)

    def _end_if_over(self, session: Session, now: int) -> None:
        if not repository.disputes(session):
            clear_fault(session, AUDIT_CHANGED, about=self._register.station, now_ms=now)


def chain_head(head: Head) -> ChainHead:
    """A head as messages say it."""
    return ChainHead(seq=head.seq, digest=head.digest)
