"""Erasures of names and addresses. Sums, numbers and hashes of documents stay. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Erasure:
    """An entry of the log. `subject_id` is the client's, or the invoice's on which the client was named."""

    clinic_id: UUID
    kind: Literal["client", "invoice"]
    subject_id: UUID
    erased_at: datetime
