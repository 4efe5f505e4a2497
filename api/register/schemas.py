"""The register as HTTP takes and shows it."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from api.register.models import (
    AreaKind,
    ChangeSort,
    ChangeState,
    ChangeStep,
    How,
    Meaning,
    Note,
    PlaceKind,
    Purpose,
    TeamSort,
    Tree,
    UnitSort,
    UnitState,
)
from api.register.rules import NAME_CHARS, TEXT_CHARS
from api.shapes import Answer, Asked, Moment, WordsAnswer
from broker.ids import SEGMENT
from broker.messages import Text
from broker.policy import LONGEST_QUIET_MS

Id = Annotated[str, StringConstraints(pattern=SEGMENT)]
Name = Annotated[Text, Field(max_length=NAME_CHARS)]
Line = Annotated[Text, Field(max_length=TEXT_CHARS)]
"""Words of people in one line."""
Reason = Annotated[Line, Field(min_length=2)]
Code = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z-]{1,32}$")]
Phone = Annotated[str, StringConstraints(pattern=r"^[0-9+ -]{3,20}$")]
Longitude = Annotated[float, Field(ge=-180, le=180)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Outline = Annotated[list[tuple[Longitude, Latitude]], Field(min_length=3, max_length=200)]


class LevelAsked(Asked):
    """A level of a tree, as people here call it."""

    tree: Tree
    rank: Annotated[int, Field(ge=0, le=999)]
    name_zh: Name
    name_en: Name
    meaning: Meaning


class LevelAnswer(LevelAsked):
    """A level of a tree."""

    id: str


class AreaAsked(Asked):
    """What can be said of an area. What is left out is nothing: read it first, and send it whole."""

    name: Name = ""
    kind: AreaKind = AreaKind.ORDINARY
    code: Code | None = None
    outline: Outline | None = None
    """Corners, longitude and latitude in WGS-84."""
    parent: Id | None = None
    """On the government's tree."""
    police_parent: Id | None = None
    gateway: Id | None = None
    """A group's home gateway."""


class NewArea(AreaAsked):
    """An area with its id, which nobody else has or had."""

    id: Id
    level: Id


class AreaAnswer(Answer):
    """An area as it is now."""

    id: str
    level: str
    meaning: Meaning
    name: str
    kind: AreaKind
    code: str | None
    outline: list[tuple[float, float]] | None
    parent: str | None
    police_parent: str | None
    gateway: str | None
    version: int


class AreaPage(Answer):
    """Areas, by id. `next`: ask for what comes after it."""

    items: list[AreaAnswer]
    next: str | None


class PlaceAsked(Asked):
    """What can be said of a place. What is left out is nothing: read it first, and send it whole."""

    group: Id | None = None
    kind: PlaceKind = PlaceKind.HOUSEHOLD
    door: Annotated[int, Field(ge=1, le=9_999)] | None = None
    label: Name = ""
    """What neighbours' screens show."""
    address: Line = ""
    way_in: Line | None = None
    """How to get in. Left out: as it was."""
    code: Code | None = None
    longitude: Longitude | None = None
    latitude: Latitude | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.longitude is None) != (self.latitude is None):
            raise ValueError("a position has a longitude and a latitude")
        return self


class NewPlace(PlaceAsked):
    """A place with its id, which no other has or had. Without `occupant` (what its people are called) it is vacant."""

    id: Id
    occupant: Name | None = None


class PlaceAnswer(Answer):
    """A place as it is now, without its people."""

    id: str
    group: str | None
    kind: PlaceKind
    door: int | None
    label: str
    address: str
    code: str | None
    longitude: float | None
    latitude: float | None
    occupied: bool
    units: list[str]
    quiet_until: datetime | None
    """Until then the neighbours' sirens do not sound for it, by an officer's order."""
    version: int


class PlacePage(Answer):
    """Places, by id. `next`: ask for what comes after it."""

    items: list[PlaceAnswer]
    next: str | None


class QuietAsked(Asked):
    """For how long the neighbours' sirens of a place shall not sound, and why."""

    minutes: Annotated[int, Field(ge=1, le=LONGEST_QUIET_MS // 60_000, description="72 hours at most")]
    reason: Reason = Field(examples=["一周内第三次误报，报警器待更换"])


class LiftAsked(Asked):
    """Why the neighbours' sirens shall sound again."""

    reason: Reason


class QuietingAnswer(Answer):
    """An order to quiet the neighbours' sirens of one place. `ended`: when it ended or was lifted (None: it holds)."""

    number: int
    place: str
    reason: str
    by: str | None
    since: datetime
    until: datetime
    ended: datetime | None
    lifted_by: str | None


class QuietingPage(Answer):
    """Orders, newest first. `next`: ask for what comes after it."""

    items: list[QuietingAnswer]
    next: str | None


class PersonAsked(Asked):
    """Somebody to call."""

    name: Name
    phone: Phone
    relation: Name = ""


class PersonAnswer(Answer):
    """Somebody to call."""

    name: str
    phone: str
    relation: str


class ConsentAnswer(Answer):
    """What was consented to or taken back."""

    purpose: Purpose
    version: int
    given: bool
    how: How
    by: str | None
    since: datetime


class PeopleAnswer(Answer):
    """The people of a place, and what they said of themselves."""

    place: str
    occupant: str | None
    name: str | None
    way_in: str
    contacts: list[PersonAnswer]
    notes: dict[Note, str]
    excludes: list[str]
    consents: list[ConsentAnswer]
    version: int


class OccupantAsked(Asked):
    """What the people of a place are called."""

    name: Name


class SwapAsked(Asked):
    """The other place, or the other unit."""

    other: Id


class ConsentAsked(Asked):
    """A consent as it was given. `version` is that of the text that was signed or read out."""

    purpose: Purpose
    version: Annotated[int, Field(ge=1, le=9_999)]
    given: bool
    how: How


class ContactsAsked(Asked):
    """Whom to call, in this order."""

    contacts: Annotated[list[PersonAsked], Field(max_length=9)]


class NotesAsked(Asked):
    """What responders should know, with a word more where it helps."""

    notes: dict[Note, Name]


class ExclusionsAsked(Asked):
    """Neighbours that shall not be told of what happens here."""

    excludes: Annotated[list[Id], Field(max_length=29)]


class PeriodAnswer(Answer):
    """Something that was joined to a place: from when to when (None: still), and how it came and went."""

    what: str
    began: str | None
    ended: str | None
    since: datetime
    until: datetime | None


class HistoryAnswer(Answer):
    """What belonged to a place, oldest first. Occupants by id: names are looked up with a reason."""

    place: str
    groups: list[PeriodAnswer]
    occupants: list[PeriodAnswer]
    units: list[PeriodAnswer]


class UnitAsked(Asked):
    """What can be said of a unit. `silent`: only police, installers and administrators may say it, or read it."""

    sort: UnitSort = UnitSort.NATIVE
    serial: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    gateway: Id | None = None
    line: Id | None = None
    address: Annotated[int, Field(ge=1, le=0xFFEF)] | None = None
    silent: bool | None = None
    volume: Annotated[int, Field(ge=0, le=3)] = 3
    night_volume: Annotated[int, Field(ge=0, le=3)] = 3
    strobe: bool = False


class NewUnit(UnitAsked):
    """A unit with its id, which no other has or had."""

    id: Id


class UnitAnswer(UnitAsked):
    """A unit as it is now."""

    id: str
    state: UnitState
    place: str | None
    handed: bool
    """Whether it is in earnest: until it is handed over it is being installed."""
    version: int


class UnitPage(Answer):
    """Units, by id. `next`: ask for what comes after it."""

    items: list[UnitAnswer]
    next: str | None


class InstallAsked(Asked):
    """Where a unit is hung."""

    place: Id


class AssignmentAnswer(Answer):
    """What a unit belonged to at a moment."""

    unit: str
    at: datetime
    place: str | None
    occupant: str | None
    group: str | None
    areas: list[str]
    door: int | None
    label: str
    address: str


class CompanyAsked(Asked):
    """A company."""

    name: Annotated[Name, Field(min_length=1)]
    code: Code | None = None


class CompanyAnswer(CompanyAsked):
    """A company as it is now."""

    id: str
    version: int


class CompanyPage(Answer):
    """Companies, by id."""

    items: list[CompanyAnswer]
    next: str | None


class TeamAsked(Asked):
    """A team."""

    name: Annotated[Name, Field(min_length=1)]
    sort: TeamSort
    area: Id | None = None
    company: Id | None = None


class TeamAnswer(TeamAsked):
    """A team as it is now, with the accounts that are in it."""

    id: str
    members: list[str]
    version: int


class TeamPage(Answer):
    """Teams, by id."""

    items: list[TeamAnswer]
    next: str | None


class MembersAsked(Asked):
    """The accounts that are in a team from now on."""

    members: Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=64)]], Field(max_length=200)]


class ProblemAnswer(Answer):
    """Something wrong in a file. `row` as the program that wrote it counts; 0: the whole sheet."""

    sheet: str
    row: int
    column: str
    code: str
    what: WordsAnswer
    do: WordsAnswer


class ChangeAnswer(Answer):
    """What becomes of a row. `columns`: what changes of a thing that is there already."""

    sheet: str
    row: int
    id: str
    added: bool
    columns: list[str]


class ReportAnswer(Answer):
    """What a file says, compared with what is there. Long lists are cut; the counts are of everything."""

    dry_run: bool
    applied: bool
    """False where nothing was to be changed, too."""
    added: int
    changed: int
    unchanged: int
    wrong: int
    words: WordsAnswer
    problems: list[ProblemAnswer]
    changes: list[ChangeAnswer]
    version: int
    """Of the register: send it as If-Match, so that what is imported is what was reported."""


class KeyAsked(Asked):
    """The key of a unit, as its label says it: 16 octets in hexadecimal. Nobody can read it again."""

    key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class GatewayAsked(Asked):
    """What a gateway signs with: the public key that `shouwang keys` wrote on it, in hexadecimal."""

    public_key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class GatewayAnswer(Answer):
    """A gateway that is believed. `public_keys` by the name under which it signs."""

    id: str
    public_keys: dict[str, str]


class GatewaySliceAnswer(Answer):
    """How far a gateway's slice of the register is. `drift`: somebody changed it by hand on the gateway."""

    gateway: str
    version: int
    made: datetime
    runs: int | None
    reported: datetime | None
    drift: bool


class PlannedAsked(Asked):
    """From when on."""

    at: Moment


class PlannedArea(PlannedAsked):
    """An area as it shall be, whole; without `becomes` it ends."""

    area: Id
    becomes: AreaAsked | None = None


class PlannedPlace(PlannedAsked):
    """A place as it shall be, whole; without `becomes` it ends."""

    place: Id
    becomes: PlaceAsked | None = None


class PlannedOccupancy(PlannedAsked):
    """Who lives there. `name`: what whoever comes is called; `other`: with which place it is swapped."""

    place: Id
    step: ChangeStep
    name: Name | None = None
    other: Id | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.step in {ChangeStep.MOVE_IN, ChangeStep.LEND}) != (self.name is not None):
            raise ValueError("say what whoever comes is called, and only then")
        if (self.step is ChangeStep.SWAP) != (self.other is not None):
            raise ValueError("say with which place it is swapped, and only then")
        return self


class RefusedAnswer(Answer):
    """A reason why it was not possible then."""

    code: str
    about: str
    words: WordsAnswer


class PlannedAnswer(Answer):
    """A planned change, without the names of people. `changes`: the fields that it writes."""

    number: int
    sort: ChangeSort
    about: str
    step: ChangeStep | None
    changes: list[str]
    at: datetime
    by: str
    made: datetime
    state: ChangeState
    refused: list[RefusedAnswer]
    ended: datetime | None
    ended_by: str | None
    version: int


class PlannedPage(Answer):
    """Newest first."""

    items: list[PlannedAnswer]
    next: str | None


class TriedAnswer(Answer):
    """It would be possible then. `after`: planned changes that are made before it and were tried with it.

    `planned` is None where it was only tried.
    """

    at: datetime
    changes: list[str]
    after: list[int]
    planned: PlannedAnswer | None
