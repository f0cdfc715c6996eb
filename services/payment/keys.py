"""Keys as parameters."""

from collections.abc import Collection
from uuid import UUID

from services.chassis.db.database import Key


def columns(keys: Collection[Key]) -> tuple[list[UUID], list[UUID]]:
    """(clinic, id) pairs as two arrays for `unnest`, in the order that rows are locked in."""
    ordered = sorted(set(keys))
    return [clinic_id for clinic_id, _ in ordered], [row_id for _, row_id in ordered]
