"""Tests that documents name must exist: docs/found.md has them for each fault, docs/portal.md for each point."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "found.md"
ROW = re.compile(r"^\| \d\.\d+")
FILE = re.compile(r"`(tests/[\w/]+\.py)`")
NAME = re.compile(r"`(test_\w+)`")

ROWS = [line for line in PAGE.read_text().splitlines() if ROW.match(line)]
POINT = re.compile(r"^\| (?!Point)[^|]+\|[^|]+\|[^|]*\|$")
POINTS = [line for line in (ROOT / "docs" / "portal.md").read_text().splitlines() if POINT.match(line)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_the_tests_of_a_fault_exist(row: str) -> None:
    check_tests(row)


@pytest.mark.parametrize("row", POINTS)
def test_the_tests_of_a_point_exist(row: str) -> None:
    check_tests(row)


def check_tests(row: str) -> None:
    files = FILE.findall(row)
    assert files, "a row without a test"
    held = "".join((ROOT / file).read_text() for file in files)
    missing = [name for name in NAME.findall(row) if f"def {name}(" not in held]
    assert not missing


def test_a_fault_stands_there_once() -> None:
    for column in ("number", "fault"):
        found = [row.split("|")[1 if column == "number" else 2].strip() for row in ROWS]
        assert sorted(set(found)) == sorted(found), column
