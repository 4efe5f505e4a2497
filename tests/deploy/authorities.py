"""An authority of the product's own with a broker behind it, and whoever comes by certificate: good ones and others."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from broker.acl import Principal
from deploy import authority
from deploy.authority import Authority, names_of
from deploy.handshakes import listener_files
from deploy.mosquitto import LOOPBACK, Listener, free_port


@dataclass(frozen=True)
class Certified:
    """An authority in `folder`/ca, and what the broker shows in `folder`/tls."""

    folder: Path
    root: Authority

    @classmethod
    def made(cls, folder: Path, *names: str, now: datetime | None = None) -> Self:
        at = now or datetime.now(UTC)
        root = authority.establish(folder / "ca", name="test", passphrase=None, now=at)
        made = cls(folder, root)
        authority.put_station(root.server(names_of(names or [LOOPBACK]), now=at), root, made.tls)
        return made

    @property
    def tls(self) -> Path:
        return self.folder / "tls"

    def listener(self) -> Listener:
        return Listener(LOOPBACK, free_port(), listener_files(self.tls))

    def client(self, who: Principal | str | None, *, now: datetime | None = None, days: int = 397) -> ssl.SSLContext:
        """A context with a certificate for somebody; None: without any."""
        context = ssl.create_default_context(cafile=str(self.root.directory / authority.ROOT))
        if who is not None:
            user = who if isinstance(who, str) else who.user
            pair = self.root.client(user, now=now or datetime.now(UTC), days=days)
            certificate, key = self.folder / f"{pair.issued.serial}.crt", self.folder / f"{pair.issued.serial}.key"
            certificate.write_bytes(pair.certificate)
            key.write_bytes(pair.key)
            context.load_cert_chain(certificate, key)
        return context
