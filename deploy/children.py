"""Child processes that end with us, whatever ends us: nothing of a demo or a box outlives a SIGKILL.

The kernel sends the signal, and it goes by thread: a child is ended when the *thread* that made it ends. So one
thread makes all of them, and lives for as long as the process. setpriv asks for it between fork and exec, which
serves programs that are not ours as well.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Final

Stream = int | IO[bytes] | None

_MAKER: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="children")


def start(
    command: Sequence[str], *, stdin: Stream, stdout: Stream, stderr: Stream, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, which is told to end (SIGTERM) when we end. Raises OSError.

    Debian always has setpriv; where it is missing, children outlive a parent that was killed.
    """
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []

    def make() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*prefix, *command], stdin=stdin, stdout=stdout, stderr=stderr, env=env, start_new_session=True
        )

    return _MAKER.submit(make).result()
