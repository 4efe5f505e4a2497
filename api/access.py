"""Who asks, and whether he may: every route names its action here, and `api/rights/rights.toml` answers.

    @router.get("/{alarm}")
    def get_alarm(station: CurrentStation, by: Annotated[Authority, may("alarm.read")], ...)

The route then asks `by.reach.covers(subject)` for each thing, and answers NotThere where nothing is covered: whoever
may not see a thing is not told that it exists.

Nothing is remembered between requests: each looks its token or cookie up, and a grant or session that was revoked is
gone with the next. What a cookie proves counts for an unsafe method only together with the page's own token.
"""

from hmac import compare_digest
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from api.accounts import proofs
from api.accounts.problems import AskAgain, CrossSite, FirstThis
from api.accounts.rules import OWN
from api.accounts.service import Presented, Proof
from api.problems import MayNot, NotKnown
from api.rights.rules import Authority, Principal, rights
from api.station import CurrentStation, Station

__all__ = [
    "Anybody",
    "Authority",
    "May",
    "anybody",
    "cookie_name",
    "is_secure",
    "may",
    "own_page",
    "presented",
    "proof_of",
    "still",
    "whole_station",
]

SESSION_COOKIE: Final = "shouwang_session"
DESK_COOKIE: Final = "shouwang_desk"
CSRF_HEADER: Final = "X-CSRF-Token"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_bearer = HTTPBearer(auto_error=False, description="A machine's API token, or the token of an officer")
_cookie = APIKeyCookie(
    name=SESSION_COOKIE, auto_error=False, description=f"Set by signing in; what changes something needs {CSRF_HEADER}"
)


class May:
    """Lets a request through when its account has `action` over anything at all."""

    def __init__(self, action: str) -> None:
        self.action = action

    def __call__(
        self,
        request: Request,
        station: CurrentStation,
        _token: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        _session: Annotated[str | None, Depends(_cookie)],
    ) -> Authority:
        """Raises NotKnown, CrossSite, FirstThis or MayNot."""
        proof = _prove(station, request)
        if proof is None:
            raise NotKnown
        if proof.cookie is not None and request.method not in SAFE:
            own_page(station, request, proof.cookie)
        request.state.proof = proof
        return _authority(station, proof, self.action)


class Anybody:
    """Lets every request through; the route says for which action of the table."""

    def __init__(self, action: str) -> None:
        self.action = action

    def __call__(self) -> None:
        """Nobody is asked."""


def may(action: str) -> Any:
    """The dependency of a route whose action this is. It yields an Authority."""
    return Depends(May(action))


def whole_station(station: Station, by: Authority) -> None:
    """For what belongs to no area: refuse whoever is not granted the whole station (`Register.whole`). Raises MayNot.

    The station is no secret, so this is 403; 404 is for a thing of which nobody is told whether it is there.
    """
    station.register.whole(by)


def anybody(action: str) -> Any:
    """The dependency of a route that asks nobody (or a signature of a machine)."""
    return Depends(Anybody(action))


def presented(request: Request) -> Presented:
    """What a request brought to show who sends it. A header goes before cookies."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme:
        return Presented(bearer=token if scheme.lower() == "bearer" else "")
    session, desk = (request.cookies.get(cookie_name(request, one)) for one in (SESSION_COOKIE, DESK_COOKIE))
    return Presented(cookie=session, desk=desk)


def is_secure(request: Request) -> bool:
    """Whether it came by HTTPS, here or at a proxy on this machine."""
    return request.url.scheme == "https"


def cookie_name(request: Request, name: str) -> str:
    """What a cookie is called on the way by which a request came.

    By HTTPS browsers hold it to this host, and take it by HTTPS alone (`__Host-`, RFC 6265bis): nobody on the plain way
    plants one. And the two do not hinder each other: a browser would not let HTTP replace a cookie that HTTPS set.
    """
    return f"__Host-{name}" if is_secure(request) else name


def proof_of(request: Request) -> Proof:
    """What `may` found out about the sender of this request."""
    proof: Proof = request.state.proof
    return proof


def still(station: Station, request: Request) -> Principal | None:
    """Who asks, asked again while a long answer goes on; None when he is nobody any more."""
    with station.database.read() as session:
        proof = station.accounts.who(session, presented(request))
    return None if proof is None else proof.principal


def own_page(station: Station, request: Request, cookie: str | None) -> None:
    """Raises CrossSite unless the request comes from our own page; with a `cookie`, from one that could read its token.

    Whoever has no cookie yet is asked for the origin only where the browser tells one.
    """
    origin = request.headers.get("Origin")
    if origin is None and cookie is None:
        return
    allowed = station.settings.accounts.origins
    if allowed:
        good = origin in allowed
    else:
        good = origin is not None and urlsplit(origin).netloc == request.headers.get("Host")
    if not good:
        raise CrossSite
    if cookie is not None:
        token = request.headers.get(CSRF_HEADER, "")
        if not compare_digest(token.encode(), proofs.csrf(cookie).encode()):
            raise CrossSite


def _prove(station: Station, request: Request) -> Proof | None:
    with station.database.read() as session:
        proof = station.accounts.who(session, presented(request))
    if proof is not None and proof.touch is not None and _is_use(proof, request):
        with station.database.write() as session:
            station.accounts.touch(session, proof.touch)
    return proof


def _is_use(proof: Proof, request: Request) -> bool:
    """On a shared workstation the screen asks by itself all the time: only what changes something is somebody's use."""
    return proof.session is None or proof.desk is None or request.method not in SAFE


def _authority(station: Station, proof: Proof, action: str) -> Authority:
    if proof.principal.via == "desk" and action not in rights().desk:
        raise AskAgain
    principal = proof.granted if action in OWN else proof.principal
    groups = station.register.groups_of_places
    reach = rights().reach(principal, action, groups=groups)
    if not reach.held:
        if proof.must and rights().reach(proof.granted, action, groups=groups).held:
            raise FirstThis(*proof.must)
        raise MayNot(action)
    return Authority(principal, action, reach)
