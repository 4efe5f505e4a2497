"""Buttons that Zigbee2MQTT knows: its state messages in, readings out.

Source: zigbee2mqtt 2.x, topic `zigbee2mqtt/<friendly name>`, `{"action":"emergency","battery":100,...}`. Retained
copies and empty actions are ignored, since a restart of Zigbee2MQTT would replay the last press (its issue 31727).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from gateway.intake import ZigbeeAction
from gateway.mqtt import Access, Arrived, MqttLink
from gateway.settings import ZigbeeAccess, ZigbeeButton

MOST_BYTES: Final = 8_192


def read_action(name: str, message: Arrived) -> ZigbeeAction | None:
    """Return what button `name` did, None for everything that is no press: retained, empty, not JSON."""
    if message.retained or len(message.payload) > MOST_BYTES:
        return None
    try:
        state = json.loads(message.payload)
    except (ValueError, RecursionError):
        return None
    action = state.get("action") if isinstance(state, dict) else None
    return ZigbeeAction(name, action) if isinstance(action, str) and action else None


class ZigbeeLink:
    """The gateway's ear at the broker of Zigbee2MQTT."""

    def __init__(
        self,
        access: ZigbeeAccess,
        *,
        client_id: str,
        buttons: tuple[ZigbeeButton, ...],
        said: Callable[[ZigbeeAction], None],
        jitter: Callable[[], float],
    ) -> None:
        """`said` is called on the loop for each press."""
        self._names = {f"{access.base}/{button.name}": button.name for button in buttons}
        self._said = said
        self.unread = 0
        password = None if access.password is None else access.password.get_secret_value()
        self.link = MqttLink(
            Access(access.host, access.port, access.user, password),
            client_id=client_id,
            listener=self,
            subscriptions=tuple(self._names),
            jitter=jitter,
        )

    def connected(self) -> None:
        """Nothing to say there."""

    def disconnected(self, why: str) -> None:
        """The link keeps the reason for supervision."""

    def published(self, ticket: int, refusal: str | None) -> None:
        """We publish nothing there."""

    def arrived(self, message: Arrived) -> None:
        """A state message of one of our buttons."""
        name = self._names.get(message.topic)
        action = None if name is None else read_action(name, message)
        if action is None:
            self.unread += 1
        else:
            self._said(action)
