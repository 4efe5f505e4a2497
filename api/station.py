"""The parts of a running station, made from settings and put together; nothing here starts by itself.

On PostgreSQL several processes may run one station (ADR 11). Each is made of the same parts and starts those of its
role; what it owes to another process is a row, which that one finds by looking.

DatabaseError
+-- OnlyShared              .role: a file is one process's, so a role of its own needs PostgreSQL
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Final, Protocol
from urllib.parse import urljoin

import structlog
from fastapi import Depends, Request
from sqlmodel import Session

from api import memory
from api.accounts.factors import PURPOSE as SECOND_FACTOR
from api.accounts.factors import Factors
from api.accounts.office import ADMIN_LOGIN, Office, secret_path, write_secret
from api.accounts.service import Accounts
from api.alarms.answering import answers
from api.alarms.keeping import LOOK_S as FILES_S
from api.alarms.keeping import FolderWatch
from api.alarms.models import AlarmRecord
from api.alarms.service import Alarms
from api.audit.witnesses import Witnesses
from api.board.service import Boards
from api.brokers.service import Brokers
from api.checkins import service as checkins
from api.checkins.codes import Codes
from api.checkins.service import Checkins
from api.checkins.uploading import Uploads
from api.checkins.wands import Wands
from api.clock import Clock, wall_ms
from api.colours.service import Colours
from api.complaints.service import LOOK_S as COMPLAINTS_S
from api.complaints.service import Complaints
from api.database import Database, DatabaseError
from api.drills.service import Drills
from api.duty.opened import opened, owners
from api.duty.service import LOOK_S as DESK_S
from api.duty.service import DeskWatch, Duty
from api.escalation.clock import LadderClock
from api.escalation.ladders import Ladders
from api.escalation.service import Answered, Escalation
from api.faults.certificates import LOOK_S as CERTIFICATES_S
from api.faults.certificates import CertificateWatch
from api.faults.jobs import LOOK_S as JOBS_S
from api.faults.jobs import JobWatch
from api.faults.service import LOOK_S as FAULTS_S
from api.faults.service import Faults
from api.feed.service import Feed, put
from api.guards.guarding import Guards
from api.guards.takeovers import Takeovers
from api.helps.service import Helps
from api.ingest.service import Ingest, filters, next_generation, present_generation
from api.inspections.service import Inspections
from api.installing.service import Installing
from api.leases.rules import Job as Leased
from api.leases.rules import Role
from api.leases.service import Place, Tenure, here, this_process, where
from api.mqtt import Link, Will
from api.notify.service import PURPOSE, Channels, Notifier, Phones, notify, notify_desk, push
from api.orders.service import LOOK_S as ORDERS_S
from api.orders.service import Orders
from api.orders.service import follow as end_orders
from api.outgoing.service import LOOK_S as SENDER_S
from api.outgoing.service import Sender
from api.patrols import service as patrols
from api.patrols.planning import Planning
from api.patrols.quiet import LOOK_S as QUIET_S
from api.patrols.quiet import QuietReaders
from api.patrols.repository import checkpoint
from api.patrols.scoring import Scoring
from api.patrols.service import LOOK_S as PATROLS_S
from api.patrols.service import UNFOLD_S, Patrols
from api.patrols.service import readers as readers_of_points
from api.planner.service import Planner
from api.points.closing import Closing
from api.points.ledger import Ledger
from api.points.publishing import Publishing
from api.points.service import Points
from api.points.standings import Standings
from api.points.switching import Switching
from api.privacy.service import Privacy
from api.push.service import LOOK_S as PUSH_S
from api.push.service import Pushing
from api.register.agenda import LOOK_S as AGENDA_S
from api.register.agenda import Agenda
from api.register.believing import Believing
from api.register.registrar import Registrar
from api.register.service import Register
from api.register.slices import Slices, TagsNow
from api.register.taking import Takes
from api.register.unit_keys import UnitKeys
from api.reports.service import Reports
from api.rewards.service import Rewards
from api.rollcalls.service import LOOK_S as CALLS_S
from api.rollcalls.service import RollCalls
from api.rounds import Job, Rounds
from api.sealing import Sealer
from api.settings import StationSettings
from api.steps import Wrap, unwrapped
from api.tasks.service import Tasks
from api.tips.service import Tips
from api.tls import Identity
from api.tracks.service import Tracks
from api.tracks.uncovered import LOOK_S as UNCOVERED_S
from api.tracks.uncovered import Uncovered
from api.tracks.watching import LOOK_S as WATCH_S
from api.tracks.watching import Watch
from api.works.doing import BEAT_S as WORKS_S
from api.works.doing import Doing
from api.works.kinds import kinds
from api.works.service import Works
from broker.messages import GatewayStatus
from broker.signing import Signer

LOOK_S: Final = 0.25
"""How often what another process owes is looked for: commands to gateways, slices of a register that changed."""
TAGS_S: Final = 1
"""How often it is looked whether a card was issued or lost: many that are typed in together make one slice."""

log = structlog.get_logger("api.station")


class OnlyShared(DatabaseError):
    """Several processes need a database that several processes can have. Field: `role`."""

    def __init__(self, role: Role) -> None:
        self.role = role
        url = "postgresql+psycopg://..."
        super().__init__(
            f"a SQLite file is one process's: {role.value!r} by itself needs PostgreSQL (--database {url})"
        )


class Worker(Protocol):
    """Works in a thread of its own."""

    @property
    def alive(self) -> bool:
        """Whether it works."""
        ...

    def stop(self) -> None:
        """Finish what is in hand."""


class Station:
    """One police station, or the part of it that this process was started for."""

    def __init__(
        self,
        settings: StationSettings,
        *,
        role: Role = Role.ALL,
        wrap: Wrap = unwrapped,
        clock: Clock = wall_ms,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Bring the tables up to date; for `Role.ALL` take the station for this process, too.

        Raises DatabaseError, SettingsError.
        """
        self.settings = settings
        self.role = role
        self.clock = clock
        self.register = Register(settings)
        signer = Signer(settings.signing.kid, settings.signing.seed())
        verifier = Believing(self.register)
        if role is not Role.ALL and not Database.kind(settings.database).shared:
            raise OnlyShared(role)
        self.database = Database.open(settings.database, station=settings.station)
        self.superseded: Callable[[], None] = lambda: None
        """Called when another process has taken this station over; whoever runs us ends us then."""
        self._taken_over = False
        self.at_work: frozenset[Leased] = frozenset()
        """The jobs that this process does now."""
        self._changing = threading.Lock()
        self._stopping = False
        self.tenure = self._claim()
        self.register.begin(self.database)
        settings.let_go()
        self.accounts = Accounts(
            settings.accounts,
            Factors(Sealer.of(settings.signing, SECOND_FACTOR)),
            clock=clock,
            random_bytes=random_bytes,
            issuer=settings.station,
        )
        self.office = Office(settings.accounts, self.register, clock=clock, random_bytes=random_bytes)
        self._begin_accounts()
        self.unit_keys = UnitKeys(settings)
        self.unit_keys.begin(self.database)
        self.slices = Slices(self.register, clock=clock, random_bytes=random_bytes, keys=self.unit_keys, tags=_tags_now)
        self._tagged: object = None
        """What the tags were, by their mark, when the slices were last made because of them."""
        self._sliced = self._renew_slices()
        self.brokers = Brokers(settings, self.register, clock=clock, random_bytes=random_bytes)
        self.brokers.begin(self.database)
        self.boards = Boards(self.register, clock=clock)
        self.installing = Installing(self.register, clock=clock, random_bytes=random_bytes)
        self.registrar = Registrar(
            self.register, self.database, clock=clock, random_bytes=random_bytes, changed=self._register_changed
        )
        self.takes = Takes(self.database, self.register, self.registrar)
        self.agenda = Agenda(self.register, self.registrar, clock=clock, link=self.link_to(""))
        self.privacy = Privacy(
            self.database,
            self.register,
            self.registrar,
            self.office,
            clock=clock,
            files=settings.attachments_folder,
        )
        self.feed = Feed(self.database, self.register, clock=clock)
        self.escalation = Escalation(
            self.register,
            clock=clock,
            notify=notify,
            to_desk=partial(notify_desk, station=settings.station),
            put=put,
            answers=self._answers,
            link=self.link_to,
        )
        self.alarms = Alarms(
            self.register,
            clock=clock,
            random_bytes=random_bytes,
            consequences=(self.escalation.follow, self.feed.follow, end_orders),
        )
        self.link = Link(settings.broker, filters=filters(self.register), will=self._will)
        self.faults = Faults(self.database, self.register, self.link, clock=clock, lost_within_s=settings.lost_within_s)
        look_s = LOOK_S if self.database.shared else SENDER_S
        self.sender = Sender(self.database, self.link, signer, clock=clock, wrap=wrap, look_s=look_s)
        self.duty = Duty(self.register, clock=clock, look=opened, change_owner=owners(self.alarms.changing))
        self.desk_watch = DeskWatch(self.database, self.register, above=self.escalation.desk_unattended, clock=clock)
        self.ladders = Ladders(self.register, clock=clock)
        sealer = Sealer.of(settings.signing, PURPOSE)
        self.channels = Channels(
            settings.station,
            sealer,
            clock=clock,
            loopback=settings.notify.loopback,
        )
        phones = Phones(settings.station, sealer)
        self.pushing = Pushing(
            self.register, self.channels, phones, sealer, clock=clock, loopback=settings.notify.loopback
        )
        with self.database.write() as session:
            self.channels.seal_anew(session)
            phones.seal_anew(session)
        self.notifier = Notifier(
            self.database,
            self.channels,
            station=settings.station,
            undeliverable=self.escalation.undeliverable,
            clock=clock,
            phones=phones,
        )
        self.ladder_clock = LadderClock(
            self.database, self.escalation, station=settings.station, clock=clock, fired=self.notifier.wake
        )
        self.tips = Tips(self.register, clock=clock)
        self.complaints = Complaints(self.register, clock=clock, random_bytes=random_bytes, link=self.link_to(""))
        self.tasks = Tasks(self.register, clock=clock, random_bytes=random_bytes)
        self.guards = Guards(self.register, clock=clock, random_bytes=random_bytes)
        self.takeovers = Takeovers(self.register, self.guards, clock=clock)
        self.colours = Colours(self.register, self.guards, clock=clock)
        self.drills = Drills(self.register, clock=clock, random_bytes=random_bytes)
        self.points = Points(settings.station, clock=clock, random_bytes=random_bytes, zone=settings.zone)
        self.ledger = Ledger(self.points, self.register)
        self.switching = Switching(self.points, self.register)
        self.closing = Closing(self.points)
        self.standings = Standings(self.points, self.ledger, self.register)
        self.publishing = Publishing(self.points, self.register)
        self.rewards = Rewards(self.register, self.ledger, clock=clock)
        self.tracks = Tracks(self.register, self.colours, clock=clock)
        self.reports = Reports(self.register, self.drills, clock=clock, zone=settings.zone)
        self.witnesses = Witnesses(self.register, clock=clock, above=self.escalation.record_changed)
        self.inspections = Inspections(
            self.register,
            self.guards,
            clock=clock,
            random_bytes=random_bytes,
            note=self.points.note,
            standings=self.standings,
            zone=settings.zone,
            comments=self.publishing.weekly,
        )
        self.rollcalls = RollCalls(
            self.register,
            self.guards,
            clock=clock,
            random_bytes=random_bytes,
            note=self.points.note,
            push=push,
            along=patrols.readers_along,
            owes=self.sender.wake,
        )
        self.helps = Helps(
            self.register,
            self.alarms,
            self.tracks,
            clock=clock,
            notify=notify,
            link=urljoin(settings.notify.link, "/phone/guard"),
        )
        self.orders = Orders(
            self.register,
            self.alarms,
            self.tracks,
            self.guards,
            clock=clock,
            notify=notify,
            link=self.link_to,
            note=self.points.note,
        )
        self.scoring = Scoring(self.points.note_all, zone=settings.zone)
        self.patrols = Patrols(self.register, clock=clock, zone=settings.zone, consequences=(self.scoring.follow,))
        self.quiet_readers = QuietReaders(self.register, clock=clock, quiet_days=settings.quiet_days)
        self.planning = Planning(self.register, clock=clock, zone=settings.zone, unfold=self.patrols.unfold_ahead)
        self.watch = Watch(
            self.register,
            clock=clock,
            zone=settings.zone,
            told=self.points.told,
            note_all=self.points.note_all,
        )
        self.uncovered = Uncovered(self.register, clock=clock, zone=settings.zone, note_all=self.points.note_all)
        self.planner = Planner(self.register, self.planning, clock=clock, random_bytes=random_bytes, zone=settings.zone)
        codes = Codes(settings.signing.seed(), _stands)
        self.checkins = Checkins(
            self.register,
            clock=clock,
            readers=readers_of_points,
            stands=_stands,
            patrolling=self._patrolling,
            coded=codes.read,
            consequences=(
                self.patrols.follow,
                self.rollcalls.heard,
                self.inspections.heard,
                self.watch.follow,
                self.orders.heard,
            ),
            unsaid=(self.patrols.follow, self.watch.follow),
        )
        self.uploads = Uploads(self.checkins, clock=clock, codes=codes, stands=_stands)
        self.wands = Wands(self.register, self.checkins, clock=clock, zone=settings.zone)
        self.ingest = Ingest(
            self.database,
            self.link,
            signer=signer,
            verifier=verifier,
            alarms=self.alarms,
            register=self.register,
            clock=clock,
            random_bytes=random_bytes,
            generation=present_generation(self.database),
            owes=self.sender.wake,
            reported=self._reported,
            judge=self.installing.judge,
            witness=self.witnesses.heard,
            check_in=self.checkins.absorb,
            wrap=wrap,
        )
        self.long_works = Works(self.register, clock=clock, random_bytes=random_bytes)
        self.doing = Doing(
            self.database,
            self.long_works,
            kinds(
                settings,
                self.database,
                self.register,
                takes=self.takes,
                reports=self.reports,
                standings=self.standings,
                clock=clock,
            ),
            station=settings.station,
            holder=this_process(),
            clock=clock,
        )
        jobs = {
            Leased.INGEST: [
                Job(name="faults", every_s=FAULTS_S, run=self.faults.supervise),
                Job(name="register", every_s=look_s, run=self._look_at_register),
                Job(name="tags", every_s=TAGS_S, run=self._look_at_tags),
            ],
            Leased.NOTIFIER: [
                Job(name="desk", every_s=DESK_S, run=self._look_at_desks),
                Job(name="quieting", every_s=5, run=self.registrar.end_quietings),
                Job(name="planned", every_s=AGENDA_S, run=self._make_planned),
                Job(name="sessions", every_s=60, run=self._sweep),
                Job(name="retention", every_s=60, run=self.privacy.retain_next),
                Job(name="erasures", every_s=60, run=self._erase_again),
                Job(name="complaints", every_s=COMPLAINTS_S, run=self._climb_complaints),
                Job(name="push", every_s=PUSH_S, run=self._push),
                Job(name="drills", every_s=1, run=self._order_drills),
                Job(name="orders", every_s=ORDERS_S, run=self._look_at_orders),
                Job(name="roll-calls", every_s=CALLS_S, run=self._call_again),
                Job(name="unfolding", every_s=UNFOLD_S, run=self._unfold_rounds),
                Job(name="patrols", every_s=PATROLS_S, run=self._look_at_rounds),
                Job(name="quiet readers", every_s=QUIET_S, run=self._look_at_readers),
                Job(name="suspicions", every_s=WATCH_S, run=self._look_for_suspicions),
                Job(name="uncovered", every_s=UNCOVERED_S, run=self._look_for_uncovered),
            ],
        }
        watch = JobWatch(
            self.database, self.register, above=self.escalation.job_missing, send=self.notifier.look, clock=clock
        )
        watched = Job(name="jobs", every_s=JOBS_S, run=watch.look)
        always = [Job(name="memory", every_s=memory.GIVE_BACK_S, run=lambda _now_ms: memory.give_back())]
        always += [watched] if self.database.shared else []
        self.identity = None if settings.http.tls is None or not role.serves else Identity(settings.http.tls)
        if self.identity is not None and settings.http.tls is not None:
            ends = CertificateWatch(self.database, self.register, settings.http.tls, self.identity, clock=clock)
            always.append(Job(name="certificates", every_s=CERTIFICATES_S, run=ends.look))
        if role.serves:
            always.append(Job(name="works", every_s=WORKS_S, run=self.doing.look))
        if role is not Role.INGEST:
            files = FolderWatch(self.database, self.register, settings.attachments_folder, clock=clock)
            always.append(Job(name="files", every_s=FILES_S, run=files.look))
        self.rounds = Rounds([*always, *(job for one in role.jobs for job in jobs[one])], clock=clock)

    def start(self) -> None:
        """Begin with what the role asks for; what another process does is stood by for.

        Returns at once; a broker that is away is waited for. Before anybody can look, what a restored backup brought
        back of households that were erased goes again.
        """
        self.privacy.erase_again()
        self.privacy.write_list()
        if self.role.serves:
            self.feed.start()
            self.doing.start()
        if self.role is Role.ALL:
            self._work()
        if self.role is Role.WEB:
            self.rounds.start()
        if self.tenure is not None:
            self.tenure.start()
        log.info("station.started", station=self.settings.station, role=self.role.value)

    def stop(self) -> None:
        """Finish what is in hand, say that we go, and give everything back."""
        with self._changing:
            self._stopping = True
        self.doing.stop()
        if Leased.NOTIFIER in self.at_work:
            self.ladder_clock.stop()
        self.rounds.stop()
        self.notifier.stop()  # also where it sent for one that was missing
        self.feed.stop()
        if Leased.INGEST in self.at_work:
            self.sender.stop()
            # Whoever was taken over from does not say that nobody is here.
            self.link.stop(None if self._taken_over else self.ingest.status(online=False))
            self.ingest.stop()
        if self.tenure is not None:
            self.tenure.stop()
        self.database.close()
        log.info("station.stopped", station=self.settings.station)

    def _work(self) -> None:
        """Begin to do the jobs, which are ours now."""
        with self._changing:
            if self._stopping:
                return
            if Leased.INGEST in self.role.jobs:
                self.register.refresh(self.database)
                self._sliced = self._renew_slices()
                self.ingest.generation = next_generation(self.database, clock=self.clock)
                self.sender.start()
                self.ingest.start()
                self.link.start()
            if Leased.NOTIFIER in self.role.jobs:
                self.ladder_clock.start()
                self.notifier.start()
            self.rounds.start()
            self.at_work = frozenset(self.role.jobs)

    @property
    def workers(self) -> Mapping[str, Worker]:
        """Of what this process does, that without which nothing climbs, nobody is told, and nothing is shown."""
        found: dict[str, Worker] = {}
        if Leased.NOTIFIER in self.at_work:
            found |= {"escalation": self.ladder_clock, "notify": self.notifier}
        if self.role.serves:
            found["feed"] = self.feed
        if self.at_work or self.role is Role.WEB:
            found["rounds"] = self.rounds
        if self.tenure is not None:
            found["lease"] = self.tenure
        return found

    @property
    def connected(self) -> bool:
        """Whether this process has the broker."""
        return self.link.alive and self.link.ready.is_set()

    @property
    def works(self) -> bool:
        """Whether what this process does gets through; one that stands by has nothing to fail at."""
        if any(not worker.alive for worker in self.workers.values()):
            return False
        if Leased.INGEST not in self.at_work:
            return True
        return self.connected and self.ingest.alive and self.sender.alive and self.ingest.trouble is None

    def where(self, session: Session) -> Mapping[Leased, Place | None]:
        """Where each job of the station is done now; None: nowhere."""
        if not self.database.shared:
            return dict.fromkeys(self.role.jobs, here())
        return where(session, self.settings.station, now_ms=self.clock())

    def _look_at_desks(self, _now_ms: int) -> None:
        self.desk_watch.look()

    def _erase_again(self, now_ms: int) -> None:
        self.privacy.erase_again()
        self.database.forget_copies(now_ms)

    def _make_planned(self, now_ms: int) -> None:
        self.agenda.run(self.database, now_ms)

    def _climb_complaints(self, now_ms: int) -> None:
        self.complaints.climb(self.database, now_ms)

    def _push(self, now_ms: int) -> None:
        self.pushing.look(self.database, now_ms, wake=self.notifier.wake)

    def _order_drills(self, now_ms: int) -> None:
        self.drills.order(self.database, now_ms, wake=self.sender.wake)

    def _unfold_rounds(self, now_ms: int) -> None:
        self.patrols.unfold_next(self.database, now_ms)

    def _look_at_rounds(self, now_ms: int) -> None:
        self.patrols.look(self.database, now_ms)

    def _look_at_orders(self, now_ms: int) -> None:
        self.orders.look(self.database, now_ms)

    def _look_for_uncovered(self, _now_ms: int) -> None:
        self.uncovered.look(self.database)

    def _look_for_suspicions(self, now_ms: int) -> None:
        self.watch.look(self.database, now_ms)

    def _patrolling(self, session: Session, point: str, at_ms: int) -> set[str]:
        return patrols.patrolling(session, self.register, point, at_ms)

    def _look_at_readers(self, now_ms: int) -> None:
        self.quiet_readers.look(self.database, now_ms)

    def _call_again(self, now_ms: int) -> None:
        self.rollcalls.look(self.database, now_ms)

    def _claim(self) -> Tenure | None:
        """Where other processes could run this station too: what says whose turn it is. All at once is taken now."""
        if not self.database.shared or not self.role.jobs:
            return None
        tenure = Tenure(
            self.database,
            self.role.jobs,
            station=self.settings.station,
            holder=this_process(),
            clock=self.clock,
            superseded=self._give_way,
            gained=self._work,
        )
        if self.role is Role.ALL:
            try:
                tenure.claim()
            except BaseException:
                self.database.close()
                raise
        return tenure

    def _give_way(self) -> None:
        self._taken_over = True
        self.superseded()

    def link_to(self, alarm: str) -> str:
        """Where an alarm is opened."""
        return f"{self.settings.notify.link}{alarm}"

    def _answers(self, session: Session, alarm: AlarmRecord) -> Answered:
        found = answers(session, self.alarms, alarm)
        return Answered(answered=found.answered, reachable=found.reachable)

    def _sweep(self, now_ms: int) -> None:
        with self.database.write(patient=True) as session:
            self.accounts.sweep(session, now_ms)

    def _begin_accounts(self) -> None:
        """Plant what the settings seed; where nobody ever was administrator, make the first one."""
        with self.database.read() as session:
            first = self.office.needs_administrator(session)
        secret = self.office.one_time_secret()
        hashed = self.accounts.passwords.hash(secret) if first else ""
        path = secret_path(self.settings)
        with self.database.write() as session:
            self.office.seed(session, self.settings)
            self.accounts.factors.seal_all(session)
            if first and self.office.needs_administrator(session):  # of several processes, one
                write_secret(path, secret)
                self.office.first_administrator(session, hashed)
                log.warning("station.first_administrator", file=str(path))

    def forget_first_secret(self, account: str) -> None:
        """Once the first administrator has a password of his own, the file has no use."""
        with self.database.read() as session:
            row = self.office.find(session, account)
        if row.login == ADMIN_LOGIN:
            secret_path(self.settings).unlink(missing_ok=True)

    def _reported(self, session: Session, status: GatewayStatus) -> None:
        self.slices.reported(session, status)
        self.installing.reported(session, status)

    def _look_at_register(self, _now_ms: int) -> None:
        """Another process may have changed it, and have ended before it made the slices."""
        self.register.refresh(self.database)
        if self.register.version != self._sliced:
            self._register_changed()
        elif self.brokers.owes:
            self.brokers.write_down(self.database)

    def _look_at_tags(self, _now_ms: int) -> None:
        """A card was issued, lost or returned, or a reader hung up: the gateways with readers shall know."""
        with self.database.read() as session:
            mark = checkins.tags_mark(session), patrols.with_readers(session)
        if mark != self._tagged:
            self._renew_slices()
            self._tagged = mark
            self.sender.wake()

    def _register_changed(self) -> None:
        self._sliced = self._renew_slices()
        self.brokers.write_down(self.database)
        self.sender.wake()

    def _renew_slices(self) -> int:
        """Let every gateway have its slice of the register as it is now; returns of which version that is."""
        version = self.register.version
        self.slices.renew(self.database)
        return version

    def _will(self) -> Will:
        return self.ingest.status(online=False)


def _stands(session: Session, point: str) -> bool:
    """Whether there is such a checkpoint, and nobody has taken it away."""
    row = checkpoint(session, point)
    return row is not None and row.to_ms is None


def _tags_now(session: Session) -> TagsNow:
    return TagsNow(tuple(checkins.tags_now(session)), patrols.with_readers(session))


def current_station(request: Request) -> Station:
    """The station that serves a request."""
    station: Station = request.app.state.station
    return station


CurrentStation = Annotated[Station, Depends(current_station)]
