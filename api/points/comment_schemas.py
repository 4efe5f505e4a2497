"""What HTTP takes and gives about comments."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field

from api.clock import iso
from api.points.publishing import Read, cites
from api.reports.rules import Period
from api.shapes import Answer, Asked, CivilDay
from broker.ids import EVENT_ID, SEGMENT

SENTENCES_MOST: Final = 200
CITES_MOST: Final = 50
WORDS_MOST: Final = 500

Text = Annotated[str, Field(min_length=1, max_length=WORDS_MOST)]
FactKey = Annotated[str, Field(min_length=1, max_length=200)]


class NewComment(Asked):
    """A comment to begin. `corrects`: the published one that it puts right."""

    day: CivilDay
    period: Literal["day", "week"] = "day"
    corrects: Annotated[str, Field(pattern=EVENT_ID)] | None = None

    def of(self) -> Period:
        """The day, or the week around it."""
        return Period(self.period)


class NewSentence(Asked):
    """A sentence, in whose part it is (None: about the whole), and the facts that it rests on."""

    company: Annotated[str, Field(pattern=SEGMENT)] | None = None
    zh: Text
    en: Text | None = None
    cites: Annotated[tuple[FactKey, ...], Field(min_length=1, max_length=CITES_MOST)]


class Sentences(Asked):
    """Everything that a comment says."""

    sentences: Annotated[tuple[NewSentence, ...], Field(max_length=SENTENCES_MOST)]


class KeptSentenceAnswer(Answer):
    """A sentence. Its words are None when the time for which they are kept is over."""

    company: str | None
    zh: str | None
    en: str | None
    cites: tuple[str, ...]


class KeptCommentAnswer(Answer):
    """A comment, or somebody's part of it. `outdated`: cited facts that were judged anew since."""

    number: int
    id: str
    area: str
    period: Period
    begins: datetime
    ends: datetime
    version: int
    edited: datetime
    edited_by: str
    edited_by_name: str | None
    published: datetime | None
    published_by: str | None
    published_by_name: str | None
    corrects: str | None
    corrected_by: str | None
    sentences: tuple[KeptSentenceAnswer, ...]
    outdated: tuple[str, ...]


class KeptCommentPage(Answer):
    """A page, newest first."""

    items: tuple[KeptCommentAnswer, ...]
    next: str | None


def kept_comment_answer(found: Read) -> KeptCommentAnswer:
    """A comment as HTTP shows it."""
    row = found.row
    assert row.number is not None
    return KeptCommentAnswer(
        number=row.number,
        id=row.id,
        area=row.area,
        period=Period(row.period),
        begins=iso(row.from_ms),
        ends=iso(row.to_ms),
        version=row.version,
        edited=iso(row.edited_ms),
        edited_by=row.edited_by,
        edited_by_name=found.names.get(row.edited_by),
        published=None if row.published_ms is None else iso(row.published_ms),
        published_by=row.published_by,
        published_by_name=found.names.get(row.published_by or ""),
        corrects=row.corrects,
        corrected_by=found.corrected_by,
        sentences=tuple(
            KeptSentenceAnswer(company=one.company, zh=one.zh, en=one.en, cites=tuple(key for key, _ in cites(one)))
            for one in found.sentences
        ),
        outdated=tuple(sorted(found.outdated)),
    )
