"""How to reach a client. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.chassis import emails, texts
from services.chassis.errors import DomainError
from services.chassis.locale.formats import languages
from services.chassis.refusals import Refusals


class ContactNotFound(DomainError):
    code = "contact_not_found"
    status = 404


class UnknownMail(DomainError):
    """E-mails of this kind always come, or there are none."""

    code = "unknown_mail"
    status = 404


class UnknownLanguage(DomainError):
    code = "unknown_language"
    status = 422


@dataclass(frozen=True, slots=True)
class Refused:
    """Why and when the newest e-mail to an address was refused for good."""

    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Contact:
    """`refused` is about this address alone. `salt` is in the audit log's hashes of the contact, and goes with it."""

    client_id: UUID
    email: str
    name: str
    language: str
    refused: Refused | None = None
    salt: UUID | None = None


def checked(given: Contact, before: Contact | None) -> Contact:
    """The contact in the form in which it is stored, as it follows the one before.

    Raises `EmailNotValid`, `InvalidText`, `UnknownLanguage`; the first names all.
    """
    refusals = Refusals()
    contact = refusals.of(given, tidy, given)
    refusals.of(None, check_language, contact, before)
    refusals.check()
    is_same = before is not None and before.email == contact.email
    return replace(
        contact, refused=before.refused if before and is_same else None, salt=before.salt if before else None
    )


def tidy(given: Contact) -> Contact:
    """The contact in the form in which it is stored. Raises `EmailNotValid`, `InvalidText`."""
    refusals = Refusals()
    contact = replace(
        given,
        email=refusals.of(given.email, emails.address, given.email),
        name=refusals.of(given.name, texts.text, given.name, "name", least=1, most=200),
    )
    refusals.check()
    return contact


def check_language(given: Contact, before: Contact | None) -> None:
    """Refuse a code that is no language's, unless it is kept from before the rule. Raises `UnknownLanguage`."""
    kept = before is not None and before.language == given.language
    if not kept and given.language not in languages():
        raise UnknownLanguage(
            "not a language of ISO 639 in two small letters; `languages` lists them",
            field="language",
            languages=languages(),
        )
