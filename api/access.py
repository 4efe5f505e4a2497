"""Who asks, and whether he may: every route names its action here, and `api/rights/rights.toml` answers.

    @router.get("/{alarm}")
    def get_alarm(station: CurrentStation, by: Annotated[Authority, may("alarm.read")], ...)

The route then asks `by.reach.covers(subject)` for each thing, and answers NotThere where nothing is covered: whoever
may not see a thing is not told that it exists.
"""

from hmac import compare_digest
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import MayNot, NotKnown
from api.rights.rules import Authority, Grant, Principal, Role, rights
from api.settings import token_hash
from api.station import CurrentStation, Station

__all__ = ["Anybody", "Authority", "May", "anybody", "may", "still"]

_bearer = HTTPBearer(auto_error=False, description="An API token, or the token of an officer")


class May:
    """Lets a request through when its account has `action` over anything at all."""

    def __init__(self, action: str) -> None:
        self.action = action

    def __call__(
        self, station: CurrentStation, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Authority:
        """Raises NotKnown or MayNot."""
        principal = _principal(station, credentials)
        reach = rights().reach(principal, self.action, groups=station.register.groups_of_places)
        if not reach.held:
            raise MayNot(self.action)
        return Authority(principal, self.action, reach)


class Anybody:
    """Lets every request through; the route says for which action of the table."""

    def __init__(self, action: str) -> None:
        self.action = action

    def __call__(self) -> None:
        """Nobody is asked."""


def may(action: str) -> Any:
    """The dependency of a route whose action this is. It yields an Authority."""
    return Depends(May(action))


def anybody(action: str) -> Any:
    """The dependency of a route that asks nobody (or a signature of a machine)."""
    return Depends(Anybody(action))


def still(station: Station, request: Request) -> Principal | None:
    """Who asks, asked again while a long answer goes on; None when he is nobody any more."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    try:
        return _principal(station, HTTPAuthorizationCredentials(scheme=scheme, credentials=token))
    except NotKnown:
        return None


def _principal(station: Station, credentials: HTTPAuthorizationCredentials | None) -> Principal:
    if credentials is None:
        raise NotKnown
    given = token_hash(credentials.credentials)
    # Every hash is compared, whoever it is: the time that it takes tells nothing.
    found = [officer for officer in station.settings.officers if compare_digest(officer.token_hash, given)]
    if not found:
        raise NotKnown
    officer = found[0]
    grant = Grant(role=Role(officer.role), scope=station.settings.station)
    return Principal(account=officer.id, name=officer.name, grants=(grant,), via="token")
