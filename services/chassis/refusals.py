"""Refusals of a request's values, collected so that one answer names all of them with their fields."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from services.chassis.errors import DomainError

T = TypeVar("T")
P = ParamSpec("P")


@contextmanager
def within(member: str) -> Iterator[None]:
    """Name the fields of what is refused as those of this member of the request."""
    try:
        yield
    except DomainError as refusal:
        for each in refusal.every:
            if "field" in each.fields:
                each.fields["field"] = f"{member}.{each.fields['field']}"
        raise


class Refusals:
    """Runs checks, of which each may refuse a value, and raises once for all.

    refusals = Refusals()
    name = refusals.of(given.name, text, given.name, "name", least=1, most=200)
    refusals.check()
    """

    def __init__(self) -> None:
        self.found: list[DomainError] = []

    def of(self, instead: T, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The value that the check gives; `instead` in the place of a refused one, for the checks that follow."""
        try:
            return check(*args, **kwargs)
        except DomainError as refusal:
            self.add(refusal)
            return instead

    def add(self, refusal: DomainError) -> None:
        """Keep it, or all that it was raised for. Of two refusals of one field the first counts."""
        fields = {each.fields.get("field") for each in self.found}
        for each in refusal.every:
            if "field" not in each.fields or each.fields["field"] not in fields:
                self.found.append(each)

    def check(self) -> None:
        """Raise the first refusal, with the fields of all in `errors`. Nothing when there is none."""
        if self.found:
            first, *others = self.found
            first.every = (first, *others)
            raise first
