"""Keys of units: given at the desk or with the settings, kept sealed, and told to nobody but the unit's gateway."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

import structlog
from sqlmodel import Session

from api.database import Database
from api.register import repository
from api.sealing import SealBroken, Sealer
from api.settings import StationSettings

PURPOSE: Final = "unit keys"

log = structlog.get_logger("api.unit_keys")


class UnitKeys:
    """The keys of this station's units. Whoever has put one down cannot read it again."""

    def __init__(self, settings: StationSettings) -> None:
        self._station = settings.station
        self._stated: Mapping[str, str] = {str(unit): key for unit, key in settings.unit_keys.items()}
        self._marks = {unit: sha256(f"{PURPOSE} {key}".encode()).hexdigest() for unit, key in self._stated.items()}
        self._sealer = Sealer.of(settings.signing, PURPOSE)

    def begin(self, database: Database) -> None:
        """Seal anew what a former signing key of the station sealed."""
        with database.read() as session:
            old = self._old(session)
        if old:
            with database.write() as session:
                for unit, sealed in self._old(session).items():
                    again = self.seal(unit, self._sealer.open(sealed, about=unit))
                    keys = {"station": self._station, "unit": unit}
                    repository.change_where(session, "unit_key", keys, {"sealed": again})

    def _old(self, session: Session) -> dict[str, str]:
        rows = repository.unit_keys(session, self._station)
        return {unit: sealed for unit, sealed in rows.items() if self._sealer.is_old(sealed, about=unit)}

    def seal(self, unit: str, key: str) -> str:
        """A key (hexadecimal), as a row may keep it."""
        return self._sealer.seal(key, about=unit)

    def marks(self, session: Session) -> Mapping[str, str]:
        """For each unit that has a key a text that changes with it, and gives nothing of it away."""
        return self._marks | repository.unit_keys(session, self._station)

    def of(self, session: Session, units: Iterable[str]) -> dict[str, bytes]:
        """The keys of these units, of those that have one."""
        sealed = repository.unit_keys(session, self._station)
        found: dict[str, bytes] = {}
        for unit in units:
            key = self._stated.get(unit)
            if unit in sealed:
                try:
                    key = self._sealer.open(sealed[unit], about=unit)
                except SealBroken:  # the station has another signing key now: the gateway goes on with what it has
                    log.warning("unit_keys.broken", unit=unit)
            if key is not None:
                found[unit] = bytes.fromhex(key)
        return found
