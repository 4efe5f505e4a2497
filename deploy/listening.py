"""Who listens on this machine, as Linux tells it in /proc (proc(5): net/tcp, net/udp, PID/fd, PID/cgroup).

Nothing is sent and nothing is asked of anybody. Whoever is not root sees ports and addresses, and the programs of his
own account alone.
"""

import ipaddress
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LISTENS: Final = "0A"
"""TCP_LISTEN."""
UNCONNECTED: Final = "07"
"""A UDP socket that takes from anybody."""
TABLES: Final = {"tcp": LISTENS, "tcp6": LISTENS, "udp": UNCONNECTED, "udp6": UNCONNECTED}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Listener:
    """One port. `program` and `unit` (of systemd) are None where we may not look."""

    protocol: str
    port: int
    loopback: bool
    """Whether nobody else's machine reaches it."""
    program: str | None = None
    unit: str | None = None


def listeners(proc: Path) -> list[Listener]:
    """Each port once, with the wider of its addresses; sorted. `proc`: where /proc is; what it hides is left out."""
    owners = dict(_owners(proc))
    found: dict[tuple[str, int], Listener] = {}
    for table, wanted in TABLES.items():
        try:
            lines = (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] != wanted:
                continue
            address, port = words[1].split(":")
            protocol, number = table.removesuffix("6"), int(port, 16)
            program, unit = owners.get(words[9], (None, None))
            loopback = address_of(address).is_loopback
            one = Listener(protocol=protocol, port=number, loopback=loopback, program=program, unit=unit)
            before = found.get((protocol, number))
            if before is None or (before.loopback and not loopback):
                found[protocol, number] = one
    return sorted(found.values(), key=lambda one: (one.protocol, one.port))


def address_of(written: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as /proc/net writes it: hexadecimal words of 32 bits in the machine's order."""
    words = [bytes.fromhex(written[at : at + 8]) for at in range(0, len(written), 8)]
    octets = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    if len(octets) == 4:
        return ipaddress.IPv4Address(octets)
    address = ipaddress.IPv6Address(octets)
    return address.ipv4_mapped or address


def _owners(proc: Path) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """For each socket's inode the program and the unit that have it."""
    for process in proc.glob("[0-9]*"):
        try:
            sockets = [
                inode[1]
                for link in (process / "fd").iterdir()
                if (inode := re.fullmatch(r"socket:\[(\d+)\]", _read_link(link)))
            ]
            program = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
            groups = (process / "cgroup").read_text(encoding="utf-8", errors="replace") if sockets else ""
        except OSError:  # another's, or gone meanwhile
            continue
        group = re.search(r"/system\.slice/(?:[^/\n]+\.slice/)*([^/\n]+\.service)(?:/|$)", groups, re.MULTILINE)
        unit = None if group is None else group[1]
        for number in sockets:
            yield number, (program, unit)


def _read_link(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
