"""Whom the station believes: the gateways that the register has at this moment."""

from collections.abc import Iterable, Mapping

from api.register.service import Register
from broker.ed25519 import Check, check
from broker.messages import Body
from broker.signing import EnvelopeError, Message, Verifier


class Believing(Verifier):
    """A verifier for whom a gateway that is added or revoked counts from the next message on. Any thread may ask."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._of = register.gateway_keys
        super().__init__(register.station, _octets(self._of))

    def open_all(self, messages: Iterable[Message], check: Check = check) -> list[Body | EnvelopeError]:
        """As `Verifier.open_all`, which `open` asks, too."""
        keys = self._register.gateway_keys
        if keys is not self._of:
            self.believe(_octets(keys))
            self._of = keys
        return super().open_all(messages, check)


def _octets(keys: Mapping[str, str]) -> dict[str, bytes]:
    return {kid: bytes.fromhex(key) for kid, key in keys.items()}
