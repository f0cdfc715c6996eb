"""One whole system without the relay, for all tests of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.running.system import Running, running


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the system keeps everything."""
    return tmp_path_factory.mktemp("debezium") / "data"


@pytest.fixture(scope="session")
async def system(data: Path) -> AsyncIterator[Running]:
    async with running(data, ("tests.debezium",)) as started:
        yield started
