"""Ids that are derived from an idempotency key."""

from uuid import UUID, uuid5

_NAMES = UUID("6f0e0a53-6a0b-5c9e-8f0e-2d8f6f1c7b11")


def derived_id(api_key_id: UUID, kind: str, idempotency_key: str, clinic_id: UUID | None = None) -> UUID:
    """The id that this request names its thing by, everywhere, each time it is sent."""
    return uuid5(_NAMES, "\x1f".join((str(api_key_id), kind, str(clinic_id or ""), idempotency_key)))
