"""Between the bodies in `contracts.http.contacts` and the domain's values."""

from uuid import UUID

from contracts.http.contacts import ContactIn, ContactOut
from services.notification.contacts.domain import Contact


def contact_of(body: ContactIn, client_id: UUID) -> Contact:
    return Contact(client_id, body.email, body.name, body.language)


def contact_out(contact: Contact) -> ContactOut:
    return ContactOut(
        client_id=contact.client_id, email=contact.email, name=contact.name, language=contact.language
    )
