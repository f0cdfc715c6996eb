"""A check: one statement that returns the rows which break an invariant, in one service's database."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """`says` is the invariant in words; `sql` answers with the offending rows, their keys first."""

    name: str
    service: str
    says: str
    sql: str
