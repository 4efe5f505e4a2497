"""Files that belong to an alarm: judged by their content, bounded, kept under their digest in a folder of their own."""

import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from sqlmodel import Session

from api.alarms import repository
from api.alarms.changing import Actor
from api.alarms.models import AlarmAttachment, AlarmRecord
from api.alarms.problems import FileRefused
from api.alarms.rules import TABLE, Action, State
from api.alarms.service import Alarms
from broker.messages import clean

MOST: Final = 8 * 1024 * 1024
"""Octets of one file; its route takes no more."""

_BEGINNINGS: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}


def type_of(content: bytes) -> str | None:
    """What a file is, by its content; None for what is not kept."""
    if content[:4] == b"RIFF":
        return _RIFF.get(content[8:12])
    return next((kind for beginning, kind in _BEGINNINGS if content.startswith(beginning)), None)


def attach(
    session: Session,
    alarms: Alarms,
    alarm: AlarmRecord,
    by: Actor,
    *,
    folder: Path,
    content: bytes,
    name: str,
) -> AlarmRecord:
    """Keep a file. The same one again is no second one. Raises FileRefused."""
    kind = type_of(content)
    if kind is None:
        raise FileRefused
    digest = sha256(content).hexdigest()
    if any(one.sha256 == digest for one in repository.attachments(session, alarm.id)):
        return alarm
    now = alarms.clock()
    if TABLE[State(alarm.state), Action.ATTACH] is not None:
        _store(folder, digest, content)
        attachment = AlarmAttachment(
            id=alarms.telling.new_id(),
            alarm=alarm.id,
            sha256=digest,
            type=kind,
            size=len(content),
            name=clean(name),
            by=by.account,
            at_ms=now,
        )
        session.add(attachment)
        session.flush()
    return alarms.changing.change(
        session, alarm, Action.ATTACH, at_ms=now, by=by, detail={"sha256": digest, "type": kind}
    )


def path_of(folder: Path, digest: str) -> Path:
    """Where a file of this digest lies."""
    return folder / digest[:2] / digest


def _store(folder: Path, digest: str, content: bytes) -> None:
    """On disk before the row that names it; a file without a row harms nobody."""
    path = path_of(folder, digest)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    coming = path.with_suffix(f".{os.getpid()}.coming")
    with coming.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    coming.replace(path)
