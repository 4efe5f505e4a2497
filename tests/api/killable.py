"""The station as a process that dies by SIGKILL at a named step.

    python -m tests.api.killable settings.json ingest.ack:before:1

This is what `deploy` does with the same hook; the station knows nothing about it.
"""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, cast

from api.program import run
from api.settings import load
from api.steps import F


def wrap_to_die(where: str) -> Callable[[str, F], F]:
    name, moment, number = where.split(":")
    calls = count(1)

    def wrap(step_name: str, step: F) -> F:
        if step_name != name:
            return step

        def dying(*args: Any) -> Any:
            due = next(calls) == int(number)
            if due and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = step(*args)
            if due:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return cast("F", dying)

    return wrap


if __name__ == "__main__":
    run(load(Path(sys.argv[1])), wrap=wrap_to_die(sys.argv[2]))
