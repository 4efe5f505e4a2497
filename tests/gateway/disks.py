"""Small disks of their own, for what happens when one is full or takes nothing. Needs root."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path


class SmallDisk:
    """A file system in memory, mounted on `folder`."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        self.trouble = ""
        folder.mkdir()
        mount = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if mount.returncode:
            self.trouble = mount.stderr.decode(errors="replace").strip()

    def fill(self) -> Path:
        """Fill it to the last byte; return the file that did."""
        filler = self.folder / "filler"
        with filler.open("wb") as file, suppress(OSError):
            while os.write(file.fileno(), b"x" * 4_096):
                pass
        return filler

    def remount(self, how: str) -> None:
        """`ro` or `rw`."""
        subprocess.check_call(["mount", "-o", f"remount,{how}", str(self.folder)])

    def close(self) -> None:
        subprocess.check_call(["umount", "--lazy", str(self.folder)])
