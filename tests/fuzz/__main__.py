"""`make fuzz`: each target under atheris (libFuzzer), from the corpus that is kept, which it renews.

A target stops at its first finding; the input goes into the corpus, and from then on every run of the tests tries it.
Each target has a process of its own, since libFuzzer ends the one that it runs in. Prints what it did, a line a target.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from tests.fuzz import corpora

STATISTIC = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
LONGEST = 2_048
INSTRUMENTED = ("api", "broker", "deploy", "devices")
ONE_INPUT_S = 120
"""An input that takes longer is a finding too, on a machine that does nothing else."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help="by name; all of them when none is named")
    parser.add_argument("--seconds", type=int, default=600, help="for each target (600)")
    options = parser.parse_args()
    wrong = [name for name in options.targets or _names() if not _try(name, options.seconds)]
    if wrong:
        print(f"findings in: {', '.join(wrong)}; each input is in the corpus now", file=sys.stderr)
    return 1 if wrong else 0


def _names() -> Iterator[str]:
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - the processes of targets import it instrumented

    yield from TARGETS


def _try(name: str, seconds: int) -> bool:
    """Fuzz one target for so long; keep what reaches anything. Whether nothing was found."""
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as folder:
        found, before, merged = (Path(folder, part) for part in ("found", "before", "merged"))
        for one in (found, before, merged):
            one.mkdir()
        program = Path(folder, name)
        program.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -m tests.fuzz --run {name} "$0" "$@"\n', encoding="utf-8"
        )
        program.chmod(0o700)
        for number, content in enumerate(corpora.kept(name)):
            (before / f"{number:05}").write_bytes(content)
        begun = monotonic()
        said = _libfuzzer(program, found, before, f"-max_total_time={seconds}", f"-artifact_prefix={folder}/bad-")
        took_s = monotonic() - begun
        findings = [*Path(folder).glob("bad-*")]
        _libfuzzer(program, merged, before, found, "-merge=1", f"-artifact_prefix={folder}/late-")
        runs = STATISTIC.search(said.stderr)
        count = corpora.keep(
            name, [path.read_bytes() for path in merged.iterdir()] + [path.read_bytes() for path in findings]
        )
        print(
            f"{name}: {runs[1] if runs else '?'} inputs in {took_s:.0f} s, {count} kept, {len(findings)} findings",
            flush=True,
        )
        if findings or said.returncode:
            print(*(path.name for path in findings), file=sys.stderr)
            print(said.stderr[-6_000:], file=sys.stderr)
    return not findings and not said.returncode


def _libfuzzer(program: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    """Run it; to merge, libFuzzer starts its own program again, which must be one file."""
    flags = ["-print_final_stats=1", f"-timeout={ONE_INPUT_S}", f"-max_len={LONGEST}", "-rss_limit_mb=2048"]
    return subprocess.run(
        [program, *map(str, words), *flags], check=False, capture_output=True, text=True, errors="replace"
    )


def _fuzz(name: str, program: str, *words: str) -> None:
    import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415 - of `make fuzz` alone

    with atheris.instrument_imports(include=list(INSTRUMENTED), enable_loader_override=False):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - as above
    atheris.Setup([program, *words], TARGETS[name])
    atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        _fuzz(*sys.argv[2:])
    sys.exit(main())
