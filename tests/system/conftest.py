"""One whole system for all tests of this folder that walk through it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.running import Running, running


@pytest.fixture(scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    place: Path = tmp_path_factory.mktemp("system") / "data"
    async with running(place) as started:
        yield started
