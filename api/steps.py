"""Named steps: where the order of things matters so much that tests stop the world there.

    ingest.commit       keep a batch
    ingest.ack          let the broker forget it
    ingest.receipt      tell a gateway
    outgoing.publish    send what is owed, and wait for the broker's answer

The station knows the names and nothing of what is put around them.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Wrap(Protocol):
    """Puts something around a named step."""

    def __call__(self, name: str, step: F, /) -> F:
        """Return `step`, or what is to be called instead of it."""
        ...


def unwrapped(_name: str, step: F) -> F:
    """The step itself."""
    return step
