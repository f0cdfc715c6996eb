"""Comments and docstrings use plain words: the left column of the glossary's last table is not in them."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("contracts", "services", "deploy", "tests")
GLOSSARY = (ROOT / "docs/glossary.md").read_text()

_AS_SUBJECT = re.compile(r"(?:^|\. |\n\n)(?:What|Whoever|Those)\b[^.?]*(?:[.:]|$)")


def unwanted() -> re.Pattern[str]:
    table = GLOSSARY.split("## Words that we do not use")[1]
    words = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)
    return re.compile(r"\b(?:" + "|".join(map(re.escape, words[1:])) + r")\b", re.IGNORECASE)


UNWANTED = unwanted()


def prose_of(source: str) -> Iterator[str]:
    """Each docstring and comment of a module."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("# ")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


def found_in(text: str) -> list[str]:
    return [match.group(0).strip() for match in (*UNWANTED.finditer(text), *_AS_SUBJECT.finditer(text))]


@cache
def offenders() -> dict[str, list[str]]:
    found = {}
    for path in (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))):
        if words := [word for text in prose_of(path.read_text()) for word in found_in(text)]:
            found[str(path.relative_to(ROOT))] = words
    return found


def test_no_file_has_unwanted_words() -> None:
    assert offenders() == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Whoever asks is answered.", ["Whoever", "Whoever asks is answered."]),
        ("What a clinic sees.", ["What a clinic sees."]),
        ("Count it. Those are summed.", [". Those are summed."]),
        ("What is due?", []),
        ("Return what is due.", []),
        ("Begin anew with the row.", ["anew"]),
    ],
)
def test_the_check_finds_what_it_should(text: str, found: list[str]) -> None:
    assert sorted(found_in(text)) == sorted(found)
