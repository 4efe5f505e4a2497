"""A new box in the place of one whose card died: the same gateway, and nothing that the old box knew.

Everybody names a gateway by its id: topics, groups, slices, units. So it stays. What proves that it is this gateway is
made anew: the signing key, the account at the broker, its certificate. The units keep their keys, which are in them.
The old box, should it come back, is let in by no broker and believed by nobody: its presses reach the police as
unverified. The new box opens a new epoch, and gets the register from the station, sealed for its new key.

ProvisioningError, KeysError, AuthorityError as `deploy.provisioning`. NotTold      .url: the station was not told
"""

import json
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from broker.signing import gateway_kid
from deploy import accounts, assembly, authority, keys, provisioning
from deploy.authority import Authority
from deploy.provisioning import Made
from deploy.site import Site

PATIENCE_S: Final = 10
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class NotTold(Exception):
    """The station does not know of the new key. Field: `url`."""

    def __init__(self, url: str, why: str) -> None:
        self.url = url
        super().__init__(f"{url}: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """What is carried to the new box, and the key by which it is believed from now on."""

    made: Made
    public: str
    revoked: int
    """Certificates of the old box that count no more."""


def replace(
    site: Site, text: str, gateway: str, *, keyring: Path, out: Path, signs: Authority | None, now: datetime
) -> Replaced:
    """Make everything new for a gateway, in a new folder. `text`: of the site file; `signs`: as `provision_gateway`.

    It can be done again after it failed half-way. Raises UnknownGateway, ProvisioningError, AuthorityError, KeysError.
    """
    own = assembly.find_gateway(site, gateway)
    provisioning.refuse_full(out)
    user, revoked = accounts.gateway_user(site, own.id), 0
    if signs is not None:
        with suppress(authority.AuthorityError):  # it had none, or it is revoked already: it was stolen
            revoked = len(signs.revoke(user, now=now))
    keys.forget(keyring, gateway_kid(own.id))
    made = provisioning.provision_gateway(site, text, gateway, keyring=keyring, out=out, signs=signs, now=now)
    public = keys.read(keyring).public_key(gateway_kid(own.id))
    return Replaced(made=made, public=public, revoked=revoked)


def tell(station: str, token: str, *, gateway: str, public: str) -> None:
    """Let the station believe the gateway by its new key, and by no other. Raises NotTold."""
    url = f"{station.rstrip('/')}/api/v1/register/gateways/{gateway}"
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise NotTold(url, "a token goes by https:// alone, or to this machine")
    body = json.dumps({"public_key": public}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data=body, headers=headers, method="PUT")  # noqa: S310 - as above
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S):  # noqa: S310 - as above
            return
    except urllib.error.HTTPError as error:
        raise NotTold(url, f"the station answered {error.code}") from None
    except OSError as error:
        raise NotTold(url, str(getattr(error, "reason", error))) from None
