"""Witnesses at the broker: one `mosquitto_sub` for each audience, with that audience's own account.

They know nothing of Shouwang: they ask for everything (`sw1/#`) and write down what the broker lets them have, with
the time. What an audience learned is what its witness wrote, and nothing else.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy import children
from deploy.box import Box, BoxError, observers

FORMAT = "%U %r %t %p"
"""Arrival as unix seconds with nanoseconds, retained flag, topic, payload."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message that a witness got. `body` is empty when the payload is no envelope."""

    at_s: float
    retained: bool
    topic: str
    payload: str

    @property
    def body(self) -> dict[str, Any]:
        """The signed body, as far as it is JSON."""
        try:
            body = json.loads(self.payload)["body"]
        except (ValueError, KeyError, TypeError):
            return {}
        return body if isinstance(body, dict) else {}


class Witnesses:
    """A witness for each audience of a box. A context manager."""

    def __init__(self, box: Box) -> None:
        """Nothing is started yet."""
        self._box = box
        self._folder = box.directory / "witnesses"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def audiences(self) -> tuple[str, ...]:
        """Whose witnesses there are: `police`, `community:c1`, `household:h03`, ..."""
        return tuple(self._processes)

    def __enter__(self) -> Self:
        """Start them all. Raises BoxError when mosquitto_sub is not installed."""
        program = shutil.which("mosquitto_sub")
        if program is None:
            raise BoxError("mosquitto_sub", "is not installed: apt-get install mosquitto-clients")
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for audience, principal in observers(self._box.site).items():
            command = [
                "stdbuf", "-oL",  # line by line, also into a file
                program, "-V", "5", "-h", "127.0.0.1", "-p", str(self._box.broker.port), "-q", "1", "-k", "5",
                "-u", principal.user, "-P", self._box.keys.password(principal.user), "-t", "sw1/#", "-F", FORMAT,
                "-d",
            ]  # fmt: skip
            with self._said(audience).open("ab") as said:
                self._processes[audience] = children.start(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        self._box.wait_until(
            lambda: all(b"SUBACK" in self._said(audience).read_bytes() for audience in self._processes),
            "all witnesses are subscribed",
            timeout_s=60,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End them by force: each line is in its file as soon as it is written, and their own way out may hang."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()

    def arrivals(self, audience: str) -> list[Arrival]:
        """All that this audience has got so far, in order."""
        arrivals = []
        for line in self._said(audience).read_text(encoding="utf-8", errors="replace").splitlines():
            parts = line.split(" ", 3)
            if len(parts) == 4 and parts[2].startswith("sw1/"):
                with_time = parts[0].replace(".", "", 1).isdigit()
                if with_time:
                    arrivals.append(Arrival(float(parts[0]), parts[1] == "1", parts[2], parts[3]))
        return arrivals

    def everything(self) -> Mapping[str, list[Arrival]]:
        """What every audience has got so far."""
        return {audience: self.arrivals(audience) for audience in self._processes}

    def wait(self, audience: str, wanted: Callable[[Arrival], bool], *, timeout_s: float) -> Arrival | None:
        """Return the first wanted arrival, None when it does not come in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = next((arrival for arrival in self.arrivals(audience) if wanted(arrival)), None)
            if found is not None:
                return found
            time.sleep(0.02)
        return None

    def _said(self, audience: str) -> Path:
        return self._folder / audience.replace(":", "-")
