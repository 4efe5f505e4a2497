"""`shouwang wand`: reads a patrol wand on a serial port and uploads what was in it, or prints it.

NotUploaded                 .why: the station did not keep it; the wand has forgotten nothing
OnlyPrinted                 it was shown and nobody keeps it; the wand has forgotten nothing
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from devices.wand import CardRecord, Details

AT_ONCE: Final = 1_000
TIMEOUT_S: Final = 30


class NotUploaded(Exception):
    """The station did not keep it. Field: `why`."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"the station did not keep it, and the wand has forgotten nothing: {why}")


class OnlyPrinted(Exception):
    """It was shown, and nobody keeps it: the wand is to forget nothing."""


def printing(wand: str, tell: Callable[[dict[str, Any]], None]) -> Callable[[Sequence[CardRecord], Details], None]:
    """Tells what would be uploaded. Always raises OnlyPrinted."""

    def show(records: Sequence[CardRecord], details: Details) -> None:
        for store in stores(wand, records, details):
            tell(store)
        raise OnlyPrinted

    return show


def stores(wand: str, records: Sequence[CardRecord], details: Details) -> Iterator[dict[str, Any]]:
    """What is uploaded, in portions, as the station's interface takes it."""
    for first in range(0, len(records), AT_ONCE):
        yield {
            "wand": wand,
            "wrapped": details.overrun,
            "records": [
                {
                    "serial": one.serial,
                    "guard_number": one.guard,
                    "at": None if one.at is None else one.at.isoformat(),
                    "state": int(one.is_guard),
                    "card": one.card,
                }
                for one in records[first : first + AT_ONCE]
            ],
        }


def uploading(
    url: str, token: str, wand: str, tell: Callable[[dict[str, Any]], None]
) -> Callable[[Sequence[CardRecord], Details], None]:
    """Uploads to the station at `url`; what it answered is told. Raises NotUploaded."""

    def upload(records: Sequence[CardRecord], details: Details) -> None:
        for store in stores(wand, records, details):
            tell(_post(f"{url.rstrip('/')}/api/v1/wands/stores", token, store))

    return upload


def _post(url: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise NotUploaded(f"{url!r} is no address of a station")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310 - as above
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        with error:
            raise NotUploaded(f"{error.code} {error.read(500).decode(errors='replace')}") from None
    except (OSError, ValueError) as error:
        raise NotUploaded(str(error)) from None
