"""Rights at the broker as the station's register has them, brought to mosquitto while it runs.

The station writes who may do what into `broker-access.json` (`broker.access`), after each change and at every start; it
has no right over mosquitto. Whoever runs the broker looks at that file, renders it and lets mosquitto read it anew:
`Following` for a broker of our own, `shouwang broker` for one that is installed, on this machine or another.
"""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from broker import access
from broker.access import Access, NoAccess
from broker.acl import BrokerSettings, acl_file, broker_file
from deploy.handshakes import listener_files
from deploy.mosquitto import password_digest, password_file, write_private

LOOK_S: Final = 0.2


def read(path: Path) -> Access | None:
    """Who may do what by the station's file; None as long as there is none. Raises NoAccess or OSError."""
    try:
        return access.read(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


class Following:
    """Looks at the station's file in a thread of its own, and hands what is new to `renew`.

    `renew` may raise OSError: `told` hears of it, and it is tried again. So it is with a file that cannot be read.
    """

    def __init__(
        self,
        path: Path,
        renew: Callable[[Access], None],
        *,
        told: Callable[[str], object] = lambda _: None,
        look_s: float = LOOK_S,
    ) -> None:
        self._path = path
        self._renew = renew
        self._told = told
        self._look_s = look_s
        self._seen: tuple[int, int, int] | None = None
        self._trouble = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="broker-access", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Look once. Returns whether something new was handed over."""
        try:
            found = self._path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen == self._seen:
                return False
            said = read(self._path)
            if said is None:
                return False
            self._renew(said)
        except FileNotFoundError:
            return False  # the station never ran
        except (NoAccess, OSError) as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._told(f"rights at the broker: {error}")
            return False
        self._seen, self._trouble = seen, ""
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._look_s):
            self.look()


def render(said: Access, out: Path, *, passwords: Mapping[str, str], digests: dict[str, str]) -> tuple[str, ...]:
    """Write `acl` and `passwords` for mosquitto into `out`. Returns who has no password. Raises OSError.

    Whose folder that is owns them, when root writes: mosquitto reads them anew as the user that it has become.
    `passwords`: those that the site was set up with, by user name; `digests` keeps what they came to from one time to
    the next, so that files that say the same are the same.
    """

    def digest_of(user: str) -> str | None:
        if user in said.digests:
            return said.digests[user]
        if user not in digests and user in passwords:
            digests[user] = password_digest(passwords[user])
        return digests.get(user)

    owner = _owner(out)
    write_private(out / "passwords", password_file(said.principals, digest_of), owner=owner)
    write_private(out / "acl", acl_file(said.principals), owner=owner)
    return tuple(sorted(one.user for one in said.principals if digest_of(one.user) is None))


def render_broker(out: Path, *, tls: Path, listen: str, local_port: int) -> None:
    """Write `mosquitto.conf` for a broker that knows its accounts by certificate. Raises ValueError or OSError.

    `tls`: the folder that `shouwang ca station` made; `listen`: address and port, an IPv6 address in brackets.
    """
    address, _, port = listen.rpartition(":")
    if not address or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{listen!r}: give ADDRESS:PORT")
    settings = BrokerSettings(
        directory=str(out.absolute()),
        port=int(port),
        address=address.strip("[]"),
        tls=listener_files(tls.absolute()),
        local=local_port,
    )
    write_private(out / "mosquitto.conf", broker_file(settings), owner=_owner(out))


def _owner(folder: Path) -> tuple[int, int] | None:
    """Whose files in a folder are to be, when root writes them: mosquitto reads them as the user that it becomes."""
    found = folder.stat()
    return (found.st_uid, found.st_gid) if os.geteuid() == 0 else None


def reload(pid_file: Path) -> None:
    """Let the mosquitto of this file read its rights anew. Raises OSError, also when the file holds no number."""
    text = pid_file.read_text(encoding="ascii").strip()
    if not text.isdecimal() or int(text) < 2:
        raise OSError(f"{pid_file} holds no process id")
    os.kill(int(text), signal.SIGHUP)
