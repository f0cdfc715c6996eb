"""How to reach a client. Pure."""

from dataclasses import dataclass
from uuid import UUID

from services.chassis.errors import DomainError
from services.chassis.locale.formats import languages


class ContactNotFound(DomainError):
    code = "contact_not_found"
    status = 404


class UnknownLanguage(DomainError):
    code = "unknown_language"
    status = 422


@dataclass(frozen=True, slots=True)
class Contact:
    client_id: UUID
    email: str
    name: str
    language: str


def check_language(given: Contact, before: Contact | None) -> None:
    """Refuse a code that is no language's, unless it is kept from before the rule. Raises `UnknownLanguage`."""
    kept = before is not None and before.language == given.language
    if not kept and given.language not in languages():
        raise UnknownLanguage(
            "not a language of ISO 639 in two small letters; `languages` lists them",
            field="language",
            languages=languages(),
        )
