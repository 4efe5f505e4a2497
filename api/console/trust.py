"""How phones and desks come to trust the station: its root to install, with what to compare. Without an account.

It is also there by HTTP: whoever does not trust the station yet cannot come by HTTPS. What keeps him from trusting
somebody between is the fingerprint on paper.
"""

from http import HTTPStatus
from plistlib import dumps
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from api import certificates, paper
from api.access import anybody
from api.certificates import Certificate, CertificateError
from api.clock import iso
from api.console.page import plain
from api.station import Station

router: Final = APIRouter(include_in_schema=False, dependencies=[anybody("console.read")])

ROOT_TYPE: Final = "application/x-x509-ca-cert"
"""What Android, Windows and Firefox know a root by."""
PROFILE_TYPE: Final = "application/x-apple-aspen-config"


async def _root(request: Request) -> Certificate | None:
    """The station's own root; None: it has none, or one that cannot be read."""
    station: Station = request.app.state.station
    tls = station.settings.http.tls
    if tls is None or tls.root is None:
        return None
    try:
        return await to_thread.run_sync(certificates.read, tls.root)
    except CertificateError:
        return None


@router.get("/trust")
async def trust(request: Request) -> Response:
    """Step by step for each sort of device, and to print."""
    root = await _root(request)
    if root is None:
        return await plain(request, "trust.html", status=HTTPStatus.NOT_FOUND, root=None, secure="")
    here = _plain(request)
    return await plain(
        request,
        "trust.html",
        root=root,
        here=here,
        picture=paper.picture(here, scale=5),
        secure=_secure(request),
        until=iso(root.not_after_ms).isoformat(),
    )


@router.get("/trust/root.crt")
async def root_file(request: Request) -> Response:
    """The root as Android, Windows and Firefox take it."""
    root = await _root(request)
    if root is None:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    return _file(root.der, ROOT_TYPE, "shouwang-root.crt")


@router.get("/trust/root.mobileconfig")
async def profile(request: Request) -> Response:
    """The same as a profile, which iPhones take without a detour."""
    root = await _root(request)
    if root is None:
        return Response(status_code=HTTPStatus.NOT_FOUND)
    return _file(dumps(_profile(root)), PROFILE_TYPE, "shouwang-root.mobileconfig")


def _file(content: bytes, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _profile(root: Certificate) -> dict[str, Any]:
    """A configuration profile with one root in it (Apple, Configuration Profile Reference: com.apple.security.root).

    The ids hang on the root alone, so that a second installation replaces the first.
    """
    own = f"shouwang.root.{root.sha256.replace(':', '').lower()[:16]}"
    named = {"PayloadVersion": 1, "PayloadDisplayName": root.name}
    inner = named | {
        "PayloadType": "com.apple.security.root",
        "PayloadIdentifier": f"{own}.certificate",
        "PayloadUUID": str(uuid5(NAMESPACE_URL, f"{own}.certificate")).upper(),
        "PayloadCertificateFileName": "shouwang-root.crt",
        "PayloadContent": root.der,
    }
    return named | {
        "PayloadType": "Configuration",
        "PayloadIdentifier": own,
        "PayloadUUID": str(uuid5(NAMESPACE_URL, own)).upper(),
        "PayloadRemovalDisallowed": False,
        "PayloadContent": [inner],
    }


def _plain(request: Request) -> str:
    """Where whoever does not trust the station yet finds this page: that stands on paper."""
    if request.url.scheme != "https":
        return f"http://{request.url.netloc}/trust"
    http = request.app.state.station.settings.http
    host = request.url.hostname or ""
    bare = f"[{host}]" if ":" in host else host
    passed_on = http.tls is not None and http.tls.public_port is not None
    return f"http://{bare}{'' if passed_on or http.port == 80 else f':{http.port}'}/trust"


def _secure(request: Request) -> str:
    """The station's address by HTTPS: with the name that the reader used, or with one of the certificate's."""
    identity = request.app.state.station.identity
    shown = None if identity is None else identity.certificate
    if shown is None:
        return ""
    host = request.url.hostname or ""
    if not shown.covers(host):
        host = next(iter([*shown.domains, *map(str, shown.addresses)]), "")
    bare = f"[{host}]" if ":" in host else host
    return f"https://{bare}" + ("" if identity.port == 443 else f":{identity.port}")
