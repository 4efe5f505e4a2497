"""`shouwang audit verify`: the chain of a station that runs or not, looked at from outside."""

import json
from collections.abc import Mapping

from sqlalchemy.exc import DBAPIError

from api.audit import service
from api.audit.rules import IN_WORDS
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
    """A line for people, and one for each gateway that was told otherwise."""
    good = f"{verdict.rows} good, {verdict.erased} of them without words (erased)"
    if verdict.bad is None:
        lines = [f"{good}; head {verdict.head.seq}:{verdict.head.digest}"]
    else:
        lines = [f"row {verdict.bad.seq} is {verdict.bad.why.value}; before it {good}"]
    for one in verdict.disputes:
        told = f"gateway {one.gateway}: {IN_WORDS[one.why].format(seq=one.head.seq)}"
        lines.append(f"{told} (explained: see audit.explain in the record)" if one.explained else told)
    return "\n".join(lines)


def as_json(verdict: Verdict) -> str:
    """The same for programs."""
    bad = None if verdict.bad is None else {"seq": verdict.bad.seq, "why": verdict.bad.why.value}
    head = {"seq": verdict.head.seq, "digest": verdict.head.digest}
    told = [
        {
            "gateway": one.gateway,
            "seq": one.head.seq,
            "digest": one.head.digest,
            "why": one.why.value,
            "explained": one.explained,
        }
        for one in verdict.disputes
    ]
    values = {"ok": verdict.ok, "rows": verdict.rows, "erased": verdict.erased, "head": head, "bad": bad}
    return json.dumps(values | {"gateways_told_otherwise": told})
