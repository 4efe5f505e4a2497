"""How the Debian packages are made. What they do once installed: `make deb-test`, which needs root and minutes."""

import hashlib
import io
import shutil
import subprocess
import tarfile
from email.message import Message
from itertools import pairwise
from pathlib import Path
from zipfile import ZipFile

import pytest

from broker.acl import BrokerSettings, broker_file
from scripts import deb

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path for path in (ROOT / "packaging" / "deb").iterdir() if path.suffix == "")
EPOCH = 1_795_000_000


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    path = folder / name
    with ZipFile(path, "w") as archive:
        for place, content in files.items():
            archive.writestr(place, content)
    return path


def test_a_package_is_the_same_octets_whenever_and_wherever_it_is_made(tmp_path: Path) -> None:
    made = []
    for place in ("one", "another"):
        out = tmp_path / place
        out.mkdir()
        said = deb.board(out / "tree", version="0.1.0", epoch=EPOCH)
        made.append(deb.pack(said, out, epoch=EPOCH))
    assert made[0].name == "shouwang-board_0.1.0_all.deb"
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in made}) == 1
    listed = subprocess.run(["dpkg-deb", "--contents", made[0]], capture_output=True, text=True, check=True).stdout
    files = {line.split()[-1]: line.split()[:2] for line in listed.splitlines() if not line.startswith("d")}
    assert files == {
        f"./usr/{place}": ["-rw-r--r--", "root/root"]
        for place in (
            "lib/systemd/journald.conf.d/50-shouwang.conf",
            "lib/systemd/system.conf.d/50-shouwang.conf",
            "share/doc/shouwang-board/changelog.gz",
            "share/doc/shouwang-board/copyright",
            "share/lintian/overrides/shouwang-board",
        )
    }


@pytest.mark.skipif(shutil.which("lintian") is None, reason="LINTIAN WAS NOT ASKED: it is not installed")
def test_lintian_finds_nothing_for_which_no_reason_is_given(tmp_path: Path) -> None:
    """In the package that is made in no time; `make deb` asks it about the others."""
    said = deb.board(tmp_path / "tree", version="0.1.0", epoch=EPOCH)
    deb.judged(deb.pack(said, tmp_path, epoch=EPOCH))
    (tmp_path / "tree/usr/share/lintian/overrides/shouwang-board").unlink()
    with pytest.raises(deb.NotBuilt, match="bogus-mail-host"):
        deb.judged(deb.pack(said, tmp_path, epoch=EPOCH))


def test_every_reason_for_lintian_stands_beside_it() -> None:
    for path in (ROOT / "packaging" / "deb").glob("*.overrides"):
        before = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            assert line.startswith(("# ", f"{path.stem}: ")), line
            assert before or line.startswith("# ")
            before = line


def test_a_file_that_the_lock_does_not_name_is_refused(tmp_path: Path) -> None:
    good = wheel(tmp_path, "some_thing-1.0-py3-none-any.whl", {"thing.py": b"1"})
    digest = hashlib.sha256(good.read_bytes()).hexdigest()
    lock = deb.locked(
        f"some-thing==1.0 ; python_version > '3' \\\n    --hash=sha256:{digest} \\\n    --hash=sha256:{'0' * 64}\n"
    )
    deb.held_to(lock, [good])
    good.write_bytes(good.read_bytes() + b"x")
    with pytest.raises(deb.NotBuilt, match="some_thing"):
        deb.held_to(lock, [good])
    with pytest.raises(deb.NotBuilt, match="other"):
        deb.held_to(lock, [wheel(tmp_path, "other-1.0-py3-none-any.whl", {})])


def test_the_locks_name_digests_of_everything_that_is_packed() -> None:
    for name in ("run", "deb", "pi"):
        lock = deb.locked((ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8"))
        assert lock
        assert all(lock.values())
    run = deb.locked((ROOT / "requirements" / "run.txt").read_text(encoding="utf-8"))
    assert run.keys() >= deb.WITHOUT_WHEEL.keys()


def test_what_is_unpacked_lies_where_python_finds_it_and_nowhere_else(tmp_path: Path) -> None:
    site = tmp_path / "site"
    files = {"thing/__init__.py": b"1", "thing-1.0.dist-info/METADATA": b"", "thing-1.0.data/scripts/run": b"#!"}
    deb.unpack(wheel(tmp_path, "thing-1.0-py3-none-any.whl", files), site)
    source = tmp_path / "cobs-1.2.tar.gz"
    with tarfile.open(source, "w:gz") as archive:
        for name in (
            "PKG-INFO",
            "LICENSE.txt",
            "setup.py",
            "src/cobs/__init__.py",
            "src/ext/fast.c",
            "test/test_cobs.py",
        ):
            entry = tarfile.TarInfo(f"cobs-1.2/{name}")
            entry.size = 1
            archive.addfile(entry, io.BytesIO(b"x"))
    deb.unpack(source, site)
    assert {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()} == {
        "thing/__init__.py",
        "thing-1.0.dist-info/METADATA",
        "cobs/__init__.py",
        "cobs-1.2.dist-info/METADATA",
        "cobs-1.2.dist-info/licenses/LICENSE.txt",
    }
    for name in ("../out.py", "/out.py"):
        with pytest.raises(deb.NotBuilt, match="leads out"):
            deb.unpack(wheel(tmp_path, "bad-1.0-py3-none-any.whl", {name: b""}), site)


def test_a_work_without_a_licence_is_not_packed() -> None:
    about = Message()
    about["Name"] = "thing"
    with pytest.raises(deb.NotBuilt, match="licence"):
        deb.licence_of(about)
    about["Classifier"] = "License :: OSI Approved :: MIT License"
    assert deb.licence_of(about) == "MIT License"
    about["License-Expression"] = "MIT"
    assert deb.licence_of(about) == "MIT"


def test_versions_sort_as_they_were_made_and_a_release_is_the_last() -> None:
    def made(described: str, commit_s: int, *, changed: bool = False) -> str:
        return deb.version_of("0.1.0", described=described, changed=changed, commit_s=commit_s)

    in_order = [
        made("abcdef0", EPOCH) + "+deb12",
        made("v0.0.9-3-gabcdef1", EPOCH + 3_600) + "+deb12",
        made("v0.0.9-3-gabcdef1", EPOCH + 3_600) + "+deb13",
        made("v0.1.0-0-gabcdef2", EPOCH + 7_200) + "+deb12",
        "0.1.1",
    ]
    for earlier, later in pairwise(in_order):
        assert subprocess.run(["dpkg", "--compare-versions", earlier, "lt", later], check=False).returncode == 0
    assert in_order[3] == "0.1.0+deb12"
    assert made("v0.1.0-0-gabcdef2", EPOCH, changed=True).endswith(".abcdef2.changed")


def test_each_package_depends_on_the_python_for_which_it_was_made(tmp_path: Path) -> None:
    for target in deb.TARGETS:
        said = deb.control(target, tmp_path, version="0.1.0", epoch=EPOCH)
        assert isinstance(said["depends"], list)
        assert f"python{target.python}" in said["depends"]
        assert said["arch"] == target.architecture
    assert {target.name for target in deb.TARGETS} == {
        "bookworm-amd64", "bookworm-arm64", "trixie-amd64", "trixie-arm64"
    }  # fmt: skip


def test_scripts_are_ones_that_the_shell_reads_and_name_every_service() -> None:
    units = {path.stem for path in (ROOT / "packaging" / "systemd").glob("*.service")}
    assert [path.name for path in SCRIPTS] == ["postinst", "postrm", "prerm"]
    for path in SCRIPTS:
        subprocess.run(["sh", "-n", path], check=True)
        text = path.read_text(encoding="utf-8")
        assert "set -e" in text
        assert [unit for unit in units if unit not in text] == []
    assert "systemctl enable" not in (ROOT / "packaging" / "deb" / "postinst").read_text(encoding="utf-8")


def test_an_installed_mosquitto_is_told_what_a_box_tells_its_own() -> None:
    text = (ROOT / "packaging" / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8")
    ours = broker_file(BrokerSettings(directory="/etc/mosquitto/shouwang", port=1883))
    debians = ("persistence true", "persistence_location", "log_dest")  # in its own file; said twice it does not start
    wanted = [line for line in ours.splitlines() if not line.startswith(("#", *debians))]
    assert [line for line in text.splitlines() if not line.startswith("#")] == wanted
