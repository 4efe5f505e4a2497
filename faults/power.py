"""Power that goes, in four tiers: `shouwang faults --tier T2`, `make power`.

T1  a writer of a journal is killed at its n-th write, for every n (strace). Finds orders that are wrong, and no missing
    sync, since the kernel goes on writing.
T2  a village on an ext4 image that is cut off by ioctl in a storm of presses: what was not synced is gone.
T3  the same with syncs that do nothing, as cards have them that lie. What was confirmed can be lost; what must hold is
    said at `lying`.
T4  every write recorded below SQLite, and states put together that a cut may leave, torn and out of order.

In each tier what was confirmed is compared with what is in the journal afterwards.
"""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from faults import writer
from faults.audiences import DOORS
from faults.disks import CuttableDisk, NoSuchDisk
from faults.proxy import State
from faults.sets import Damaged as NotWhole
from faults.sets import confirmed, pressed, read_journal
from faults.town import Town, town
from gateway.journal import Damaged, JournalError

PRESSES_EACH: Final = 6
SERVICE_S: Final = 60.0
"""N14: presses are accepted again within this."""
BATCHES: Final = 30
CALLS: Final = ("pwrite64", "fdatasync")
SETTLE_S: Final = 90.0

Tell = Callable[[str], None]


@dataclass(slots=True)
class Tally:
    """What came of a tier. `found` has to be empty; `figures` are counted."""

    tier: str
    words: str
    figures: Counter[str] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)
    took_s: float = 0.0
    skipped: str = ""

    @property
    def unhurt(self) -> bool:
        """Whether all that has to hold held."""
        return not self.found


def killed_at_each_write(tally: Tally, *, most: int, tell: Tell, seed: int) -> None:
    """T1: SIGKILL at a write or sync, from the first to the last; `most` of each kind, spread evenly."""
    if shutil.which("strace") is None:
        raise NoSuchDisk("strace is not installed: apt-get install strace")
    for call in CALLS:
        with tempfile.TemporaryDirectory(prefix="shouwang-power-") as folder:
            last = _traced(Path(folder), f"--inject={call}:delay_enter=0").stderr.count(f"{call}(")
        step = max(1, last // most)
        for number in range(1 + seed % step, last + 1, step):
            with tempfile.TemporaryDirectory(prefix="shouwang-power-") as folder:
                done = _traced(Path(folder), f"--inject={call}:signal=SIGKILL:when={number}")
                said = done.stdout.split()
                tally.figures["kills"] += 1
                tally.figures["confirmed"] += len(said)
                tally.figures["lost"] += len(_judge(tally, Path(folder), said, f"killed at {call} {number}"))
            if tally.figures["kills"] % 20 == 0:
                tell(f"T1: {call} {number} of {last}")


def _traced(folder: Path, inject: str) -> "subprocess.CompletedProcess[str]":
    calls = ",".join(CALLS)
    command = ["strace", "-f", "-qq", "-s", "0", f"--trace={calls}", inject]
    command += [sys.executable, "-m", "faults.writer", str(folder), str(BATCHES)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _judge(tally: Tally, folder: Path, said: list[str], when: str, *, begun: set[str] | None = None) -> set[str]:
    """Open what is left as the gateway does. Returns what was confirmed and is not there."""
    dice = Random(1)
    try:
        opened = writer.opened(folder, dice.randbytes)
    except JournalError as error:
        tally.found.append(f"{when}: it does not open: {error.what}")
        return set(said)
    with closing(opened.journal) as journal:
        if opened.set_aside is not None:
            tally.found.append(f"{when}: damaged: {opened.trouble}")
        ids, there = set(journal.ids()), {str(key) for key in journal.known_messages()}
        if (bad := journal.verify()) is not None:
            tally.found.append(f"{when}: row {bad} is not as it was written")
    lost = {key for key in said if key.partition("/")[2] not in ids}
    tally.found += [f"{when}: {key} was confirmed and is not there" for key in sorted(lost)]
    if begun is not None:
        tally.found += [f"{when}: {key} is there, and nobody wrote it yet" for key in sorted(_keys(there, begun))]
    return lost


def _keys(there: set[str], begun: set[str]) -> set[str]:
    """Messages that nobody began to write. What was pruned has none any more."""
    return there - {one.partition("/")[0] for one in begun}


def cut_in_a_storm(tally: Tally, *, cuts: int, tell: Tell, seed: int) -> None:
    """T2: the power goes under a gateway in a storm of presses, again and again, on one disk."""
    dice = Random(seed)
    with _village() as (struck, disk):
        for cut in range(cuts):
            storm(struck, dice)
            lose_power(struck, disk)
            told = confirmed(struck.village.events).keys()
            try:
                kept = {row.message for row in read_journal(disk.mountpoint)}
            except (NotWhole, sqlite3.Error) as error:
                kept = set()
                tally.found.append(f"cut {cut} of seed {seed}: the file is not whole: {error}")
            tally.figures["cuts"] += 1
            tally.figures["lost"] += len(told - kept)
            tally.found += [f"cut {cut} of seed {seed}: {key} was confirmed and is not there" for key in told - kept]
            power = time.monotonic()
            struck.restart(struck.gateway)
            struck.wait_confirmed(timeout_s=SERVICE_S)
            back_s = time.monotonic() - power
            tally.figures["slowest to all confirmed, ms"] = max(
                tally.figures["slowest to all confirmed, ms"], round(back_s * 1_000)
            )
            if cut % 20 == 19:
                tell(f"T2: {cut + 1} of {cuts} cuts, {tally.figures['lost']} lost of {len(told)}")
        struck.settle(timeout_s=SETTLE_S)
        tally.figures["confirmed"] = len(confirmed(struck.village.events))
        wrong = struck.verdict(timeout_s=0).wrong
        tally.found += [f"{name}: {line}" for name, lines in wrong.items() for line in lines]
        tally.found += [f"set aside: {one.name}" for one in disk.mountpoint.glob("journal.db.damaged*")]


def lying(tally: Tally, *, cuts: int, tell: Tell, seed: int) -> None:
    """T3: the card says "synced" and has not. By turns with a link and without one.

    With a link, the station has what the card lost: nothing is lost to it, and the gap has a name, a new epoch. Without
    one, what only the card had is gone, and nobody else ever knew of it: that is counted and no finding.
    In both the journal opens or is set aside, presses are taken again, and nobody is told of what nobody pressed.
    """
    dice = Random(seed)
    with _village({"gateway": "commits_are_not_synced"}) as (struck, disk):
        link = struck.box.links["gateway-gw1"]
        for cut in range(cuts):
            alone = cut % 2 == 1
            if alone:
                link.be(State(cut=True))
            storm(struck, dice)
            if not alone:
                struck.settle(timeout_s=SETTLE_S)
            before = {row.epoch for row in read_journal(disk.mountpoint)}
            lose_power(struck, disk)
            told = confirmed(struck.village.events).keys()
            kept: set[str | None] = set()
            epochs: set[str] = set()
            try:
                rows = read_journal(disk.mountpoint)
                kept, epochs = {row.message for row in rows}, {row.epoch for row in rows}
            except (NotWhole, sqlite3.Error):
                tally.figures["files not whole"] += 1
            link.be(State())
            tally.figures["cuts"] += 1
            tally.figures["cuts that lost rows"] += bool(told - kept)
            tally.figures["whole journals gone"] += bool(before) and not epochs
            struck.restart(struck.gateway)
            struck.wait_confirmed(timeout_s=SERVICE_S)
            struck.settle(timeout_s=SETTLE_S)
            if told - kept:
                struck.box.wait_until(
                    partial(_opened_anew, struck, before), "a new epoch names the gap", timeout_s=SERVICE_S
                )
                tally.figures["gaps named by a new epoch"] += 1
            tell(f"T3: {cut + 1} of {cuts} cuts{', alone' if alone else ''}: {len(told - kept)} rows gone")
        evidence = struck.evidence()
        stored = {str(row.body.get("press")) for row in evidence.inbox if row.type == "press"}
        presses = {key for key in confirmed(evidence.events) if pressed(evidence.events)[key].press is not None}
        tally.figures["confirmed"] = len(presses)
        tally.figures["lost for good, of those without a link"] = len(presses - stored)
        verdict = struck.verdict(timeout_s=0)
        # What stood in a journal that is gone cannot be looked up there: only what was told is judged.
        tally.found += [f"leaked: {line}" for line in verdict.leaked]
        tally.found += [
            f"{key} is at the station, and nobody pressed it" for key in stored - pressed(evidence.events).keys()
        ]


def _opened_anew(struck: Town, before: set[str]) -> bool:
    with contextlib.suppress(NotWhole, sqlite3.Error):  # copied while it wrote
        return bool({row.epoch for row in read_journal(struck.state)} - before)
    return False


def torn(tally: Tally, *, batches: int, tell: Tell, seed: int) -> None:
    """T4: every state of the files that a cut may leave behind each write, opened as the gateway opens it.

    Once for a disk that keeps its word, where nothing confirmed may be missing; once for one whose last eight syncs did
    nothing, where the journal has to open or say that it is damaged, and hold nothing that nobody wrote.
    """
    from faults.recorded import Said, recording, whatever_a_disk_may_have  # noqa: PLC0415 - apsw is not everywhere

    dice = Random(seed)
    with tempfile.TemporaryDirectory(prefix="shouwang-power-") as made:
        with recording() as steps:
            journal = writer.opened(Path(made), dice.randbytes).journal
            for turn, keys in enumerate(writer.write(journal, batches, dice)):
                steps.append(Said(turn % 2 == 1, keys))
            journal.close()
        tally.figures["writes and syncs"] = sum(not isinstance(step, Said) for step in steps)
        for lies in (0, 8):
            began = time.monotonic()
            for end, files in whatever_a_disk_may_have(steps, dice, drawn=3 if not lies else 1, lying=lies):
                said = [key for step in steps[:end] if isinstance(step, Said) and step.kept for key in step.keys]
                begun = {key for step in steps[:end] if isinstance(step, Said) for key in step.keys}
                state = Path(made) / "state"
                state.mkdir()
                for name, content in files.items():
                    if content or name == "journal.db":
                        (state / name).write_bytes(content)
                when = f"behind step {end}" + (", with syncs that lie" if lies else "")
                if lies:
                    _judge_lies(tally, state, said, begun, when)
                else:
                    tally.figures["states"] += 1
                    tally.figures["lost"] += len(_judge(tally, state, said, when, begun=begun))
                shutil.rmtree(state)
                if time.monotonic() - began > 20:
                    began = time.monotonic()
                    tell(f"T4: step {end} of {len(steps)}{', lying' if lies else ''}")


def _judge_lies(tally: Tally, folder: Path, said: list[str], begun: set[str], when: str) -> None:
    tally.figures["states of lying disks"] += 1
    try:
        opened = writer.opened(folder, Random(1).randbytes)
    except JournalError as error:
        tally.found.append(f"{when}: it does not open: {error.what}")
        return
    with closing(opened.journal) as journal:
        tally.figures["... set aside when opened"] += opened.set_aside is not None
        try:
            ids, there = set(journal.ids()), {str(key) for key in journal.known_messages()}
            bad = journal.verify()
        except Damaged:
            tally.figures["... damaged when read"] += 1
            return
        tally.figures["... a row that does not verify"] += bad is not None
        lost = [key for key in said if key.partition("/")[2] not in ids]
        tally.figures["... confirmed rows missing"] += bool(lost)
        tally.figures["... whole"] += not lost and bad is None
        tally.found += [f"{when}: {key} is there, and nobody wrote it" for key in sorted(_keys(there, begun))]


@contextmanager
def _village(mutations: Mapping[str, str] | None = None) -> Iterator[tuple[Town, CuttableDisk]]:
    folder = Path(tempfile.mkdtemp(prefix="shouwang-power-"))
    try:
        with (
            CuttableDisk(folder) as disk,
            town(folder / "town", gateway_state=disk.mountpoint, links=True, mutations=mutations) as struck,
        ):
            struck.wait_greeted()
            yield struck, disk
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def storm(struck: Town, dice: Random) -> None:
    """Press at many units, and return when so many of them were answered as the dice say."""
    before = len(confirmed(struck.village.events))
    for unit in dice.sample(sorted(DOORS), PRESSES_EACH):
        struck.press(unit, dice.choice(["panic", "fire", "help", "medical", "intrusion"]), hold_ms=30)
    wanted = before + dice.randrange(PRESSES_EACH)
    struck.box.wait_until(
        lambda: len(confirmed(struck.village.events)) >= wanted, "some were confirmed", timeout_s=SERVICE_S
    )


def lose_power(struck: Town, disk: CuttableDisk) -> None:
    """Program and disk go together, and the power comes back.

    The program goes first: a kernel that is cut off by ioctl lives on, and may tell a sync under way that it is done.
    """
    struck.gateway.kill()
    disk.cut()
    disk.restore()


TIERS: Final[Mapping[str, tuple[Callable[..., None], str, str, int]]] = {
    "T1": (killed_at_each_write, "most", "killed at each write", 1_000),
    "T2": (cut_in_a_storm, "cuts", "power cut in a storm, ext4 without its log", 200),
    "T3": (lying, "cuts", "power cut on a card whose syncs do nothing", 10),
    "T4": (torn, "batches", "torn and reordered writes", 60),
}
"""How each is run, by the name of its size, what it is, and its size on demand."""


def run(tier: str, *, size: int | None = None, seed: int, tell: Tell = lambda _line: None) -> Tally:
    """One tier. `size`: of T1 kills of each kind, of T2 and T3 cuts, of T4 batches that are written."""
    work, what, words, usual = TIERS[tier]
    tally = Tally(tier, words)
    began = time.monotonic()
    try:
        work(tally, tell=tell, seed=seed, **{what: size or usual})
    except NoSuchDisk as error:
        tally.skipped = str(error)
    tally.took_s = round(time.monotonic() - began, 1)
    return tally


def as_text(tally: Tally) -> str:
    """For people."""
    if tally.skipped:
        return f"{tally.tier} NOT TRIED, NOTHING IS SHOWN: {tally.words}: {tally.skipped}"
    figures = ", ".join(f"{name} {many}" for name, many in tally.figures.items())
    verdict = "all held" if tally.unhurt else f"{len(tally.found)} FOUND"
    lines = [f"{tally.tier} {tally.words}: {figures}; {verdict}; {tally.took_s:.0f} s"]
    return "\n".join([*lines, *tally.found[:20]])


def as_json(tallies: Sequence[Tally], seed: int) -> str:
    """For machines."""
    return json.dumps({"seed": seed, "tiers": [asdict(one) for one in tallies]}, ensure_ascii=False, indent=1)
