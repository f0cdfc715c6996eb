"""Each change stands in CHANGELOG.md once: lines of two branches that were put together may double."""

from collections import Counter
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"


def test_no_change_stands_there_twice() -> None:
    changes = [line for line in CHANGELOG.read_text().splitlines() if line.startswith("- ")]

    assert [line for line, times in Counter(changes).items() if times > 1] == []
