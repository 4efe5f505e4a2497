"""Gateways that come back at once, as many as CI can afford; `shouwang faults --crowd 500` is the whole crowd."""

import pytest

from faults.crowd import come_back


@pytest.mark.timeout(300)
@pytest.mark.proves("N2", "N3", "N7", "N14", "F32")
def test_gateways_that_come_back_at_once_lose_nothing_and_tell_their_alarms_first() -> None:
    came = come_back(gateways=12, backlog=40)
    assert (came.lost, came.twice, came.behind) == (0, 0, 0)
    assert came.alarms_open == 12
