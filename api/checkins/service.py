"""Keeps check-ins and tells those who listen, in the same transaction. Takes a session, never commits."""

from collections.abc import Callable, Collection, Sequence

from sqlmodel import Session

from api.checkins.rules import CheckIn

Consequence = Callable[[Session, Sequence[CheckIn]], None]


def of_guard(session: Session, guard: str, from_ms: int, to_ms: int) -> list[CheckIn]:
    """What a guard checked in from `from_ms` until before `to_ms`, in order of time; repeats and flagged ones too."""
    raise NotImplementedError


def at_points(session: Session, points: Collection[str], from_ms: int, to_ms: int) -> list[CheckIn]:
    """What was checked in at these checkpoints from `from_ms` until before `to_ms`, in order of time."""
    raise NotImplementedError
