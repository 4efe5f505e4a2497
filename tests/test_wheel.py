import subprocess
import sys
import tomllib
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [path] = folder.iterdir()
    with ZipFile(path) as archive:
        yield archive


def test_wheel_holds_every_committed_file_of_the_packages_and_no_other_folder(wheel: ZipFile) -> None:
    """Migrations, templates and py.typed travel with the code; tests and documents stay at home."""
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders: list[str] = packages["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    command = ["git", "-c", "safe.directory=*", "ls-files", *folders]
    committed = set(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines())
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {name for name in committed if (ROOT / name).exists()} <= packed
    assert {name.partition("/")[0] for name in packed} == set(folders)
    assert {"deploy/examples/village.toml", "deploy/examples/home.toml"} <= packed
    assert {f"{folder}/py.typed" for folder in folders} <= packed


def test_wheel_names_its_license_and_its_command(wheel: ZipFile) -> None:
    [about] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    [scripts] = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    assert HeaderParser().parsestr(wheel.read(about).decode())["License-Expression"] == "Apache-2.0"
    assert "shouwang = deploy.cli:main" in wheel.read(scripts).decode()
