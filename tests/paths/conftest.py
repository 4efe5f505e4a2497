"""One running town for each module; how long each test took is told at the end."""

from collections.abc import Iterator

import pytest

from tests.paths.town import Town, town


@pytest.fixture(scope="module")
def running_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town that the tests of a module share. At the end everything that ever happened in it is judged once more."""
    with town(tmp_path_factory.mktemp("town")) as running:
        yield running
        assert not running.verdict().wrong
