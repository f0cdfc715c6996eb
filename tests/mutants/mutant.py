"""A mutant: edits of the code, and the test that must notice them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """`old` is in `file` exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    test: str
    edits: tuple[Edit, ...]


def one(name: str, test: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(name, test, (Edit(file, old, new),))


SERVICE = "tests/service/"
