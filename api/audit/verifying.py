"""`shouwang audit verify`: the chain of a station that runs or not, looked at from outside."""

import json
from collections.abc import Mapping

from sqlalchemy.exc import DBAPIError

from api.audit import service
from api.audit.service import Verdict
from api.database.errors import DatabaseError
from api.database.looking import looking


def verify(url: str, *, station: str | None = None, told: Mapping[int, str] | None = None) -> Verdict:
    """Look at the whole chain in the database at `url`. Raises DatabaseError."""
    try:
        with looking(url, station=station) as session:
            return service.verify(session, told=told)
    except DBAPIError as error:
        raise DatabaseError(f"the audit chain cannot be read: {error.orig}") from None


def as_text(verdict: Verdict) -> str:
    """One or two lines for people."""
    good = f"{verdict.rows} good, {verdict.erased} of them without words (erased)"
    if verdict.bad is None:
        return f"{good}; head {verdict.head.seq}:{verdict.head.digest}"
    return f"row {verdict.bad.seq} is {verdict.bad.why.value}; before it {good}"


def as_json(verdict: Verdict) -> str:
    """The same for programs."""
    bad = None if verdict.bad is None else {"seq": verdict.bad.seq, "why": verdict.bad.why.value}
    head = {"seq": verdict.head.seq, "digest": verdict.head.digest}
    return json.dumps({"ok": bad is None, "rows": verdict.rows, "erased": verdict.erased, "head": head, "bad": bad})
