"""Programs of ours as processes that are forked off one that has imported them, because to import them takes seconds.

What runs is what `python -m MODULE ARGUMENT ...` runs, in a session of its own, and it dies of what a process dies of.
What differs is that the modules were there before. `tests/api/test_program.py` and `tests/deploy` start the real thing.
"""

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from multiprocessing import connection, get_context
from typing import IO, Any, Final

PRELOADED: Final = "tests.preloaded"

_CONTEXT: Final = get_context("forkserver")
_CONTEXT.set_forkserver_preload([PRELOADED])


class Forked:
    """One such process, with the methods of `subprocess.Popen`."""

    stdin: Final = None
    stdout: Final = None

    def __init__(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        stderr: int | IO[Any],
        stdout: int | IO[Any] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start `program`, the name of a module or the path of a file. Outputs are descriptors, ours to close."""
        said = [
            connection.Connection(os.dup(one if isinstance(one, int) else one.fileno()), readable=False)
            for one in (stderr, stdout)
            if one is not None
        ]
        told = {"program": program, "arguments": [*arguments], "env": {**(os.environ if env is None else env)}}
        self._process = _CONTEXT.Process(target=_run, args=said, kwargs=told)
        self._process.start()
        for one in said:
            one.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(
    stderr: connection.Connection,
    stdout: connection.Connection | None = None,
    *,
    program: str,
    arguments: list[str],
    env: dict[str, str],
) -> None:
    """Be that program, in the process that was forked."""
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.dup2(stderr.fileno(), sys.stderr.fileno())
    if stdout is not None:
        os.dup2(stdout.fileno(), sys.stdout.fileno())
    if os.sep not in program:
        spec = find_spec(program)
        assert spec is not None
        assert spec.origin is not None
        program = spec.origin
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")
