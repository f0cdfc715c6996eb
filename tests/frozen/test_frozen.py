"""Today's system is the one in the committed files."""

import pytest

from tests.frozen.picture import FOLDER, Dbs
from tests.frozen.subjects import ALL


@pytest.mark.parametrize("name", ALL)
async def test_the_system_is_as_its_picture(dbs: Dbs, name: str) -> None:
    await ALL[name].check(dbs)


def test_every_file_of_the_picture_is_compared() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(ALL)
