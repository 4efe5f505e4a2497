"""A disk that can lose its power: an ext4 file system in a file, and the ioctl with which xfstests cuts it off.

With the flag "no log flush" everything is gone that was not synced, as after a power cut; killing a process shows
nothing of that, since the kernel still has its pages.
"""

import errno
import fcntl
import os
import shutil
import struct
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

FS_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
IMAGE_BYTES = 48 << 20
MENDED = 1
"""What e2fsck ends with when it had to mend something."""
SMALL_BYTES = 2 << 20
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


class NoSuchDisk(Exception):
    """This machine cannot have one; the message says why."""


class CuttableDisk:
    """An ext4 image, mounted. A context manager."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "disk.img"
        self.mountpoint = folder / "disk"

    def __enter__(self) -> Self:
        """Make and mount it. Raises NoSuchDisk."""
        if os.geteuid() != 0:
            raise NoSuchDisk("cutting power needs root (a loop mount and an ioctl)")
        if shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:{SBIN}") is None:
            raise NoSuchDisk("mkfs.ext4 is not installed: apt-get install e2fsprogs")
        with self.image.open("wb") as file:
            file.truncate(IMAGE_BYTES)
        self.mountpoint.mkdir()
        _run("mkfs.ext4", "-q", "-F", str(self.image))
        self._mount()
        try:
            self.cut()
            self.restore()
        except OSError as error:
            self.__exit__(None, None, None)
            raise NoSuchDisk(f"this kernel does not cut ext4 off: {error}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(NoSuchDisk):
            _run("umount", str(self.mountpoint))

    def cut(self) -> None:
        """Cut the power: from now on every write fails, and what was not synced never was."""
        descriptor = os.open(self.mountpoint, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, FS_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def fail(self) -> None:
        """Let the file system find an error: from now on it is read-only, as a worn card becomes."""
        _run("mount", "-o", "remount,abort", str(self.mountpoint))

    def restore(self, *, checked: bool = False) -> None:
        """The power is back: mount what the disk really has. Nobody may have it in use.

        `checked`: look it through first, as a box does when it starts. Without it, a file system that once found an
        error gathers more of them.
        """
        _run("umount", str(self.mountpoint))
        if checked:
            _run("e2fsck", "-p", str(self.image), fine=MENDED)
        self._mount()

    def _mount(self) -> None:
        _run("mount", "-o", "loop", str(self.image), str(self.mountpoint))


class SmallDisk:
    """A disk in memory that is soon full. A context manager."""

    def __init__(self, mountpoint: Path) -> None:
        self.mountpoint = mountpoint

    def __enter__(self) -> Self:
        """Make and mount it. Raises NoSuchDisk."""
        if os.geteuid() != 0:
            raise NoSuchDisk("filling up a disk needs root (a mount)")
        self.mountpoint.mkdir()
        _run("mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "small", str(self.mountpoint))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(NoSuchDisk):
            _run("umount", str(self.mountpoint))


def fill(folder: Path) -> Path:
    """Take all the room that there is; return the file that has it."""
    filled = folder / "filled"
    with filled.open("wb", buffering=0) as file:
        for step in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(step))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return filled


def _run(*command: str, fine: int = 0) -> None:
    path = f"{os.environ.get('PATH', '')}:{SBIN}"
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    if done.returncode > fine:
        raise NoSuchDisk(f"{' '.join(command)}: {done.stderr.strip()}")
