"""The ledger replayed by a process of its own, so that neither memory nor processor is taken from the alarms.

On its standard input comes one line of JSON: the database, the station, its zone. On its standard output go lines of
JSON: `[phase, done, of]` while it works, then an object with what it found, or with `failed`. It ends when its input
does: with the station, whatever ends that, and when nobody wants to know any more.

RecomputingFailed           it came to no result
"""

import json
import os
import selectors
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import IO, Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy.exc import DBAPIError

from api.database import DatabaseError
from api.database.looking import looking
from api.points.recomputing import Difference, Recomputed, recomputed
from api.progress import Tell

ASK_S: Final = 0.5
"""So often whoever waits is asked whether he still does, also where the process has nothing to say."""
SAY_S: Final = 0.25
FIRST_TO_GO: Final = "500"
"""Where memory is short, the system ends this process and not the station."""
GENTLE: Final = 10


class RecomputingFailed(Exception):
    """The process found nothing out."""


def recompute_aside(database: str, *, station: str, zone: ZoneInfo, tell: Tell) -> Recomputed:
    """Replay the ledger. What `tell` raises ends the process. Raises RecomputingFailed."""
    process = subprocess.Popen([sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        asked = {"database": database, "station": station, "zone": zone.key}
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        process.stdin.flush()
        return _listen(process.stdout, tell)
    except OSError as error:
        raise RecomputingFailed(type(error).__name__) from None
    finally:
        process.kill()
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        process.wait()


def _listen(out: IO[bytes], tell: Tell) -> Recomputed:
    said: tuple[str, int, int] = ("reading", 0, 0)
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(out, selectors.EVENT_READ)
        while True:
            if selector.select(ASK_S):
                came = os.read(out.fileno(), 1 << 16)
                if not came:
                    raise RecomputingFailed("it has ended")
                *lines, rest = (rest + came).split(b"\n")
                for line in lines:
                    found = json.loads(line)
                    if isinstance(found, dict):
                        return _read(found)
                    said = (found[0], found[1], found[2])
            tell(*said)


def _read(found: dict[str, Any]) -> Recomputed:
    if "failed" in found:
        raise RecomputingFailed(found["failed"])
    return Recomputed(**(found | {"differences": tuple(Difference(**one) for one in found["differences"])}))


def main() -> None:
    """The process."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO, encoding="ascii")
    with suppress(OSError):
        os.nice(GENTLE)
    asked = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        with looking(asked["database"], station=asked["station"]) as session:
            found = recomputed(session, station=asked["station"], zone=ZoneInfo(asked["zone"]), tell=_say)
        _write(asdict(found))
    except (DatabaseError, DBAPIError) as error:
        _write({"failed": type(error).__name__})


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


_said_s = [0.0]


def _say(phase: str, done: int, of: int) -> None:
    if monotonic() - _said_s[0] >= SAY_S or done == of:
        _said_s[0] = monotonic()
        _write([phase, done, of])


def _write(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
