"""Where data that nobody keeps is put."""

from pathlib import Path

import pytest

from deploy.local import places


def test_data_that_may_go_is_in_memory_only_where_that_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "ROOM", 1)
    assert places.throwaway(tmp_path) == tmp_path
    assert places.throwaway(tmp_path / "missing") is None
    monkeypatch.setattr(places, "ROOM", 2**60)
    assert places.throwaway(tmp_path) is None
