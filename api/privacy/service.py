"""Taking away what is past its period, and one household's data: showing all of it, erasing it.

What the law wants of an alarm stays without names: its ids, kind, times and outcome. The audit chain loses words and
keeps its digests, so it verifies as before. After an erasure the database is scrubbed: what was taken away is in no
page of its files either.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import ColumnElement, RowMapping, and_, false, or_, true
from sqlmodel import Session

from api.accounts.office import Office
from api.alarms import views
from api.alarms.attaching import path_of
from api.alarms.models import AlarmRecord
from api.audit import repository as chain
from api.audit import service as audit
from api.clock import Clock
from api.database import Database
from api.etags import etag
from api.privacy import erasures, repository, rules
from api.privacy.problems import NoSuchOccupant, StillNeeded
from api.privacy.repository import AT_ONCE, table
from api.privacy.rules import Rule
from api.register.models import Purpose
from api.register.registrar import Registrar
from api.register.service import Register
from api.rights.rules import Authority, Role
from broker.policy import Audience

log = structlog.get_logger("api.privacy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One household: an occupant in a place, and the alarms of its time there."""

    place: str
    occupant: str
    here: bool
    """Whether it lives there now."""
    alarms: tuple[RowMapping, ...]
    since_ms: int
    """Since when it lives there, or lived there first."""

    @property
    def alarm_ids(self) -> list[str]:
        """Ids of its alarms."""
        return [alarm["id"] for alarm in self.alarms]


class Privacy:
    """The field register, carried out."""

    def __init__(
        self, database: Database, register: Register, registrar: Registrar, office: Office, *, clock: Clock, files: Path
    ) -> None:
        """`files`: the folder in which files lie that belong to alarms."""
        self._database = database
        self._register = register
        self._registrar = registrar
        self._office = office
        self._clock = clock
        self._files = files
        self._turn = -1
        self._list = erasures.file_beside(files)

    # -- periods

    def retain_next(self, now_ms: int) -> None:
        """One table's turn, so that no other job waits long; the whole register within two hours."""
        _, tables = rules.register()
        names = sorted(name for name, rule in tables.items() if rule.personal)
        self._turn = (self._turn + 1) % len(names)
        if self._retain_table(tables[names[self._turn]], now_ms):
            self._database.scrub()

    def retain(self, now_ms: int) -> int:
        """Take away everything that is past its period, a batch at a time. Returns how many rows that were."""
        _, tables = rules.register()
        taken = sum(self._retain_table(rule, now_ms) for rule in tables.values())
        if taken:
            self._database.scrub()
            log.info("privacy.retained", rows=taken)
        return taken

    def _retain_table(self, rule: Rule, now_ms: int) -> int:
        before, taken = rules.before_ms(rule, now_ms), 0
        if before is None or not rule.personal:
            return 0
        with self._database.read() as session:
            more = repository.any_due(session, rule, before_ms=before)
        while more:
            with self._database.write(patient=True) as session:
                rows = repository.take_due(session, rule, before_ms=before, now_ms=now_ms)
                gone = self._files_of(session, rows) if rule.table == "alarm_attachment" else []
                if rows and rule.table == "place_detail":
                    self._registrar.within(session, None)  # a new version: snapshots and gateways forget it, too
                if rows:
                    audit.record(
                        session, at_ms=now_ms, by=None, action=f"retention.{rule.then}", about=f"table:{rule.table}",
                        detail={"rows": len(rows), "days": rule.days},
                    )  # fmt: skip
            if rows and rule.table == "place_detail":
                self._registrar.done()
            self._unlink(gone)
            taken += len(rows)
            more = len(rows) == AT_ONCE
        return taken

    def _files_of(self, session: Session, rows: Iterable[RowMapping]) -> list[str]:
        """Of attachments that were taken away, the files that no other one names."""
        here = table("alarm_attachment")
        digests = {row["sha256"] for row in rows}
        kept = {row["sha256"] for row in repository.rows(session, "alarm_attachment", here.c.sha256.in_(digests))}
        return sorted(digests - kept)

    def _unlink(self, digests: Iterable[str]) -> None:
        for digest in digests:
            path_of(self._files, digest).unlink(missing_ok=True)

    # -- one household

    def find(self, session: Session, by: Authority, place: str, occupant: str | None) -> Found:
        """The household within reach; without `occupant` the one that lives there now. Raises NoSuchOccupant."""
        if self._register.place(place) is None or not by.reach.covers(self._register.subject(place)):
            raise NoSuchOccupant(place)
        occupancy = table("occupancy")
        who = occupancy.c.to_ms.is_(None) if occupant is None else occupancy.c.occupant == occupant
        times = repository.rows(session, "occupancy", occupancy.c.place == place, who, order="from_ms")
        if not times or (occupant is None and not by.reach.covers(self._register.subject(place))):
            raise NoSuchOccupant(place)
        return self._found(session, place, times)

    def _found(self, session: Session, place: str, times: Sequence[RowMapping]) -> Found:
        alarm = table("alarm")
        during = [
            and_(alarm.c.received_ms >= row["from_ms"], _before(alarm.c.received_ms, row["to_ms"])) for row in times
        ]
        alarms = repository.rows(session, "alarm", alarm.c.place == place, or_(*during), order="number")
        here = any(row["to_ms"] is None for row in times)
        return Found(place=place, occupant=times[0]["occupant"], here=here, alarms=tuple(alarms),
                     since_ms=times[0]["from_ms"])  # fmt: skip

    def export(self, session: Session, by: Authority, found: Found) -> dict[str, Any]:
        """Everything about one household that whoever asks may read, as plain JSON."""
        held = by.reach.covers(self._register.subject(found.place))
        own = held[0].role is Role.HOUSEHOLD
        if own and not found.here:
            raise NoSuchOccupant(found.place)
        shown = [views.show(AlarmRecord(**alarm), None if own else held[0].eyes, own=own) for alarm in found.alarms]
        visible = [one for one in shown if one is not None]
        occupant = {name: table(name).c.occupant == found.occupant for name in ("contact", "responder_note", "consent")}
        audit.record(
            session, at_ms=self._clock(), by=by.principal.account, action="privacy.export",
            about=f"place:{found.place}", detail={"occupant": found.occupant},
        )  # fmt: skip
        detail = self._detail(session, found)
        return {
            "place": found.place,
            "address": detail["address"] if detail is not None else "",
            "label": detail["label"] if detail is not None else "",
            "household": _plain(repository.rows(session, "occupant", table("occupant").c.id == found.occupant)),
            "addresses": _plain(_at(session, "place_detail", found.place)) if found.here else [],
            "periods": _plain(
                repository.rows(session, "occupancy", table("occupancy").c.occupant == found.occupant, order="from_ms")
            ),
            "contacts": _plain(repository.rows(session, "contact", occupant["contact"], order="number")),
            "notes": _plain(repository.rows(session, "responder_note", occupant["responder_note"], order="number")),
            "consents": [
                row
                for row in _plain(repository.rows(session, "consent", occupant["consent"], order="number"))
                # Whoever stands behind the household must not read that there is a silent key: as on its page, never.
                if not own or row["purpose"] != Purpose.DURESS_KEY
            ],
            "exclusions": _plain(
                repository.rows(session, "exclusion", table("exclusion").c.occupant == found.occupant, order="number")
            ),
            "quietings": _plain(_since(session, "quieting", found, "from_ms")) if found.here else [],
            "complaints": [
                {key: value for key, value in row.items() if key not in {"told", "climbs_ms"}}
                for row in (_plain(_since(session, "complaint", found, "made_ms")) if found.here else [])
            ],
            "accounts": [
                {"login": row["login"], "name": row["name"], "phone": row["phone"], "language": row["language"]}
                for row in self._accounts(session, found)
            ],
            "absences": _plain(_at(session, "away", found.place)) if found.here else [],
            "answers": _plain(_at(session, "alarm_answer", found.place)) if found.here else [],
            "alarms": [_alarm(one) for one in visible],
            "looked_up": [
                {"at_ms": entry.at_ms, "action": entry.action}
                for entry, _ in chain.page(
                    session, below=None, about=f"place:{found.place}", account=None, action=None, limit=1_000
                )
                # When police look a household up may tell that it pressed in duress: its own page does not say.
                if not own or entry.action.startswith(("joining.", "privacy."))
            ],
        }

    def _detail(self, session: Session, found: Found) -> RowMapping | None:
        """What was last said of the place while the household lived there."""
        detail, occupancy = table("place_detail"), table("occupancy")
        here = (occupancy.c.place == found.place, occupancy.c.occupant == found.occupant)
        ends = [row["to_ms"] for row in repository.rows(session, "occupancy", *here)]
        last = None if None in ends else max(ends)
        rows = repository.rows(
            session, "place_detail", detail.c.place == found.place, _before(detail.c.from_ms, last), order="from_ms"
        )
        return rows[-1] if rows else None

    def erase(self, session: Session, by: Authority, found: Found, *, reason: str) -> list[str]:
        """Take everything away by which the household could be known. Returns files to be removed after the commit.

        Raises StillNeeded while one of its alarms is open.
        """
        return self._erase(session, found, by=by.principal.account, reason=reason, tell=_police(by))

    def erase_again(self) -> int:
        """Erase what a restored backup brought back. Returns how many still wait, since an alarm of theirs is open.

        Such a household is looked at again a minute later.
        """
        with self._database.read() as session:
            waiting = erasures.waiting(session)
        left = 0
        for one in waiting:
            try:
                with self._database.write() as session:
                    where = (table("occupancy").c.place == one.place, table("occupancy").c.occupant == one.occupant)
                    times = repository.rows(session, "occupancy", *where, order="from_ms")
                    gone: list[str] = []
                    if times:
                        found = self._found(session, one.place, times)
                        gone = self._erase(session, found, by=None, reason="a backup was restored", tell=False)
                    erasures.is_done(session, one)
                self.after_erasure(gone)
            except StillNeeded:
                left += 1
        if waiting:
            log.info("privacy.erased_again", households=len(waiting) - left, waiting=left)
        return left

    def _erase(self, session: Session, found: Found, *, by: str | None, reason: str, tell: bool) -> list[str]:
        if any(alarm["resolved_ms"] is None and alarm["state"] != "archived" for alarm in found.alarms):
            raise StillNeeded
        if found.here:
            place = self._register.place(found.place)
            assert place is not None, "it was found"
            self._registrar.within(session, by).move_out(found.place, if_match=etag(place.version))
        now, accounts = self._clock(), self._accounts(session, found)
        self._erase_words(session, found, [account["id"] for account in accounts])
        gone = self._erase_alarms(session, found, now)
        self._erase_register(session, found, now)
        for account in accounts:
            self._erase_account(session, account["id"], by, now)
        erasures.note(session, found.place, found.occupant, now_ms=now)
        audit.record(
            session, at_ms=now, by=by, action="privacy.erase", about=f"occupant:{found.occupant}",
            detail={"alarms": len(found.alarms)} if tell else None, reason=reason,
        )  # fmt: skip
        return gone

    def after_erasure(self, gone: Iterable[str]) -> None:
        """What comes after the commit: the register anew, files, and the pages of the database."""
        self._registrar.done()
        self._unlink(gone)
        self._database.scrub()
        self.write_list()

    def write_list(self) -> None:
        """Write the list of erasures beside the tables, where restoring a backup leaves it as it is."""
        with self._database.read() as session:
            listed = erasures.listed(session)
        try:
            if listed:
                erasures.write(self._list, listed)
        except OSError as error:  # it is in the tables, and is written again at the next start
            log.error("privacy.list", trouble=str(error))  # noqa: TRY400 - the reason is enough

    def _accounts(self, session: Session, found: Found) -> list[RowMapping]:
        grant, account, join = table("account_grant"), table("account"), table("joining")
        ids = {
            row["account"]
            for row in repository.rows(
                session, "account_grant", grant.c.role == "household", grant.c.scope == found.place
            )
        }
        ids |= {row["account"] for row in repository.rows(session, "joining", join.c.place == found.place)}
        times = repository.rows(session, "occupancy", table("occupancy").c.occupant == found.occupant)
        first = min(row["from_ms"] for row in times)
        last = max((row["to_ms"] for row in times if row["to_ms"] is not None), default=None)
        until = None if found.here else last
        inside = and_(account.c.made_ms >= first, _before(account.c.made_ms, until))
        return repository.rows(session, "account", account.c.id.in_(ids - {None}), inside)

    def _erase_alarms(self, session: Session, found: Found, now: int) -> list[str]:
        ids = found.alarm_ids
        files = repository.rows(session, "alarm_attachment", table("alarm_attachment").c.alarm.in_(ids))
        self._take(session, "alarm", table("alarm").c.id.in_(ids), now=now)
        for name in (
            "alarm_step", "alarm_dispatch", "alarm_order", "alarm_errand", "alarm_transfer", "alarm_attachment",
        ):  # fmt: skip
            self._take(session, name, table(name).c.alarm.in_(ids), now=now)
        events = [
            row["event"] for row in repository.rows(session, "alarm_event", table("alarm_event").c.alarm.in_(ids))
        ]
        self._take(session, "inbox", table("inbox").c.id.in_([*ids, *events]), now=now)
        outgoing, feed, asked = table("outgoing"), table("feed_entry"), table("alarm_request")
        self._take(session, "outgoing", outgoing.c.alarm.in_(ids), outgoing.c.state == "sent", now=now)
        self._take(session, "feed_entry", feed.c.about.in_([f"alarm:{one}" for one in ids] + ids), now=now)
        named = [*ids, found.place]
        self._take(session, "alarm_request", asked.c.alarm.in_(ids), now=now)
        self._take(session, "handover", _mentions(table("handover").c.sheet, named), now=now)
        return self._files_of(session, files)

    def _erase_register(self, session: Session, found: Found, now: int) -> None:
        occupant, place = found.occupant, found.place
        self._take(session, "occupant", table("occupant").c.id == occupant, now=now)
        for name in ("contact", "responder_note", "exclusion"):
            self._take(session, name, table(name).c.occupant == occupant, now=now)
        for name in ("place_detail", "away", "tip_read", "joining", "alarm_answer", "matter", "quieting", "complaint",
                     "planned_change"):  # fmt: skip
            self._take(session, name, table(name).c.place == place, now=now)
        # Sheets that were sent and reports that were made have everybody in them; both can be made again.
        self._take(session, "long_work_file", true(), now=now)
        self._take(session, "long_work", table("long_work").c.ended_ms.is_not(None), now=now)
        matters = [row["number"] for row in repository.rows(session, "matter", table("matter").c.place == place)]
        for name in ("matter_step", "matter_photo"):
            self._take(session, name, table(name).c.matter.in_(matters), now=now)

    def _erase_account(self, session: Session, account: str, by: str | None, now: int) -> None:
        self._office.shut(session, account, by=by, reason="erased")
        self._take(session, "account", table("account").c.id == account, now=now)
        for name in ("sign_in", "recovery_code", "api_token"):
            self._take(session, name, table(name).c.account == account, now=now)

    def _take(self, session: Session, name: str, *where: ColumnElement[bool], now: int) -> None:
        repository.take_where(session, rules.register()[1][name], *where, now_ms=now)

    def _erase_words(self, session: Session, found: Found, accounts: Iterable[str]) -> None:
        about = [f"place:{found.place}", f"occupant:{found.occupant}"]
        about += [f"alarm:{one}" for one in found.alarm_ids]
        about += [f"account:{account}" for account in accounts]
        seqs = [row["seq"] for row in repository.rows(session, "audit", table("audit").c.about.in_(about))]
        chain.erase_words(session, seqs)


def _before(column: ColumnElement[int], to_ms: int | None) -> ColumnElement[bool]:
    return true() if to_ms is None else column < to_ms


def _mentions(column: Any, words: Collection[str]) -> ColumnElement[bool]:
    found = [column.contains(word, autoescape=True) for word in words]
    return or_(*found) if found else false()


def _at(session: Session, name: str, place: str) -> list[RowMapping]:
    return repository.rows(session, name, table(name).c.place == place)


def _since(session: Session, name: str, found: Found, column: str) -> list[RowMapping]:
    """Rows of the place from the household's own time there."""
    here = table(name)
    return repository.rows(session, name, here.c.place == found.place, here.c[column] >= found.since_ms, order="number")


def _plain(rows: Iterable[RowMapping]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in {"station", "number"}} for row in rows]


def _alarm(shown: views.Shown) -> dict[str, Any]:
    plain: dict[str, Any] = {"id": shown.id, "kind": shown.kind.value, "kind_words": shown.kind_words.zh}
    for name in ("state", "received_ms", "happened_ms", "label", "door", "address", "words", "outcome", "satisfaction"):
        value = getattr(shown, name)
        if value is not None:
            plain[name] = value
    return plain


def _police(by: Authority) -> bool:
    return any(held.eyes is Audience.POLICE for held in by.reach.held)
