"""Refusals. A rule that is broken raises a named error, and the edges turn it into an answer or a parked event."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar


class DomainError(Exception):
    """A request or event that a rule refuses; asking again changes nothing.

    `code` is stable and public, `status` its HTTP status. `detail` is plain words for the caller, and `fields`
    are further members of the problem+json answer: neither holds personal or medical data.
    """

    code: ClassVar[str]
    status: ClassVar[int] = 409

    def __init__(self, detail: str, /, **fields: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = fields
        self.every: tuple[DomainError, ...] = (self,)
        """All refusals of the request, this one first (`services.chassis.refusals`)."""
        self.about: Mapping[str, object] = {}
        """Ids for the log, which the answer does not have."""


@contextmanager
def refusing(**ids: object) -> Iterator[None]:
    """Name in the log what a refusal of the block is about. For ids that the request's path does not have."""
    try:
        yield
    except DomainError as refusal:
        refusal.about = ids
        raise


class Unavailable(DomainError):
    """A part that the answer needs is unreachable for now. The caller may ask again after `retry_after` seconds."""

    code = "unavailable"
    status = 503

    def __init__(self, detail: str, /, *, retry_after: int = 1, **fields: Any) -> None:
        super().__init__(detail, **fields)
        self.retry_after = retry_after
