"""What every test of the gateway gets."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the gateway's code logged, as values."""
    with capture_logs() as entries:
        yield entries
