"""What must hold across a whole site file, one function a rule. Each tells what breaks it, and goes on."""

from collections.abc import Iterator

from deploy.problems import Finding
from deploy.site import Draft


def breaches(draft: Draft) -> Iterator[Finding]:
    """Everything that is wrong with the whole, whatever is wrong with its parts."""
    del draft
    yield from ()
