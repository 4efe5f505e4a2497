"""Things that go wrong on purpose: a process that is killed at a named point, a disk that takes its time.

The programs know nothing of this; they offer named points (`journal.append`, `link.write.line1`, `uplink.publish`,
`ingest.commit`, `ingest.ack`, `ingest.receipt`) and put what this returns in the place of what they would call.

    POINT:before|after:N     end the process by SIGKILL before (after) the Nth time that POINT is called
    POINT:delay:MS           wait MS milliseconds before each call
    POINT:mute:N             from the Nth time on, do nothing at all there (a lost acknowledgement)
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Wrap(Protocol):
    """Takes the name of a point and what would be called there; returns what is called instead."""

    def __call__(self, name: str, call: F, /) -> F:
        """Return something with the same shape as `call`."""


class NotInterference(ValueError):
    """The text does not name a point, a manner and a number."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(f"{text!r}: give POINT:before|after|delay|mute:NUMBER, such as journal.append:before:3")


@dataclass(frozen=True, slots=True)
class Interference:
    """One thing that shall go wrong at one point."""

    point: str
    manner: str
    number: int


def read(text: str) -> Interference:
    """Read `journal.append:before:3`. Raises NotInterference."""
    point, _, rest = text.rpartition(":")
    point, _, manner = point.rpartition(":")
    if not point or manner not in {"before", "after", "delay", "mute"} or not rest.isdecimal():
        raise NotInterference(text)
    return Interference(point, manner, int(rest))


def wrapping(interferences: tuple[Interference, ...]) -> Wrap:
    """Return what puts these things around the points that they name."""

    def wrap(name: str, call: F, /) -> F:
        for interference in interferences:
            if interference.point == name:
                call = cast("F", _around(call, interference))
        return call

    calls: dict[Interference, int] = {}

    def _around(call: Callable[..., Any], interference: Interference) -> Callable[..., Any]:
        def interfered(*args: Any, **named: Any) -> Any:
            calls[interference] = calls.get(interference, 0) + 1
            reached = calls[interference] >= interference.number
            match interference.manner:
                case "before" if reached:
                    os.kill(os.getpid(), signal.SIGKILL)
                case "mute" if reached:
                    return None
                case "delay":
                    time.sleep(interference.number / 1_000)
            result = call(*args, **named)
            if interference.manner == "after" and reached:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return interfered

    return wrap
