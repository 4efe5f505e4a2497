"""Who asks. For now: officers with one bearer token each, named in the settings."""

from hmac import compare_digest
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import NotKnown
from api.settings import Officer, token_hash
from api.station import CurrentStation

_bearer = HTTPBearer(auto_error=False, description="The token of an officer of this station")


def current_officer(
    station: CurrentStation, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Officer:
    """The officer whose token came with the request. Raises NotKnown."""
    if credentials is None:
        raise NotKnown
    given = token_hash(credentials.credentials)
    # Every hash is compared, whoever it is: the time that it takes tells nothing.
    found = [officer for officer in station.settings.officers if compare_digest(officer.token_hash, given)]
    if not found:
        raise NotKnown
    return found[0]


CurrentOfficer = Annotated[Officer, Depends(current_officer)]
