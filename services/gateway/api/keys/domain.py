"""API keys as values."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

LONGEST_OVERLAP = timedelta(days=90)


class ApiKey(msgspec.Struct, frozen=True):
    """Who asks. `id` is that of the line's first key; `clinic_id` is None for an operator's, which reaches every
    clinic. `use_is_due`: that it was used is to be kept, which is done once a minute.
    """

    id: UUID
    role: Literal["operator", "clinic"]
    clinic_id: UUID | None
    use_is_due: bool = False


class KeyRow(msgspec.Struct, frozen=True):
    """A key that works, as operators see it. `prefix` is how its secret begins."""

    id: UUID
    prefix: str
    name: str
    role: Literal["operator", "clinic"]
    clinic_id: UUID | None
    from_settings: bool
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    replaced_by: UUID | None
