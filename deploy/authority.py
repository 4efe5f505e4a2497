"""The site's own authority: one root, the certificates that it signed, and who may no longer come. The door to X.509.

    ca/                         0700
      root.key                  the root's key, PKCS 8, encrypted unless somebody said otherwise; 0600
      root.crt                  the root, which phones and desks are to trust
      issued.json               every certificate that was signed: serial, name, sort, end, since when it counts no more
      revoked.crl               those that count no more, for the broker

A root that phones trust could sign for any bank. So it says itself for which names and networks it may sign (RFC 5280,
4.2.1.10, critical), and that nobody below it may sign (path length 0): by default private networks and local names. A
certificate for a server lasts 397 days, because phones refuse longer ones, and begins a day ago, because desks' clocks
differ.

    AuthorityError              .path
    +-- NoAuthority             there is none, or there is one already
    +-- WrongPassphrase         the key does not open
    +-- NotPermitted            .name: the root may not sign for it
    +-- WrongTime               this machine's clock cannot be right
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Sort = Literal["station", "client"]
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ROOT_KEY: Final = "root.key"
ROOT: Final = "root.crt"
ISSUED: Final = "issued.json"
REVOKED: Final = "revoked.crl"
STATION: Final = "station.crt"
STATION_KEY: Final = "station.key"

ROOT_DAYS: Final = 3_650
LEAF_DAYS: Final = 397
"""Apple takes 825 days at most of any root, and 398 of one that it ships (support.apple.com/103769, 102028)."""
CRL_DAYS: Final = 3_650
"""As long as a root: a broker that finds an older list refuses everybody."""
BACK: Final = timedelta(days=1)
EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
PASSPHRASE_LEAST: Final = 8
NAME_CHARS: Final = 64
"""A common name may not be longer (RFC 5280, ub-common-name)."""

CLIENT: Final = "client.internal"
"""In every client's certificate: where no DNS name is, OpenSSL holds a common name with dots in it against the root's
constraints (`NAME_CONSTRAINTS_check_CN`), and `north.gateway.g1` has dots."""
UNNAMED: Final = "station"
"""The common name of a station that has addresses alone, for the same reason: `192.168.1.10` has dots, too."""

LOCAL: Final[tuple[str, ...]] = (
    "localhost", "local", "lan", "internal", "home.arpa",
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
    "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip
"""What nobody on the internet has (RFC 6761, 6762, 8375, 1918, 3927, 6598, 4193, 4291; ICANN keeps `internal` free)."""


class AuthorityError(Exception):
    """The authority cannot do it. Field: `path`."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}")


class NoAuthority(AuthorityError):
    """There is none here, or there is one already where a new one was to be."""


class WrongPassphrase(AuthorityError):
    """The root's key does not open with this."""


class NotPermitted(AuthorityError):
    """The root said when it was made that it does not sign for this. Field: `name`."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        super().__init__(path, f"this authority may not sign for {name}: `shouwang ca init --permit {name}` makes one")


class WrongTime(AuthorityError):
    """A certificate of today would begin at a wrong time."""


@dataclass(frozen=True, slots=True)
class Names:
    """What a server is called: DNS names in ASCII, and addresses. At least one of either."""

    domains: tuple[str, ...]
    addresses: tuple[Address, ...]

    @property
    def first(self) -> str:
        """The one that people read."""
        return [*self.domains, *map(str, self.addresses)][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """One certificate that was signed. Times in seconds since 1970; `revoked`: since when it counts no more."""

    serial: str
    name: str
    sort: Sort
    not_after: int
    revoked: int | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM. `key` is empty where only the certificate was made anew."""

    certificate: bytes
    key: bytes
    issued: Issued


def names_of(texts: Sequence[str]) -> Names:
    """Tell names and addresses apart. ValueError: there is none, or one is neither."""
    domains: list[str] = []
    addresses: list[Address] = []
    for text in texts:
        try:
            addresses.append(ip_address(text))
        except ValueError:
            domains.append(_domain(text))
    if not domains and not addresses:
        raise ValueError("give at least one name or address by which browsers reach the station")
    return Names(tuple(dict.fromkeys(domains)), tuple(dict.fromkeys(addresses)))


def establish(
    directory: Path, *, name: str, permit: Sequence[str] = (), passphrase: str | None, now: datetime
) -> "Authority":
    """Make a root in `directory`. `permit`: domains and networks besides LOCAL; `passphrase` None: the key lies open.

    Raises NoAuthority where there is one already, WrongTime, ValueError for what is no domain and no network, OSError.
    """
    if (directory / ROOT).exists() or (directory / ROOT_KEY).exists():
        raise NoAuthority(directory, "there is an authority already; phones trust it, so it is not replaced")
    if now < EARLIEST:
        raise WrongTime(directory, f"this machine's clock says {now:%Y-%m-%d}: set it first")
    if passphrase is not None and len(passphrase) < PASSPHRASE_LEAST:
        raise ValueError(f"a passphrase has at least {PASSPHRASE_LEAST} characters")
    domains, networks = _permitted([*LOCAL, *permit])
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _named(name)
    permitted: list[x509.GeneralName] = [*map(x509.DNSName, domains), *map(x509.IPAddress, networks)]
    root = (
        _begun(subject, subject, key.public_key(), now=now, days=ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _put(directory / ROOT_KEY, _key_pem(key, passphrase), mode=0o600)
    _put(directory / ROOT, root.public_bytes(serialization.Encoding.PEM), mode=0o644)
    made = Authority(directory, root, key)
    made.write_revoked(now=now)
    return made


def listed(directory: Path) -> list[Issued]:
    """Every certificate that was signed, in the order of their making; needs no passphrase. Raises AuthorityError."""
    path = directory / ISSUED
    try:
        return [Issued(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AuthorityError(path, error.strerror or "cannot be read") from None
    except (ValueError, TypeError):
        raise AuthorityError(path, "this is no list of certificates") from None


def root_of(directory: Path) -> x509.Certificate:
    """The root, which is no secret. Raises AuthorityError."""
    path = directory / ROOT
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        raise NoAuthority(directory, "there is no authority here: `shouwang ca init` makes one") from None
    except OSError as error:
        raise AuthorityError(path, error.strerror or "cannot be read") from None
    except ValueError:
        raise AuthorityError(path, "this is no certificate") from None


def is_open(directory: Path) -> bool:
    """Whether the root's key is in no need of a passphrase. Raises AuthorityError."""
    return b"ENCRYPTED" not in _key_text(directory)


def open_authority(directory: Path, passphrase: str | None) -> "Authority":
    """The authority of a directory, able to sign. Raises AuthorityError."""
    root = root_of(directory)
    try:
        key = serialization.load_pem_private_key(_key_text(directory), passphrase.encode() if passphrase else None)
    except (ValueError, TypeError):
        raise WrongPassphrase(directory / ROOT_KEY, "the passphrase does not open it") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != root.public_key():
        raise AuthorityError(directory / ROOT_KEY, "this is not the key of the root beside it")
    return Authority(directory, root, key)


class Authority:
    """A root with its key."""

    def __init__(self, directory: Path, root: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.directory = directory
        self.root = root
        self._key = key

    def server(self, names: Names, *, now: datetime) -> Pair:
        """Sign a certificate for the station. Raises NotPermitted, WrongTime, AuthorityError."""
        domains, networks = permitted_of(self.root)
        for domain in names.domains:
            if not any(domain == one or domain.endswith(f".{one}") for one in domains):
                raise NotPermitted(self.directory, domain)
        for address in names.addresses:
            if not any(address in one for one in networks):
                raise NotPermitted(self.directory, str(address))
        own: list[x509.GeneralName] = [*map(x509.DNSName, names.domains), *map(x509.IPAddress, names.addresses)]
        common = None if names.domains else UNNAMED
        return self._issue("station", names.first, own, ExtendedKeyUsageOID.SERVER_AUTH, now=now, common=common)

    def client(self, user: str, *, now: datetime, known: bytes | None = None, days: int = LEAF_DAYS) -> Pair:
        """Sign a certificate for an account at the broker: its common name is the user name. Raises as `server`.

        `known`: the certificate (PEM) that it had; then the new one is for the same key, which the pair does not have.
        """
        if len(user) > NAME_CHARS:
            raise AuthorityError(self.directory, f"{user} has more than {NAME_CHARS} characters: a certificate cuts it")
        same = None if known is None else _public_of(known, user, self.directory)
        own = [x509.DNSName(CLIENT)]
        return self._issue("client", user, own, ExtendedKeyUsageOID.CLIENT_AUTH, now=now, same=same, days=days)

    def revoke(self, which: str, *, now: datetime) -> list[Issued]:
        """Let certificates with this serial or name count no more; which they are. Raises AuthorityError."""
        rows = listed(self.directory)
        ended = [replace(row, revoked=int(now.timestamp())) for row in rows if _is(row, which) and row.revoked is None]
        if not ended:
            raise AuthorityError(self.directory / ISSUED, f"no certificate {which!r} that still counts was signed here")
        serials = {row.serial: row for row in ended}
        self._write([serials.get(row.serial, row) for row in rows])
        self.write_revoked(now=now)
        return ended

    def write_revoked(self, *, now: datetime) -> None:
        """Sign the list of those that count no more."""
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.root.subject)
            .last_update(self._later_than_before(now - BACK))
            .next_update(min(now + timedelta(days=CRL_DAYS), self.root.not_valid_after_utc))
        )
        for row in listed(self.directory):
            if row.revoked is not None:
                at = datetime.fromtimestamp(row.revoked, UTC)
                entry = x509.RevokedCertificateBuilder().serial_number(int(row.serial, 16)).revocation_date(at).build()
                made = made.add_revoked_certificate(entry)
        pem = made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        _put(self.directory / REVOKED, pem, mode=0o644)

    def _later_than_before(self, at: datetime) -> datetime:
        """A broker keeps the list that it had beside the one that it reads, and believes the later of the two."""
        try:
            before = x509.load_pem_x509_crl((self.directory / REVOKED).read_bytes()).last_update_utc
        except (OSError, ValueError):
            return at
        return max(at, before + timedelta(seconds=1))

    def _issue(
        self,
        sort: Sort,
        name: str,
        names: Sequence[x509.GeneralName],
        use: x509.ObjectIdentifier,
        *,
        now: datetime,
        common: str | None = None,
        same: ec.EllipticCurvePublicKey | None = None,
        days: int = LEAF_DAYS,
    ) -> Pair:
        if not self.root.not_valid_before_utc <= now < self.root.not_valid_after_utc:
            raise WrongTime(self.directory, f"this machine's clock says {now:%Y-%m-%d}, when its root does not count")
        key = ec.generate_private_key(ec.SECP256R1()) if same is None else None
        public = same if key is None else key.public_key()
        assert public is not None
        made = (
            _begun(_named(common or name), self.root.subject, public, now=now, days=days, most=self.root)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(_of(self.root), critical=False)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = made.sign(self._key, hashes.SHA256())
        issued = Issued(
            serial=f"{signed.serial_number:x}",
            name=name,
            sort=sort,
            not_after=int(signed.not_valid_after_utc.timestamp()),
        )
        self._write([*listed(self.directory), issued])
        own = b"" if key is None else _key_pem(key, None)
        return Pair(signed.public_bytes(serialization.Encoding.PEM), own, issued)

    def _write(self, rows: Sequence[Issued]) -> None:
        text = json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1) + "\n"
        _put(self.directory / ISSUED, text.encode(), mode=0o644)


def put_station(pair: Pair, signs: "Authority", folder: Path) -> None:
    """Write what the station reads: certificate and key, and of the authority what is no secret. Raises OSError.

    Whoever reads between key and certificate finds that they do not belong together, keeps what he has, looks again.
    """
    put_lists(signs.directory, folder)
    _put(folder / STATION_KEY, pair.key, mode=0o600)
    _put(folder / STATION, pair.certificate, mode=0o644)


def put_lists(directory: Path, folder: Path) -> None:
    """Bring root, list of certificates and list of those that count no more to whoever shows them. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (ROOT, ISSUED, REVOKED):  # the last one lets the broker look: the names are there by then
        _put(folder / name, (directory / name).read_bytes(), mode=0o644)


def revoked_names(folder: Path) -> dict[str, str]:
    """The names of the certificates that count no more, by serial; empty for a name that is not known here.

    Raises AuthorityError.
    """
    path = folder / REVOKED
    try:
        said = x509.load_pem_x509_crl(path.read_bytes())
    except OSError as error:
        raise AuthorityError(path, error.strerror or "cannot be read") from None
    except ValueError:
        raise AuthorityError(path, "this is no list of revoked certificates") from None
    names = {row.serial: row.name for row in listed(folder)}
    serials = [f"{one.serial_number:x}" for one in said]
    return {serial: names.get(serial, "") for serial in serials}


def names_in(path: Path) -> Names:
    """The names for which a certificate was signed. Raises AuthorityError."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
        own = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except OSError as error:
        raise AuthorityError(path, error.strerror or "cannot be read") from None
    except (ValueError, x509.ExtensionNotFound):
        raise AuthorityError(path, "this is no certificate of a station") from None
    addresses = [one for one in own.get_values_for_type(x509.IPAddress) if isinstance(one, Address)]
    return Names(tuple(own.get_values_for_type(x509.DNSName)), tuple(addresses))


def permitted_of(root: x509.Certificate) -> tuple[list[str], list[Network]]:
    """The domains and networks for which a root may sign."""
    said = root.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    domains = [one.value for one in said if isinstance(one, x509.DNSName)]
    networks = [one.value for one in said if isinstance(one, x509.IPAddress) and isinstance(one.value, Network)]
    return domains, networks


def fingerprint(certificate: x509.Certificate, *, sha1: bool = False) -> str:
    """What people compare: SHA-256 (or SHA-1, which Windows shows) in pairs of hexadecimal digits."""
    algorithm = hashes.SHA1() if sha1 else hashes.SHA256()  # noqa: S303 - to compare with what Windows shows
    return certificate.fingerprint(algorithm).hex(":").upper()


def _public_of(certificate: bytes, user: str, directory: Path) -> ec.EllipticCurvePublicKey:
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        raise AuthorityError(directory, f"what {user} has is no certificate") from None
    key = found.public_key()
    if found.subject != _named(user) or not isinstance(key, ec.EllipticCurvePublicKey):
        raise AuthorityError(directory, f"the certificate that is there is not that of {user}")
    return key


def _is(row: Issued, which: str) -> bool:
    return which in {row.serial, row.name}


def _domain(text: str) -> str:
    name = text.strip().lower().rstrip(".")
    parts = name.split(".")
    good = all(part and len(part) <= 63 and part.replace("-", "").isalnum() and part.isascii() for part in parts)
    if not good or len(name) > 253 or parts[-1].isdecimal():
        raise ValueError(f"{text!r} is neither a DNS name (in ASCII, without *) nor an address")
    return name


def _permitted(texts: Sequence[str]) -> tuple[list[str], list[Network]]:
    domains: list[str] = []
    networks: list[Network] = []
    for text in texts:
        try:
            network = ip_network(text)
        except ValueError:
            if "/" in text:
                raise ValueError(f"{text!r} is no network: the bits behind the prefix are zero") from None
            domains.append(_domain(text))
        else:
            if network.prefixlen == 0:
                raise ValueError(f"{text} is the whole internet, for which nobody need sign")
            networks.append(network)
    return list(dict.fromkeys(domains)), list(dict.fromkeys(networks))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:NAME_CHARS])])


def _of(root: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    days: int,
    most: x509.Certificate | None = None,
) -> x509.CertificateBuilder:
    begins = (now - BACK).replace(microsecond=0)
    ends = begins + timedelta(days=days)
    if most is not None:
        begins, ends = max(begins, most.not_valid_before_utc), min(ends, most.not_valid_after_utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey, passphrase: str | None) -> bytes:
    how: Any = serialization.NoEncryption()
    if passphrase is not None:
        how = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def _key_text(directory: Path) -> bytes:
    path = directory / ROOT_KEY
    try:
        if path.stat().st_mode & 0o077:
            raise AuthorityError(path, f"others may read it: chmod 600 {path}")
        return path.read_bytes()
    except FileNotFoundError:
        raise NoAuthority(path, "the root's key is not here: bring the medium on which it is kept") from None
    except OSError as error:
        raise AuthorityError(path, error.strerror or "cannot be read") from None


def _put(path: Path, content: bytes, *, mode: int) -> None:
    """Whole or not at all, and on the disk before it is used."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
