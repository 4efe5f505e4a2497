"""Programs of a town are forked in tests: to start them takes a second each, and tests kill hundreds."""

import subprocess
from collections.abc import Sequence
from typing import IO, cast

from tests.forking import Forked


def fork(program: str, arguments: Sequence[str], said: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Begin a program of a town (`faults.town.HurtBox.begin`): it does what is asked of a Popen."""
    return cast("subprocess.Popen[bytes]", Forked(program, arguments, stdout=said, stderr=said))
