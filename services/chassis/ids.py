"""Ids of new things."""

from typing import TypeAlias
from uuid import UUID

from uuid_utils.compat import uuid7

Key: TypeAlias = tuple[UUID, UUID]
"""(clinic, id): how rows are named, locked and referenced everywhere."""


def new_id() -> UUID:
    """A UUIDv7: random, and in order of time, so that new rows land side by side in an index."""
    return UUID(int=uuid7().int)
