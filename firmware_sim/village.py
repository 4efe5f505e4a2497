"""All lines, units and readers of a village as one discrete-event simulation.

You must call `advance` when `next_due` passes; being late changes nothing but when you learn of it. Acts
happen at the time that you give, after everything that was due before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from devices.readings import Key
from firmware_sim.acts import (
    Act,
    BadAct,
    BreakSounder,
    Cancel,
    CutLine,
    CutMains,
    GiveAnswer,
    HoldTag,
    Jam,
    MendLine,
    Press,
    Reboot,
    Release,
    SendCode,
    SetBattery,
    SetFaults,
    Tamper,
    Test,
)
from firmware_sim.diary import Entry
from firmware_sim.line import NativeLine
from firmware_sim.medium import GATEWAY, Station
from firmware_sim.reader import Pn532Reader, Reader
from firmware_sim.settings import LineKind, LineSettings, VillageSettings
from firmware_sim.unit import Memory, Unit

MS = 1_000_000
S = 1_000 * MS

Line = NativeLine | Reader


class Village:
    """A village of simulated hardware. `lines` and `units` are by name."""

    def __init__(
        self,
        settings: VillageSettings,
        *,
        now_ns: int,
        memories: Mapping[str, Memory] | None = None,
        write: Callable[[str, Entry], None] = lambda _name, _entry: None,
        remember: Callable[[str, Memory], None] = lambda _name, _memory: None,
    ) -> None:
        """Power everything up.

        `write` is told each diary entry with the name of its unit or reader, `remember` what a unit puts
        in its flash.
        """
        self.settings = settings
        self._memories = memories or {}
        self._write = write
        self._remember = remember
        self.lines: dict[str, Line] = {line.name: self._line(line, now_ns) for line in settings.lines}
        self._line_of = {
            unit: line for line in self.lines.values() if isinstance(line, NativeLine) for unit in line.units
        }

    def _line(self, line: LineSettings, now_ns: int) -> Line:
        if line.kind is not LineKind.NATIVE:
            made = Pn532Reader if line.kind is LineKind.PN532 else Reader
            return made(line.name, baud=line.baud, write=lambda entry: self._write(line.name, entry))
        return NativeLine(
            line,
            seed=self.settings.seed,
            heartbeat_ns=round(self.settings.heartbeat_s * S),
            faults=self.settings.faults,
            now_ns=now_ns,
            memories=self._memories,
            write=self._write,
            remember=self._remember,
        )

    @property
    def units(self) -> dict[str, Unit]:
        """Every unit of every native line."""
        return {name: line.units[name] for name, line in self._line_of.items()}

    def memories(self) -> dict[str, Memory]:
        """Return what every unit has in flash, to power it up with the next time."""
        return {name: unit.memory for name, unit in self.units.items()}

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due, each at its own time."""
        for line in self.lines.values():
            line.advance(now_ns)

    def next_due(self) -> int | None:
        """Return when to call `advance` next, None if only when something is done."""
        return min((due for line in self.lines.values() if (due := line.next_due()) is not None), default=None)

    def press(self, unit: str, key: Key, now_ns: int, *, hold_ms: int = 200) -> None:
        """A finger presses a key of a unit."""
        self.perform(Press(unit, key, hold_ms=hold_ms), now_ns)

    def perform(self, act: Act, now_ns: int) -> None:
        """Do something at `now_ns`; a `BadAct` if there is no such unit, line or thing to do there."""
        self.advance(now_ns)
        match act:
            case CutLine() | MendLine() | SetFaults():
                self._change_line(act, now_ns)
            case SendCode():
                line = self._reader(act.unit, LineKind.RADIO433)
                form = self._settings_of(line.name).form
                line.send_code(act.identity, act.command, now_ns, hold_ns=act.hold_ms * MS, form=form)
            case HoldTag() if act.unit in self.lines:
                line = self._reader(act.unit, LineKind.RDM6300, LineKind.WIEGAND, LineKind.PN532)
                try:
                    if self._settings_of(line.name).kind is LineKind.WIEGAND:
                        line.hold_wiegand(act.tag, now_ns)
                    else:
                        line.hold_tag(act.tag, now_ns, hold_ns=act.hold_ms * MS, memory=bytes.fromhex(act.memory))
                except ValueError as error:
                    raise BadAct(str(error)) from None
            case _:
                if act.unit not in self._line_of:
                    raise BadAct(f"there is no unit {act.unit!r}")
                self._line_of[act.unit].act(act.unit, now_ns, lambda unit: _do(unit, act, now_ns))

    def _settings_of(self, name: str) -> LineSettings:
        return next(line for line in self.settings.lines if line.name == name)

    def _reader(self, name: str, *kinds: LineKind) -> Reader:
        line = self.lines.get(name)
        if not isinstance(line, Reader) or self._settings_of(name).kind not in kinds:
            raise BadAct(f"there is no {' or '.join(kind.value for kind in kinds)} line {name!r}")
        return line

    def _change_line(self, act: CutLine | MendLine | SetFaults, now_ns: int) -> None:
        line = self.lines.get(act.line)
        match line, act:
            case None, _:
                raise BadAct(f"there is no line {act.line!r}")
            case Reader(), SetFaults():
                raise BadAct(f"line {act.line}: faults are for native lines")
            case Reader(), _:
                line.cut = isinstance(act, CutLine)
            case NativeLine(), CutLine(units=units):
                if strangers := set(units) - set(line.units):
                    raise BadAct(f"line {act.line} has no unit {', '.join(sorted(strangers))}")
                behind = {Station(line.units[name].settings.unit) for name in units}
                line.medium.cut = frozenset(behind or {GATEWAY})
            case NativeLine(), MendLine():
                line.medium.cut = frozenset()
            case NativeLine(), SetFaults(faults=faults):
                line.medium.faults = faults
        self.advance(now_ns)


def _do(
    unit: Unit,
    act: Press
    | Release
    | Jam
    | Cancel
    | GiveAnswer
    | Test
    | HoldTag
    | Reboot
    | Tamper
    | CutMains
    | SetBattery
    | BreakSounder,
    now_ns: int,
) -> None:
    match act:
        case Press(key=key, hold_ms=hold_ms, bounces=bounces):
            unit.press(key, now_ns, hold_ns=hold_ms * MS, bounces=bounces)
        case Release(key=key):
            unit.release(key, now_ns)
        case Jam(key=key, jammed=jammed):
            unit.jam(key, now_ns, jammed=jammed)
        case Cancel():
            unit.cancel(now_ns)
        case GiveAnswer(answer=answer):
            unit.answer(answer, now_ns)
        case Test():
            unit.test(now_ns)
        case HoldTag(tag=tag):
            unit.hold_tag(tag, now_ns)
        case Reboot(off_ms=off_ms):
            unit.reboot(now_ns, off_ns=off_ms * MS)
        case Tamper(opened=opened):
            unit.tamper(now_ns, opened=opened)
        case CutMains(cut=cut):
            unit.cut_mains(now_ns, cut=cut)
        case SetBattery(percent=percent):
            unit.set_battery(percent, now_ns)
        case BreakSounder(broken=broken):
            unit.break_sounder(now_ns, broken=broken)
