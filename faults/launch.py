"""Starts a program of ours as the `shouwang` command does, ready to be killed at a moment that the test chooses.

    python launch.py KILL_FILE MUTATION COMMAND ARGUMENT ...

As long as KILL_FILE is not there, nothing differs. When it is, each line of it is an interference
(`journal.append:before:2`), counted from the moment at which the file came to be. MUTATION is the name of a function
below, which breaks a promise of the product on purpose, or `none`.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from deploy import cli, interference


def interfere_when(kill_file: Path) -> None:
    """Have the file asked at every named point."""
    original = interference.wrapping
    made: dict[str, interference.Wrap] = {}

    def wrapping(interferences: tuple[interference.Interference, ...]) -> interference.Wrap:
        del interferences  # the file says it

        def wrap(name: str, call: Callable[..., Any], /) -> Callable[..., Any]:
            def interfered(*args: Any, **named: Any) -> Any:
                try:
                    text = kill_file.read_text()
                except (OSError, MemoryError):  # nobody wants anything, or there is nothing left to ask with
                    return call(*args, **named)
                if text not in made:
                    made[text] = original(tuple(interference.read(line) for line in text.splitlines()))
                return made[text](name, call)(*args, **named)

            return interfered

        return cast("interference.Wrap", wrap)

    interference.wrapping = wrapping


def neighbours_learn_of_duress() -> None:
    """One cell of the policy widened."""
    from broker import policy
    from broker.kinds import Kind

    row = {**policy.POLICY[Kind.DURESS], policy.Audience.NEIGHBOUR: ("door", "label")}
    vars(policy)["POLICY"] = {**policy.POLICY, Kind.DURESS: row}


def answer_before_the_commit() -> None:
    """The gateway tells the unit "kept" when it has heard, not when it has kept."""
    from gateway.lines import NativeLine
    from gateway.recorder import Batch, Recorder

    take, hear = NativeLine.take, Recorder.hear

    def take_and_answer(self: NativeLine, batch: Batch) -> None:
        self.answer(batch.told)
        take(self, batch)

    def hear_and_believe_it_kept(self: Recorder, line: str, readings: Any) -> Batch:
        batch = hear(self, line, readings)
        self._unkept.clear()  # so that repeats are answered as well: the first answer may be lost on the line
        return batch

    vars_of(NativeLine, take=take_and_answer)
    vars_of(Recorder, hear=hear_and_believe_it_kept)


def commits_are_not_synced() -> None:
    """The gateway's journal commits into the kernel's memory only."""
    from gateway.journal import Journal

    connect = Journal._connect

    def connect_carelessly(self: Journal) -> Any:
        db = connect(self)
        db.execute("PRAGMA synchronous=OFF")
        return db

    vars_of(Journal, _connect=connect_carelessly)


def receipt_before_the_commit() -> None:
    """The station acknowledges and receipts what it has not committed."""
    from api.ingest.service import Ingest

    write = Ingest._write

    def write_and_say(self: Ingest, session: Any, batch: Any) -> Any:
        outcome = write(self, session, batch)
        self._acknowledge([one.arrival for one in batch])
        self._say(outcome)
        return outcome

    vars_of(Ingest, _write=write_and_say)


def clock_is_kept_right() -> None:
    """The gateway takes its clock for one that something keeps right, on a machine where nothing does."""
    from gateway import stamps

    stamps.kernel_synced = lambda: True


def vars_of(owner: type, **replaced: Callable[..., Any]) -> None:
    """Put other functions in the place of methods."""
    for name, function in replaced.items():
        setattr(owner, name, function)


MUTATIONS: dict[str, Callable[[], None]] = {
    mutate.__name__: mutate
    for mutate in (
        neighbours_learn_of_duress,
        answer_before_the_commit,
        commits_are_not_synced,
        receipt_before_the_commit,
        clock_is_kept_right,
    )
}

if __name__ == "__main__":
    _, given_file, mutation, *arguments = sys.argv
    interfere_when(Path(given_file))
    if mutation != "none":
        MUTATIONS[mutation]()
    sys.argv = ["shouwang", *arguments]
    cli.main()
