"""Things that go wrong on purpose go wrong where they were asked to, and nowhere else."""

import os
import signal
import subprocess
import sys
import time

import pytest

from deploy.interference import Interference, NotInterference, read, wrapping


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("journal.append:before:3", Interference("journal.append", "before", 3)),
        ("ingest.commit:after:1", Interference("ingest.commit", "after", 1)),
        ("journal.append:delay:20", Interference("journal.append", "delay", 20)),
        ("ingest.receipt:mute:2", Interference("ingest.receipt", "mute", 2)),
        ("link.write.a:b:before:3", Interference("link.write.a:b", "before", 3)),
    ],
)
def test_a_wish_is_read(text: str, meant: Interference) -> None:
    assert read(text) == meant


@pytest.mark.parametrize(
    "text", ["", "x", "x:before", "before:3", ":before:3", "x:never:3", "x:before:-1", "x:before:"]
)
def test_what_is_no_wish_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(NotInterference, match=r"journal\.append:before:3") as refused:
        read(text)
    assert refused.value.text == text


def add(a: int, b: int) -> int:
    return a + b


def test_a_point_that_nobody_named_is_left_as_it_is() -> None:
    wrap = wrapping((Interference("other", "before", 1),))
    assert wrap("journal.append", add) is add


def test_mute_does_nothing_from_the_nth_time_on() -> None:
    muted = wrapping((Interference("point", "mute", 3),))("point", add)
    assert [muted(1, 2), muted(1, b=3), muted(1, 4), muted(1, 5)] == [3, 4, None, None]


def test_calls_are_counted_over_all_that_stands_at_a_point() -> None:
    """The journal wraps its append anew for each commit; the third commit is still the third."""
    wrap = wrapping((Interference("point", "mute", 2),))
    assert [wrap("point", add)(1, 2), wrap("point", add)(1, 2)] == [3, None]


def test_delay_waits_before_each_call() -> None:
    slow = wrapping((Interference("point", "delay", 20),))("point", add)
    began = time.monotonic()
    assert [slow(1, 2), slow(2, 2)] == [3, 4]
    assert time.monotonic() - began >= 0.04


@pytest.mark.parametrize(("manner", "done"), [("before", "12"), ("after", "123")])
def test_a_process_is_killed_at_the_third_call(manner: str, done: str) -> None:
    program = (
        "import sys\n"
        "from deploy.interference import read, wrapping\n"
        "def step(n): sys.stdout.write(str(n)); sys.stdout.flush()\n"
        f"step = wrapping((read('point:{manner}:3'),))('point', step)\n"
        "for n in range(1, 6): step(n)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=False, env={**os.environ}, timeout=60
    )
    assert ran.returncode == -signal.SIGKILL
    assert ran.stdout == done
