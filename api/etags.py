"""Which version of a thing somebody read before he changed it: ETag and If-Match.

StaleVersion                412: somebody else changed it meanwhile. The answer has the version that is there.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import Header

from api.problems import Problem

IfMatch = Annotated[
    str, Header(pattern=r'^"[0-9]{1,18}"$', description="The ETag of what was read, so that nobody overwrites another")
]


class StaleVersion(Problem):
    """It is not what was read. Field: `version`, the one that is there."""

    status = HTTPStatus.PRECONDITION_FAILED
    type = "stale_version"
    title = "Somebody changed it meanwhile"

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__("read it again, and decide again", version=version)


def etag(version: int) -> str:
    """The ETag of a version."""
    return f'"{version}"'


def expect(given: str, version: int) -> None:
    """Raises StaleVersion unless `given` is the ETag of `version`."""
    if given != etag(version):
        raise StaleVersion(version)
