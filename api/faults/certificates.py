"""Certificates that end: a fault 30, 7 and 1 days before, each of which has to be taken anew, and when it is over.

Theory. The station's own certificate, its root and those that the authority gave out (`issued.json`, the newest of each
name, without revoked ones) are looked at. Each is in one stage at most; a stage is a fault of its own, so that whoever
put the first aside is asked again by the next. A new certificate ends them all.
"""

import json
import socket
from pathlib import Path
from typing import Final

from api import certificates
from api.certificates import CertificateError
from api.clock import Clock
from api.database import Database
from api.faults.service import clear_fault, quiet_about, raise_fault
from api.register.service import Register
from api.settings import TlsListener
from api.tls import Identity

LOOK_S: Final = 5
"""Renewed files are taken in this time."""
DAY_MS: Final = 86_400_000

UNUSABLE: Final = "certificate_unusable"
NOT_YET: Final = "certificate_not_yet"
STAGES: Final[tuple[tuple[int, str], ...]] = (
    (0, "certificate_ended"),
    (DAY_MS, "certificate_ends_now"),
    (7 * DAY_MS, "certificate_ends_soon"),
    (30 * DAY_MS, "certificate_ends"),
)
CODES: Final[tuple[str, ...]] = (UNUSABLE, NOT_YET, *(code for _, code in STAGES))
ABOUT_CHARS: Final = 64


def stage(begins_ms: int, ends_ms: int, now_ms: int) -> str | None:
    """Which fault a certificate is at a time, in unix milliseconds; None: it is none."""
    if now_ms < begins_ms:
        return NOT_YET
    return next((code for within_ms, code in STAGES if ends_ms - now_ms <= within_ms), None)


def newest(text: str) -> dict[str, int]:
    """When those that an authority gave out to others end (unix ms), by name. ValueError: this is no list of it."""
    ends: dict[str, int] = {}
    try:
        for row in json.loads(text):
            if row["sort"] == "client":
                ends.pop(row["name"], None)
                if row["revoked"] is None:
                    ends[row["name"]] = int(row["not_after"]) * 1_000
    except (TypeError, KeyError) as error:
        raise ValueError(f"no list of certificates: {error}") from None
    return ends


class CertificateWatch:
    """Looks at this machine's files; takes what was renewed, and writes only what has changed."""

    def __init__(
        self,
        database: Database,
        register: Register,
        settings: TlsListener,
        identity: Identity,
        *,
        clock: Clock,
        host: str | None = None,
    ) -> None:
        self._database = database
        self._register = register
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._host = (host or socket.gethostname())[: ABOUT_CHARS // 2]

    def look(self, _now_ms: int = 0) -> None:
        """Look once."""
        self._identity.look()
        now_ms = self._clock()
        found = self._found(now_ms)
        with self._database.read() as session:
            there = {(code, about) for code in CODES for _, about in quiet_about(session, code) if self._is_ours(about)}
        if found.keys() == there:
            return
        areas = self._register.lies_in(self._register.station)
        with self._database.write(patient=True) as session:
            for code, about in there - found.keys():
                clear_fault(session, code, about=about, now_ms=now_ms)
            for code, about in sorted(found.keys() - there):
                detail = found[code, about]
                raise_fault(session, code, about=about, detail=detail, now_ms=now_ms, areas=areas)

    def _found(self, now_ms: int) -> dict[tuple[str, str], str]:
        """What is wrong now, with its detail."""
        found: dict[tuple[str, str], str] = {}
        shown = self._identity.certificate
        if self._identity.trouble:
            found[UNUSABLE, self._about("https")] = self._identity.trouble[:200]
        if shown is not None and (code := stage(shown.not_before_ms, shown.not_after_ms, now_ms)):
            found[code, self._about("https")] = ""
        try:
            root = None if self._settings.root is None else certificates.read(self._settings.root)
        except CertificateError as error:
            found[UNUSABLE, self._about("root")] = str(error)[:200]
        else:
            if root is not None and (code := stage(root.not_before_ms, root.not_after_ms, now_ms)):
                found[code, self._about("root")] = ""
        for name, ends_ms in _issued(self._settings.issued).items():
            if code := stage(0, ends_ms, now_ms):
                found[code, self._about(name)] = ""
        return found

    def _about(self, what: str) -> str:
        return f"{self._host} {what}"[:ABOUT_CHARS]

    def _is_ours(self, about: str) -> bool:
        """Several machines may serve one station, each with files of its own."""
        return about.startswith(f"{self._host} ")


def _issued(path: Path | None) -> dict[str, int]:
    try:
        return {} if path is None else newest(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
