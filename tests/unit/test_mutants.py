"""Every mutant still removes its safeguard: its text is in the code once, and its test exists."""

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.mutant import Mutant
from tests.mutants.table import ALL

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_a_mutant_applies(mutant: Mutant) -> None:
    for edit in mutant.edits:
        assert (ROOT / edit.file).read_text().count(edit.old) == 1, edit.file
        assert edit.old != edit.new
    file, _, name = mutant.test.partition("::")
    wanted = f"def {name.partition('[')[0]}(" if name else "def test_"
    assert wanted in (ROOT / file).read_text()


def test_a_mutant_stands_there_once() -> None:
    assert [name for name, times in Counter(mutant.name for mutant in ALL).items() if times > 1] == []
