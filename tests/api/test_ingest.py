"""Road of a press, step 8: kept, then acknowledged, then receipted."""

import pytest

from broker.messages import Outcome
from tests.api.conftest import Served
from tests.api.peers import Gateway


@pytest.mark.proves("N2", "N3")
def test_a_press_is_stored_and_receipted(served: Served, gateway: Gateway) -> None:
    event = gateway.event()
    gateway.send([event])
    assert gateway.receipted([event]) == {event.id: Outcome.STORED}
    assert served.rows("SELECT id, gateway, seq FROM inbox") == [(event.id, "g1", 1)]
    assert [(alarm["id"], alarm["kind"], alarm["door"]) for alarm in served.alarms()] == [(event.id, "panic", 101)]
