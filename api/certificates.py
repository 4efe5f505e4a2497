"""What stands in a certificate, read and never judged by whom it was signed: that is for whoever connects.

CertificateError            .path: it cannot be read, or is none
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID


class CertificateError(Exception):
    """There is no certificate in a file. Field: `path`."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate. Times in unix milliseconds; `der`: its octets; fingerprints as people compare them."""

    name: str
    not_before_ms: int
    not_after_ms: int
    domains: tuple[str, ...]
    addresses: tuple[IPv4Address | IPv6Address, ...]
    sha256: str
    sha1: str
    der: bytes

    def valid(self, now_ms: int) -> bool:
        """Whether it counts at a time."""
        return self.not_before_ms <= now_ms < self.not_after_ms

    def covers(self, host: str) -> bool:
        """Whether a browser that goes to `host` (a name, or an address with or without brackets) takes it for it."""
        bare = host.strip("[]").lower().rstrip(".")
        try:
            return ip_address(bare) in self.addresses
        except ValueError:
            return bare in self.domains or ("." in bare and f"*.{bare.partition('.')[2]}" in self.domains)


def read(path: Path) -> Certificate:
    """The first certificate of a PEM file. Raises CertificateError."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        return of(found)
    except OSError as error:
        raise CertificateError(path, f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise CertificateError(path, "this is no certificate in PEM form") from None


def of(found: x509.Certificate) -> Certificate:
    """What stands in it. Raises ValueError."""
    try:
        own = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        domains, addresses = own.get_values_for_type(x509.DNSName), own.get_values_for_type(x509.IPAddress)
    except x509.ExtensionNotFound:
        domains, addresses = [], []
    common = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        name=str(common[0].value) if common else "",
        not_before_ms=int(found.not_valid_before_utc.timestamp() * 1_000),
        not_after_ms=int(found.not_valid_after_utc.timestamp() * 1_000),
        domains=tuple(domain.lower() for domain in domains),
        addresses=tuple(one for one in addresses if isinstance(one, IPv4Address | IPv6Address)),
        sha256=found.fingerprint(hashes.SHA256()).hex(":").upper(),
        sha1=found.fingerprint(hashes.SHA1()).hex(":").upper(),  # noqa: S303 - to compare with what Windows shows
        der=found.public_bytes(serialization.Encoding.DER),
    )
