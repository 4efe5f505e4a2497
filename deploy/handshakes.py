"""Certificates at a broker while it runs: what was renewed is shown, and whoever's was revoked is cut off.

Theory (mosquitto 2.0.11, measured). SIGHUP lets it read certificate, key and the list of revoked ones anew: the next
handshake goes by them. Whoever is connected stays, revoked or not, also without any right left. So for each certificate
that was added to the list the connection of its name is ended (`mosquitto.end_connection`), after the list counts: the
holder comes back with another certificate, or not at all.

The folder is the one that `shouwang ca station` made: root.crt, issued.json, revoked.crl, station.crt, station.key.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from broker.acl import Tls
from deploy import authority
from deploy.authority import AuthorityError
from deploy.mosquitto import BrokerSilent

LOOK_S: Final = 0.5
FILES: Final = (authority.ROOT, authority.STATION, authority.STATION_KEY, authority.REVOKED)

Stamps = tuple[tuple[int, int, int], ...]


def listener_files(folder: Path) -> Tls:
    """What mosquitto reads of a folder."""
    return Tls(
        ca=str(folder / authority.ROOT),
        certificate=str(folder / authority.STATION),
        key=str(folder / authority.STATION_KEY),
        revoked=str(folder / authority.REVOKED),
    )


class Handshakes:
    """Looks at the folder, in a thread of its own or when asked."""

    def __init__(
        self,
        folder: Path,
        *,
        reload: Callable[[], object],
        cut: Callable[[str], object],
        told: Callable[[str], object] = lambda _: None,
        look_s: float = LOOK_S,
    ) -> None:
        """`reload` lets the broker read its files anew; `cut` ends a connection. Both may raise OSError."""
        self._folder = folder
        self._reload = reload
        self._cut = cut
        self._told = told
        self._look_s = look_s
        self._seen: Stamps | None = None
        self._ended: set[str] = set()
        """Serials of those that were cut off."""
        self._trouble = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="handshakes", daemon=True)

    def begin(self) -> None:
        """The broker starts now: nobody is connected by what was revoked before."""
        try:
            self._seen, self._ended = self._stamps(), set(authority.revoked_names(self._folder))
        except AuthorityError as error:
            self._tell(str(error))

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> tuple[str, ...]:
        """Look once; the names that were cut off. What fails is told, and tried again."""
        stamps = self._stamps()
        if stamps == self._seen:
            return ()
        cut: list[str] = []
        try:
            revoked = authority.revoked_names(self._folder)
            self._reload()
            for serial, name in sorted(revoked.items()):
                if serial in self._ended:
                    continue
                if name:
                    self._cut(name)
                    cut.append(name)
                else:
                    self._told(
                        f"certificate {serial} is revoked, and {authority.ISSUED} here does not say whose it was"
                    )
                self._ended.add(serial)
        except (AuthorityError, BrokerSilent, OSError) as error:
            self._tell(str(error))
        else:
            self._seen, self._trouble = stamps, ""
        return tuple(cut)

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._told(f"certificates of the broker: {trouble}")

    def _stamps(self) -> Stamps:
        return tuple(_stamp(self._folder / name) for name in FILES)

    def _run(self) -> None:
        while not self._stop.wait(self._look_s):
            self.look()


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size
