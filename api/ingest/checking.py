"""Signatures of many messages, checked by a process of their own; of few, or when that one is not well, here."""

import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Sequence
from time import monotonic
from typing import Final

import structlog

from api.ingest import checker
from broker.ed25519 import Claim, check

FEW: Final = 6
"""Fewer are checked here: asking costs as much as two."""
ANSWER_S: Final = 2.0
"""A hundred take 15 ms. Whoever needs so much longer is stopped, and has no more to say."""
AGAIN_S: Final = 60.0
"""After it failed, nobody else is asked for so long."""

log = structlog.get_logger("api.ingest")


class Checking:
    """Checks (`broker.ed25519.Check`). One caller at a time asks the process; whoever comes meanwhile checks alone.

    The process is started when it is needed first, and ends with us, whatever ends us: its input does.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._asking = threading.Lock()
        self._not_before = 0.0

    def __call__(self, claims: Sequence[Claim]) -> Sequence[bool]:
        """Whether each is true. Never fails: what the process does not answer is checked here."""
        if len(claims) < FEW or not checker.may_pack(claims) or not self._asking.acquire(blocking=False):
            return check(claims)
        try:
            answer = self._ask(checker.pack(claims), len(claims)) if monotonic() >= self._not_before else None
        except OSError as error:
            log.warning("ingest.checker_failed", error=str(error))
            answer = None
            self._give_up()
        finally:
            self._asking.release()
        return check(claims) if answer is None else [octet == 1 for octet in answer]

    def close(self) -> None:
        """End the process, if there is one."""
        with self._asking:
            if self._process is not None:
                self._end(self._process)
                self._process = None

    def _ask(self, asked: bytes, many: int) -> bytes:
        """Raises OSError when it is not answered."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", checker.__name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        os.set_blocking(into.fileno(), False)
        answer = b""
        rest = memoryview(asked)
        until = monotonic() + ANSWER_S
        with selectors.DefaultSelector() as selector:
            selector.register(into, selectors.EVENT_WRITE)
            selector.register(out, selectors.EVENT_READ)
            while len(answer) < many:
                ready = selector.select(until - monotonic())
                if not ready:
                    raise TimeoutError(f"no answer within {ANSWER_S:g} s")
                for key, _ in ready:
                    if key.fileobj is into:
                        rest = rest[os.write(into.fileno(), rest) :]
                        if not rest:
                            selector.unregister(into)
                    else:
                        came = os.read(out.fileno(), many - len(answer))
                        if not came:
                            raise BrokenPipeError("it has ended")
                        answer += came
        return answer

    def _give_up(self) -> None:
        self._not_before = monotonic() + AGAIN_S
        if self._process is not None:
            self._process.kill()
            self._end(self._process)
            self._process = None

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.wait()
