"""`shouwang code`: the QR code that a screen at a checkpoint shows, written anew into a file in every window.

A program of its own beside the gateway: drawing pictures keeps no press waiting, and the key of a checkpoint is in one
file for one screen. A code made by a wrong clock would be refused and look like fraud, so without a clock that is kept
right the picture says that in words instead.

BadScreenKey                .path .why: the file is not what the station answered, or others can read it
"""

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import Final

import segno
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from broker import qr
from broker.ids import SEGMENT

LOOK_S: Final = 1.0
"""How often it is looked whether another code is due: a clock may be set meanwhile."""
NO_CLOCK: Final = "此屏时钟未校准, 暂无巡查码。The clock of this screen is not set: no code."
SCALE: Final = 12
MOST_OCTETS: Final = 4_096


class BadScreenKey(Exception):
    """A key file that cannot be used. Fields: `path`, `why`."""

    def __init__(self, path: Path, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"{path}: {why}")


class Form(StrEnum):
    """What is written, by the ending of the file's name."""

    SVG = ".svg"
    PNG = ".png"
    TEXT = ".txt"


class _File(BaseModel):
    """What `POST /api/v1/checkpoints/{point}/code/screen` answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    point: str = Field(pattern=SEGMENT)
    version: int = Field(ge=1, le=9_999)
    key: str = Field(pattern=r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen at a checkpoint, with the key of its present version."""

    point: str
    version: int
    key: bytes

    def shows(self, at_s: int, *, synced: bool) -> str:
        """The text of the code at a moment (Unix s)."""
        return qr.rotating(self.point, self.version, key=self.key, at_s=at_s) if synced else NO_CLOCK


def read_key(path: Path) -> Screen:
    """Read a key file. Raises BadScreenKey."""
    try:
        if path.stat().st_mode & 0o077:
            raise BadScreenKey(path, "others can read it: chmod 600")
        text = path.read_bytes()[:MOST_OCTETS]
        found = _File.model_validate_json(text)
    except OSError as error:
        raise BadScreenKey(path, error.strerror or "cannot be read") from None
    except ValidationError:
        raise BadScreenKey(path, "not what the station answers to .../code/screen") from None
    return Screen(found.point, found.version, bytes.fromhex(found.key))


def form_of(path: Path) -> Form | None:
    """What to write into a file of this name; None: no form that there is."""
    return next((form for form in Form if re.search(re.escape(form) + "$", path.name, re.IGNORECASE)), None)


def picture(text: str, form: Form) -> bytes:
    """A text as a QR code that can be scanned from a screen."""
    if form is Form.TEXT:
        return (text + "\n").encode()
    drawn = BytesIO()
    segno.make(text, error="m", micro=False).save(drawn, kind=form.removeprefix("."), scale=SCALE)
    return drawn.getvalue()


def put(path: Path, data: bytes) -> None:
    """Put a whole file in the place of the one before: a screen that reads meanwhile sees one or the other."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(data)
    os.replace(fresh, path)  # noqa: PTH105 - beside os.fsync elsewhere
