"""Erasures of names and addresses. Sums, numbers and hashes of documents stay. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from contracts.events.client import ClientErased
from contracts.events.envelope import event_id


@dataclass(frozen=True, slots=True)
class Erasure:
    """An entry of the log. `subject_id` is the client's, or the invoice's on which the client was named."""

    clinic_id: UUID
    kind: Literal["client", "invoice"]
    subject_id: UUID
    erased_at: datetime


def fact_about(erasure: Erasure) -> ClientErased:
    """Build `client.erased`. Its id is the same in each run, and after a restore."""
    at, topic = erasure.erased_at, ClientErased.topic.name
    return ClientErased(
        id=event_id(at, topic, erasure.clinic_id, erasure.subject_id, at.astimezone(UTC).isoformat()),
        time=at,
        clinic_id=erasure.clinic_id,
        client_id=erasure.subject_id,
    )
