"""How to reach a client. Pure."""

from dataclasses import dataclass
from uuid import UUID

from services.chassis.errors import DomainError


class ContactNotFound(DomainError):
    code = "contact_not_found"
    status = 404


@dataclass(frozen=True, slots=True)
class Contact:
    client_id: UUID
    email: str
    name: str
    language: str
