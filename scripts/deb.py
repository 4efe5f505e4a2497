"""Packages for Debian and Raspberry Pi OS: `make deb` (docs/operations.md#the-package).

A package holds everything in Python that Shouwang needs, as a virtual environment on the distribution's own Python,
because that environment is what `pip install` gives a developer and what the tests run in. Every file of others is held
to the hashes of requirements/*.txt before it is unpacked. Same tree in, same octets out: times come from the commit
(or SOURCE_DATE_EPOCH), order and owners from nowhere.

Exit code 1 with one sentence when something cannot be had or is not what the lock says.
"""

import argparse
import email.utils
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from typing import Final
from zipfile import ZipFile

ROOT: Final = Path(__file__).resolve().parents[1]
OUT: Final = ROOT / "build" / "deb"
PREFIX: Final = PurePosixPath("usr/lib/shouwang")
PLATFORMS: Final = {"amd64": "x86_64", "arm64": "aarch64"}
GLIBC_NEWEST: Final = 36
"""Debian 12 has glibc 2.36: a wheel for a later one would not load there."""
WITHOUT_WHEEL: Final = {"cobs": "src/cobs", "http-ece": "http_ece"}
"""These have no wheel for anything: the folder of their Python in their source. cobs does without its C by itself."""
OURS: Final = frozenset({"shouwang"})


class NotBuilt(Exception):
    """Why there is no package."""


@dataclass(frozen=True, slots=True)
class Target:
    """One distribution on one processor."""

    distribution: str
    release: str
    """Ends the version, so that the package of a later distribution is the later one."""
    python: str
    architecture: str

    @property
    def name(self) -> str:
        """As folders are called."""
        return f"{self.distribution}-{self.architecture}"

    @property
    def extension(self) -> str:
        """How the distribution's Python names a module in C."""
        return f"cpython-{self.python.replace('.', '')}-{PLATFORMS[self.architecture]}-linux-gnu.so"


RELEASES: Final = {"bookworm": ("deb12", "3.11"), "trixie": ("deb13", "3.13")}
TARGETS: Final = tuple(
    Target(name, release, python, architecture)
    for name, (release, python) in RELEASES.items()
    for architecture in PLATFORMS
)


@dataclass(frozen=True, slots=True)
class Part:
    """A distribution of others inside the package."""

    name: str
    version: str
    licence: str


# What the lock says


def locked(text: str) -> dict[str, frozenset[str]]:
    """The SHA-256 digests of every file of every requirement, by its name in a lock."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in text.splitlines():
        if begins := re.match(r"([A-Za-z0-9._-]+)(\[[^]]*\])?==", line):
            name = canonical(begins[1])
            found[name] = set()
        if name:
            found[name].update(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return {one: frozenset(digests) for one, digests in found.items()}


def canonical(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def held_to(lock: Mapping[str, frozenset[str]], files: Iterable[Path]) -> None:
    """Raise NotBuilt unless each file is one that the lock knows under its name."""
    for path in files:
        name = canonical(re.split(r"-\d", path.name, maxsplit=1)[0])
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest not in lock.get(name, frozenset()):
            raise NotBuilt(f"{path.name} is not the file that requirements/ names ({digest})")


# What others made


def fetch(target: Target, folder: Path) -> list[Path]:
    """Every file of others for this target, held to the locks. Asks the index only for what is not in `folder` yet."""
    folder.mkdir(parents=True, exist_ok=True)
    locks = {"run.txt": (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8")}
    if target.python == "3.11":  # no later Python has a wheel of lgpio
        locks["pi.txt"] = (ROOT / "requirements" / "pi.txt").read_text(encoding="utf-8")
    stamp = folder / "of"
    of = hashlib.sha256("".join(locks.values()).encode()).hexdigest()
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != of:
        shutil.rmtree(folder)
        folder.mkdir(parents=True)
        for text in locks.values():
            _download(target, text, folder)
        stamp.write_text(of, encoding="utf-8")
    files = sorted(path for path in folder.iterdir() if path != stamp)
    held_to({name: digests for text in locks.values() for name, digests in locked(text).items()}, files)
    return files


def _download(target: Target, lock: str, folder: Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--require-hashes",
        "--dest",
        str(folder),
    ]
    blocks = [block for block in re.split(r"\n(?=[A-Za-z0-9])", lock) if re.match("[A-Za-z0-9]", block)]
    sources = [block for block in blocks if canonical(block.partition("==")[0]) in WITHOUT_WHEEL]
    tag = target.python.replace(".", "")
    foreign = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", tag]
    for abi in (f"cp{tag}", "abi3", "none"):
        foreign += ["--abi", abi]
    platform = PLATFORMS[target.architecture]
    for glibc in range(5, GLIBC_NEWEST + 1):
        foreign += ["--platform", f"manylinux_2_{glibc}_{platform}"]
    for legacy in ("manylinux2014", "manylinux2010", "manylinux1"):
        foreign += ["--platform", f"{legacy}_{platform}"]
    for wanted, options in (
        ([block for block in blocks if block not in sources], foreign),
        (sources, ["--no-binary", ":all:", "--no-build-isolation"]),
    ):
        if not wanted:
            continue
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.write("\n".join(wanted))
            file.flush()
            command = [*pip, *options, "--requirement", file.name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise NotBuilt(f"{target.name}: {said[-1] if said else done.stderr[-300:]}")


def unpack(path: Path, site: Path) -> None:
    """Put a wheel, or the Python of a source, where Python finds it. Its commands and data files are left out."""
    if path.suffix == ".whl":
        with ZipFile(path) as wheel:
            for name in wheel.namelist():
                place = PurePosixPath(name)
                if name.endswith("/") or place.parts[0].endswith(".data"):
                    continue
                _put(site, place, wheel.read(name))
        return
    about = re.sub(r"\.tar\.gz$", "", path.name)
    package = PurePosixPath(WITHOUT_WHEEL[canonical(re.split(r"-\d", about, maxsplit=1)[0])])
    into = {"PKG-INFO": f"{about}.dist-info/METADATA", "LICENSE.txt": f"{about}.dist-info/licenses/LICENSE.txt"}
    with tarfile.open(path) as source:
        for member in source.getmembers():
            place = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            if place.suffix == ".py" and place.is_relative_to(package):
                place = place.relative_to(package.parent)
            elif str(place) in into:
                place = PurePosixPath(into[str(place)])
            else:
                continue
            file = source.extractfile(member)
            assert file is not None
            _put(site, place, file.read())


def _put(folder: Path, place: PurePosixPath, content: bytes) -> None:
    if place.is_absolute() or ".." in place.parts:
        raise NotBuilt(f"{place} leads out of the package")
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def parts(site: Path) -> Iterator[Part]:
    """Who else is inside, and on which terms. Raises NotBuilt where somebody does not say."""
    for metadata in sorted(site.glob("*.dist-info/METADATA")):
        about = HeaderParser().parsestr(metadata.read_text(encoding="utf-8"))
        if canonical(about["Name"]) in OURS:
            continue
        yield Part(about["Name"], about["Version"], licence_of(about))


def licence_of(about: Message) -> str:
    """As a distribution says it itself: expression, classifiers, or the first line of its free text."""
    if expression := about.get("License-Expression"):
        return str(expression)
    said = [one.rpartition(" :: ")[2] for one in about.get_all("Classifier", []) if one.startswith("License :: ")]
    said = [one for one in said if one != "OSI Approved"]
    if said:
        return ", ".join(said)
    free = str(about.get("License", "")).strip().splitlines()
    if not free or free[0] == "UNKNOWN":
        raise NotBuilt(f"{about['Name']} does not say its licence")
    return free[0]


# What we made


def our_wheel(folder: Path, epoch: int) -> Path:
    """Build it from this tree; what pages load of others has to lie there already."""
    vendor = ROOT / "api" / "console" / "static" / "vendor"
    if not (vendor / "htmx.min.js").is_file():
        raise NotBuilt("what the pages load is not there; scripts/setup gets it")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    env = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=env)
    if done.returncode != 0:
        raise NotBuilt(done.stderr.strip()[-300:])
    [path] = folder.glob("*.whl")
    return path


def _git(*arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def epoch_of_tree() -> int:
    """Seconds since 1970: SOURCE_DATE_EPOCH, or when the commit was made."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given) if given else int(_git("log", "-1", "--format=%ct"))


def version_of(project: str, *, described: str, changed: bool, commit_s: int) -> str:
    """A release is `0.1.0`; what comes before it sorts before it and says of which commit it is.

    `described` is what `git describe --long --always` says: `v0.1.0-3-gabcdef0`, or `abcdef0` where nothing is tagged.
    """
    if described.startswith(f"v{project}-0-g") and not changed:
        return project
    when = datetime.fromtimestamp(commit_s, UTC)
    return f"{project}~{when:%Y%m%d%H%M}.{described.rpartition('-g')[2]}{'.changed' if changed else ''}"


def version_of_tree() -> str:
    """Of the commit; a tree with changes of its own says so."""
    return version_of(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"],
        described=_git("describe", "--long", "--always", "--match", "v*"),
        changed=bool(_git("status", "--porcelain")),
        commit_s=int(_git("log", "-1", "--format=%ct")),
    )


# The package

PYVENV: Final = """\
home = /usr/bin
include-system-site-packages = false
version = {python}
"""
COMMAND: Final = """\
#!/usr/lib/shouwang/bin/python3
import sys

from deploy.cli import main

if __name__ == "__main__":
    sys.exit(main())
"""
MAINTAINER: Final = "Shouwang <shouwang@localhost>"
LICENCE: Final = """\
Copyright 2026 the authors of Shouwang

Shouwang is licensed under the Apache License 2.0, which stands in /usr/share/common-licenses/Apache-2.0.
"""
MINE: Final = (
    LICENCE
    + """
It is packed together with these works of others. The text of each licence lies beside the work, in
/usr/lib/shouwang/lib/python{python}/site-packages/NAME-VERSION.dist-info, and for what pages load in
/usr/lib/shouwang/lib/python{python}/site-packages/api/console/static/vendor.

"""
)


def stage(target: Target, folder: Path, wheel: Path, *, version: str, epoch: int) -> list[Part]:
    """Lay out the whole tree of a package under `folder`; return who else is inside."""
    site = folder / PREFIX / "lib" / f"python{target.python}" / "site-packages"
    for path in fetch(target, OUT / "wheels" / target.name):
        unpack(path, site)
    unpack(wheel, site)
    if target.python != "3.11":  # Raspberry Pi OS packs it, where it is installed; otherwise there is no such module
        packed = PurePosixPath("../../../../python3/dist-packages")
        for name in ("lgpio.py", f"_lgpio.{target.extension}"):
            (site / name).symlink_to(packed / name)
    inside = list(parts(site))
    pages = [f"{one.stem} (what pages load)" for one in sorted(site.glob("api/console/static/vendor/*.LICENSE"))]
    others = [*(f"{part.name} {part.version}: {part.licence}" for part in inside), *pages, ""]
    text = {
        f"{PREFIX}/pyvenv.cfg": PYVENV.format(python=target.python),
        f"{PREFIX}/bin/shouwang": COMMAND,
        "usr/share/doc/shouwang/copyright": MINE.format(python=target.python) + "\n".join(others),
    }
    for place, content in text.items():
        _put(folder, PurePosixPath(place), content.encode())
    (folder / PREFIX / "bin" / "python3").symlink_to(f"../../../bin/python{target.python}")
    (folder / "usr" / "bin").mkdir(parents=True)
    (folder / "usr" / "bin" / "shouwang").symlink_to("../lib/shouwang/bin/shouwang")
    for source, into in (
        ("packaging/systemd/*.service", "usr/lib/systemd/system"),
        ("packaging/sysusers.d/*.conf", "usr/lib/sysusers.d"),
        ("packaging/tmpfiles.d/*.conf", "usr/lib/tmpfiles.d"),
        ("packaging/udev/*.rules", "usr/lib/udev/rules.d"),
        ("packaging/deb/station.env", "etc/shouwang"),
        ("packaging/monitoring/*", "usr/share/shouwang/monitoring"),
        ("docs/*.md", "usr/share/doc/shouwang"),
        ("examples/*.toml", "usr/share/doc/shouwang/examples"),
        ("packaging/mosquitto/*.conf", "usr/share/doc/shouwang/examples"),
    ):
        for path in sorted(ROOT.glob(source)):
            _put(folder, PurePosixPath(into) / path.name, path.read_bytes())
    for source, to in (
        ("CHANGELOG.md", "doc/shouwang/CHANGELOG.md"),
        ("packaging/deb/shouwang.1", "man/man1/shouwang.1"),
    ):
        _put(folder, PurePosixPath(f"usr/share/{to}.gz"), gzip.compress((ROOT / source).read_bytes(), mtime=0))
    _debians(folder, "shouwang", version=version, epoch=epoch)
    settle(folder, epoch)
    (folder / "etc" / "shouwang" / "station.env").chmod(0o600)
    (folder / PREFIX / "bin" / "shouwang").chmod(0o755)
    return inside


def _debians(folder: Path, name: str, *, version: str, epoch: int) -> None:
    """What Debian's policy wants of each package beside what it is for, and where ours is of another mind."""
    when = email.utils.format_datetime(datetime.fromtimestamp(epoch, UTC))
    entry = f"{name} ({version}) unstable; urgency=medium\n\n  * See /usr/share/doc/shouwang/CHANGELOG.md.gz.\n\n"
    entry += f" -- {MAINTAINER}  {when}\n"
    about = PurePosixPath("usr/share/doc") / name
    _put(folder, about / "changelog.gz", gzip.compress(entry.encode(), mtime=0))
    if not (folder / about / "copyright").exists():
        _put(folder, about / "copyright", LICENCE.encode())
    said = (ROOT / "packaging" / "deb" / f"{name}.overrides").read_bytes()
    _put(folder, PurePosixPath("usr/share/lintian/overrides") / name, said)


def settle(folder: Path, epoch: int) -> None:
    """Give everything below the rights and the time that everybody's has."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def control(target: Target, folder: Path, *, version: str, epoch: int) -> dict[str, object]:
    """What nfpm makes a package of."""
    minor = int(target.python.rpartition(".")[2])
    return {
        "name": "shouwang",
        "arch": target.architecture,
        "platform": "linux",
        "version": f"{version}+{target.release}",
        "version_schema": "none",
        "section": "net",
        "priority": "optional",
        "maintainer": MAINTAINER,
        "license": "Apache-2.0",
        "description": "neighbourhood alarm and patrol (守望)\n"
        "The gateway that hears one-key units and tells the neighbours, the station of\n"
        "the police, and a simulated village to try both with.",
        "mtime": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "umask": 0o022,
        "depends": [
            f"python3 (>= {target.python})",
            f"python3 (<< 3.{minor + 1})",
            f"python{target.python}",
            f"libc6 (>= 2.{GLIBC_NEWEST})",
            "libgcc-s1",
            "zlib1g",
            "mosquitto",
            "mosquitto-clients",
            "systemd (>= 252)",
        ],
        "recommends": ["udev", "systemd-timesyncd | time-daemon"] + (["python3-lgpio"] if minor > 11 else []),
        "suggests": ["shouwang-board", "postgresql", "prometheus"],
        "scripts": {
            "postinstall": str(ROOT / "packaging" / "deb" / "postinst"),
            "preremove": str(ROOT / "packaging" / "deb" / "prerm"),
            "postremove": str(ROOT / "packaging" / "deb" / "postrm"),
        },
        "contents": [{"src": f"{folder / top}", "dst": f"/{top}", "type": "tree"} for top in ("usr",)]
        + [
            {
                "src": str(folder / "etc/shouwang/station.env"),
                "dst": "/etc/shouwang/station.env",
                "type": "config|noreplace",
                "file_info": {"mode": 0o600},
            },
        ],
        "deb": {"compression": "xz"},
    }


def board(folder: Path, *, version: str, epoch: int) -> dict[str, object]:
    """What a board on a wall wants and a server must not have: logs in memory, and a watchdog that resets it."""
    for name, into in (("watchdog.conf", "system.conf.d"), ("journald.conf", "journald.conf.d")):
        content = (ROOT / "packaging" / "conf" / name).read_bytes()
        _put(folder, PurePosixPath("usr/lib/systemd") / into / "50-shouwang.conf", content)
    _debians(folder, "shouwang-board", version=version, epoch=epoch)
    settle(folder, epoch)
    return {
        "name": "shouwang-board",
        "arch": "all",
        "platform": "linux",
        "version": version,
        "version_schema": "none",
        "section": "net",
        "priority": "optional",
        "maintainer": MAINTAINER,
        "license": "Apache-2.0",
        "description": "settings of a board that runs a Shouwang gateway\n"
        "Logs stay in memory, and the board's own watchdog starts it anew.\n"
        "Not for servers.",
        "mtime": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "umask": 0o022,
        "depends": ["shouwang", "systemd (>= 252)"],
        "contents": [{"src": str(folder / "usr"), "dst": "/usr", "type": "tree"}],
        "deb": {"compression": "xz"},
    }


def pack(said: Mapping[str, object], out: Path, *, epoch: int) -> Path:
    """Let nfpm make it. Its name is that of the package, its version and its architecture."""
    path = out / f"{said['name']}_{said['version']}_{said['arch']}.deb"
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        json.dump(dict(said), file, ensure_ascii=False)  # which is YAML as well
        file.flush()
        nfpm = shutil.which("nfpm") or str(Path(sys.executable).parent / "nfpm")
        command = [nfpm, "package", "--config", file.name, "--packager", "deb", "--target", str(path)]
        try:
            env = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        except FileNotFoundError:
            raise NotBuilt("nfpm is not there; `scripts/setup deb` installs it") from None
    if done.returncode != 0:
        raise NotBuilt(f"nfpm: {(done.stderr or done.stdout).strip()[-300:]}")
    return path


def build(targets: Iterable[Target], out: Path) -> Iterator[Path]:
    """Make the packages one after the other, each with a list of what is in it beside it."""
    epoch, version = epoch_of_tree(), version_of_tree()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shouwang-deb-") as temporary:
        wheel = our_wheel(Path(temporary) / "wheel", epoch)
        for target in targets:
            folder = Path(temporary) / target.name
            inside = stage(target, folder, wheel, version=f"{version}+{target.release}", epoch=epoch)
            path = pack(control(target, folder, version=version, epoch=epoch), out, epoch=epoch)
            files = sorted(one.relative_to(folder) for one in folder.rglob("*") if not one.is_dir())
            listed = [f"{part.name} {part.version}: {part.licence}" for part in inside]
            path.with_suffix(".contents").write_text("\n".join([*listed, "", *map(str, files), ""]), encoding="utf-8")
            shutil.rmtree(folder)
            yield path
        yield pack(board(Path(temporary) / "board", version=version, epoch=epoch), out, epoch=epoch)


def judged(path: Path) -> None:
    """Let lintian look at a package. Raises NotBuilt with whatever packaging/deb/*.overrides gives no reason for."""
    command = ["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotBuilt(f"lintian: {(done.stdout or done.stderr).strip()}")


def main() -> int:
    """Build what was asked for, and say how large it is."""
    asks = argparse.ArgumentParser(prog="make deb", description="Packages for Debian and Raspberry Pi OS.")
    asks.add_argument("--only", action="append", choices=[target.name for target in TARGETS], help="all, if not given")
    asks.add_argument("--out", type=Path, default=OUT, help="default: build/deb")
    asked = asks.parse_args()
    judge = shutil.which("lintian") is not None
    if not judge:
        print("deb: lintian is not installed and looked at nothing (apt-get install lintian)", file=sys.stderr)
    try:
        for path in build([one for one in TARGETS if not asked.only or one.name in asked.only], asked.out):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            print(f"{path}  {path.stat().st_size / 1e6:.1f} MB  sha256 {digest}", flush=True)
            if judge:
                judged(path)
    except NotBuilt as error:
        print(f"deb: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
