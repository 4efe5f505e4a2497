"""What a gateway is told of its own chain, whatever it says first."""

import pytest

from broker.ids import Session
from tests.api.conftest import Served
from tests.api.peers import Gateway, digest


@pytest.mark.proves("N15")
def test_a_gateway_that_says_much_at_once_hears_first_what_was_held_before(served: Served, gateway: Gateway) -> None:
    gateway.say_status(head=4)
    first = gateway.event()
    gateway.send([first])
    gateway.receipted([first])
    gateway.say_status(head=5)
    gateway.session = Session("c" * 32)
    with served.station.database.write():
        gateway.send([gateway.event()])  # with this one the consumer waits, and takes all that follows together
        for head in (6, 7, 8):
            gateway.say_status(head=head, chain="another")
    hello = gateway.greeted(lambda hello: any(head.chain for head in hello.highest))
    (told,) = [head.chain for head in hello.highest if head.chain]
    assert (told.seq, told.digest) == (5, digest("a", 5))
