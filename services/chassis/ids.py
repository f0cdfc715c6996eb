"""Ids of new things."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from uuid_utils.compat import uuid7

Key: TypeAlias = tuple[UUID, UUID]
"""(clinic, id): how rows are named, locked and referenced everywhere."""


def new_id() -> UUID:
    """A UUIDv7: random, and in order of time, so that new rows land side by side in an index."""
    return UUID(int=uuid7().int)


def made_at(id_: UUID) -> datetime:
    """The moment that a UUIDv7 begins with, in whole milliseconds."""
    return _EPOCH + timedelta(milliseconds=id_.int >> 80)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def columns(keys: Collection[Key]) -> tuple[list[UUID], list[UUID]]:
    """(clinic, id) pairs as two arrays for `unnest`, in the order that rows are locked in."""
    ordered = sorted(set(keys))
    return [clinic_id for clinic_id, _ in ordered], [row_id for _, row_id in ordered]
