"""Five hundred gateways that lose their broker and come back at once: `shouwang faults --crowd`.

Broker and station are processes of their own, with the configuration that ships; the gateways are whole ones (journal,
intake, outbox, uplink), a hundred and more to a process, and only their lines end in nothing: what a unit would have
said is handed to them as it comes out of a frame. They connect; the broker is killed; meanwhile each hears check-ins
and then one press; the broker starts again.

    python -m faults.crowd SITE KEYS PORT STATE FIRST LAST       those of one process
"""

import asyncio
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from deploy import assembly, check, children
from deploy import keys as keyring
from deploy.box import Box, BoxError
from deploy.mosquitto import free_port
from devices.readings import ButtonPressed, Key, Proof, TagRead
from gateway import logs
from gateway.program import Gateway
from gateway.stamps import SystemClock
from gateway.stores import open_stores

GATEWAYS: Final = 500
BACKLOG: Final = 20
"""Check-ins that each has heard meanwhile, before its one press."""
PROCESSES: Final = 4
DESCRIPTORS_EACH: Final = 12
WITHIN_S: Final = 300.0
LOOK_S: Final = 0.1
LINE: Final = "line1"
ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """What came of it. Seconds from the moment at which the broker took connections again."""

    gateways: int
    backlog: int
    all_back_s: float
    alarms_s: tuple[float, float]
    """Until the middle one and the last of the alarms was stored."""
    everything_s: float
    check_ins_before_the_last_alarm: int
    lost: int
    twice: int
    behind: int
    """Gateways of which a check-in was stored before the alarm."""
    alarms_open: int
    load: float
    """Of the machine, at the end."""

    @property
    def unhurt(self) -> bool:
        """Whether nothing is missing, nothing there twice, and each alarm is open."""
        return (self.lost, self.twice, self.alarms_open) == (0, 0, self.gateways)


def site_text(gateways: int) -> str:
    """A site of so many gateways, each with a household and its neighbour."""
    tables = [
        '[station]\nid = "county"\n\n[broker]\nprivate = true\n',
        '[[officer]]\nid = "desk"\nrole = "duty_officer"\n',
        '[[community]]\nid = "c1"\nlabel = "柳岸社区"\n',
        '[[grid]]\nid = "w1"\ncommunity = "c1"\nlabel = "柳岸一格"\n',
    ]
    for number in range(1, gateways + 1):
        gateway = _name(number)
        tables += [
            f'[[gateway]]\nid = "{gateway}"\nheartbeat_s = 300\n',
            f'[[gateway.line]]\nname = "{LINE}"\nport = "ports/{LINE}"\nbaud = 9600\n',
            f'[[gateway.unit]]\nid = "u{number:03}"\nline = "{LINE}"\naddress = 1\nhousehold = "h{number:03}"\n',
            f'[[group]]\nid = "g{number:03}"\ngrid = "w1"\ngateway = "{gateway}"\n',
            f'[[household]]\nid = "h{number:03}"\ngroup = "g{number:03}"\ndoor = 101\nlabel = "{number}号楼"\n',
            f'[[household]]\nid = "n{number:03}"\ngroup = "g{number:03}"\ndoor = 102\nlabel = "{number}号楼"\n',
        ]
    return "\n".join(tables)


def _name(number: int) -> str:
    return f"gw{number:03}"


def come_back(
    *, gateways: int = GATEWAYS, backlog: int = BACKLOG, tell: Callable[[str], None] = lambda _line: None
) -> Return:
    """Let them all come back at once. Raises BoxError when they do not."""
    with tempfile.TemporaryDirectory(prefix="shouwang-crowd-") as made, ExitStack() as stack:
        folder = Path(made)
        path = folder / "site.toml"
        path.write_text(site_text(gateways), encoding="utf-8")
        box = stack.enter_context(Box(check.load(path), path, folder / "box", http_port=free_port()))
        box.start_broker()
        box.start_station()
        parts = min(PROCESSES, gateways)
        bounds = [round(gateways * part / parts) for part in range(parts + 1)]
        crowds = [stack.enter_context(_crowd(box, folder, first + 1, last)) for first, last in pairwise(bounds)]
        began = time.monotonic()
        _wait(lambda: sum(one.said("up") for one in crowds) == gateways, "all have connected", crowds)
        tell(f"{gateways} gateways are there after {time.monotonic() - began:.1f} s")
        _wait(lambda: all(one.said("even") for one in crowds), "nothing of the beginning is owed any more", crowds)
        tell("the station has all that they said when they began; the broker is killed")
        box.broker.kill()
        for one in crowds:
            one.order(backlog)
        _wait(lambda: all(one.said("kept") for one in crowds), "everything is kept", crowds)
        before = _counts(box)
        tell(f"each has kept {backlog} check-ins and a press; the broker starts again")
        box.start_broker()
        back = time.monotonic()
        all_back_s = everything_s = 0.0
        alarms: list[tuple[float, int, int]] = []

        def done() -> bool:
            nonlocal all_back_s, everything_s
            now_s = time.monotonic() - back
            presses, check_ins = _counts(box)
            alarms.append((now_s, presses, check_ins))
            if not all_back_s and sum(one.said("up") for one in crowds) == gateways:
                all_back_s = now_s
            if presses == gateways and check_ins == gateways * backlog:
                everything_s = now_s
            return everything_s > 0 and all_back_s > 0

        assert before == (0, 0)
        try:
            _wait(done, "everything has arrived", crowds)
        except BoxError as error:
            up, (presses, check_ins) = sum(one.said("up") for one in crowds), _counts(box)
            error.add_note(f"connected {up}, alarms stored {presses}, check-ins stored {check_ins}")
            raise
        last_s, _, meanwhile = next(one for one in alarms if one[1] == gateways)
        middle_s = next(now_s for now_s, presses, _ in alarms if presses >= gateways / 2)
        rows = _rows(box)
        return Return(
            gateways=gateways,
            backlog=backlog,
            all_back_s=round(all_back_s, 1),
            alarms_s=(round(middle_s, 1), round(last_s, 1)),
            everything_s=round(everything_s, 1),
            check_ins_before_the_last_alarm=meanwhile,
            lost=gateways * (backlog + 1) - len({(gateway, seq) for gateway, seq, _ in rows}),
            twice=len(rows) - len({(gateway, seq) for gateway, seq, _ in rows}),
            behind=len(_behind(rows)),
            alarms_open=_alarms(box),
            load=round(os.getloadavg()[0], 1),
        )


def _behind(rows: list[tuple[str, int, str]]) -> set[str]:
    """Gateways of which something else was stored before their alarm. `rows`: in the order in which they came."""
    first: dict[str, str] = {}
    for gateway, _, event in rows:
        first.setdefault(gateway, event)
    return {gateway for gateway, event in first.items() if event != "press"}


def _database(box: Box) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{box.directory / 'station' / 'station.db'}?mode=ro", uri=True)


def _counts(box: Box) -> tuple[int, int]:
    with closing(_database(box)) as db:
        found = dict(db.execute("SELECT event, count(*) FROM inbox GROUP BY event").fetchall())
    return found.get("press", 0), found.get("check_in", 0)


def _rows(box: Box) -> list[tuple[str, int, str]]:
    wanted = "SELECT gateway, seq, event FROM inbox WHERE event IN ('press', 'check_in') ORDER BY received_ms, rowid"
    with closing(_database(box)) as db:
        return [(gateway, seq, event) for gateway, seq, event in db.execute(wanted)]


def _alarms(box: Box) -> int:
    found, after = 0, ""
    while True:
        page: dict[str, Any] = box.get(f"/api/v1/alarms?limit=100{after}")
        found += len(page["items"])
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


def _wait(holds: Callable[[], bool], what: str, crowds: "list[_Crowd]") -> None:
    until = time.monotonic() + WITHIN_S
    while not holds():
        for one in crowds:
            if one.process.poll() is not None:
                raise BoxError("crowd", f"ended with {one.process.returncode}", one.log.read_text()[-2_000:])
        if time.monotonic() > until:
            raise BoxError("crowd", f"{what}: not within {WITHIN_S:.0f} s")
        time.sleep(LOOK_S)


@dataclass(slots=True)
class _Crowd:
    """One process with its share of the gateways. It says what it has to say in a file."""

    process: "subprocess.Popen[bytes]"
    log: Path
    told: Path

    def said(self, what: str) -> int:
        """The number that it told of this last; 0 before."""
        try:
            found: dict[str, int] = json.loads(self.told.read_text())
        except (FileNotFoundError, ValueError):
            return 0
        return found.get(what, 0)

    def order(self, backlog: int) -> None:
        """So many check-ins and a press at each."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{backlog}\n".encode())
        self.process.stdin.flush()


@contextmanager
def _crowd(box: Box, folder: Path, first: int, last: int) -> Iterator[_Crowd]:
    state, log = folder / f"crowd{first}", folder / f"crowd{first}.log"
    state.mkdir()
    keys = str(box.directory / "keys")
    command = [sys.executable, "-m", "faults.crowd", str(box.site_path), keys, str(box.broker.port), str(state)]
    with log.open("wb") as said:
        process = children.start(
            [*command, str(first), str(last)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        yield _Crowd(process, log, state / "told.json")
    finally:
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


# In a process of the crowd


async def _live(site_path: Path, keys: Path, port: int, state: Path, numbers: range) -> None:
    logs.configure()
    site, ring = check.load(site_path), keyring.read(keys)
    clock = SystemClock()
    gateways = []
    for number in numbers:
        name = _name(number)
        address = assembly.BrokerAddress(port=port)
        settings = assembly.gateway_settings(site, ring, name, state=state / name, broker=address)
        settings = settings.model_copy(update={"ballast_bytes": 0})
        stores = await asyncio.to_thread(partial(open_stores, settings, clock=clock))
        gateways.append((number, Gateway(settings, stores, clock=clock)))
        await gateways[-1][1].start()
    orders = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    told: dict[str, int] = {}
    ordered = False
    while True:
        await asyncio.sleep(LOOK_S)
        told["up"] = sum(gateway._uplink.link.up for _, gateway in gateways)
        if not ordered and told["up"] == len(gateways):
            for _, gateway in gateways:
                await gateway._keeper.look()
            told["even"] = int(not any(gateway._keeper.queued for _, gateway in gateways))
        if orders.done() and not ordered:
            if not orders.result():
                return
            for number, gateway in gateways:
                _hear(gateway, number, int(orders.result()))
            ordered = True
        if ordered and not any(gateway._lines[LINE].unkept for _, gateway in gateways):
            told["kept"] = 1
        fresh = state / "told.new"
        fresh.write_text(json.dumps(told))
        fresh.replace(state / "told.json")


def _hear(gateway: Gateway, number: int, backlog: int) -> None:
    line = gateway._lines[LINE]
    said = [TagRead(1, 1, one, f"{number:04X}{one:04X}", 0, Proof.SEALED) for one in range(1, backlog + 1)]
    line.take(gateway._recorder.hear(LINE, [*said, ButtonPressed(1, 1, backlog + 1, Key.PANIC, 0, Proof.SEALED)]))


def main() -> None:
    """Be a part of the crowd until nobody holds the other end of standard input."""
    _, site, keys, port, state, first, last = sys.argv
    numbers = range(int(first), int(last) + 1)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1_000 + DESCRIPTORS_EACH * len(numbers)), hard))
    asyncio.run(_live(Path(site), Path(keys), int(port), Path(state), numbers))


def as_json(came: Return) -> str:
    """For machines."""
    return json.dumps(asdict(came), indent=1)


def as_text(came: Return) -> str:
    """For people."""
    middle_s, last_s = came.alarms_s
    return (
        f"{came.gateways} gateways, each with {came.backlog} check-ins and then a press, behind a broker that was "
        f"killed: all connected again after {came.all_back_s} s; alarms stored: the middle one after {middle_s} s, "
        f"the last after {last_s} s, with {came.check_ins_before_the_last_alarm} check-ins before it; everything "
        f"after {came.everything_s} s; lost {came.lost}, twice {came.twice}, a check-in before the alarm of its "
        f"gateway {came.behind} times, {came.alarms_open} alarms open; load {came.load}"
    )


if __name__ == "__main__":
    main()
