"""Between the bodies in `contracts.http.contacts` and the domain's values."""

from uuid import UUID

from contracts.http.contacts import ContactIn, ContactOut, EmailStatus
from services.notification.contacts.domain import Contact


def contact_of(body: ContactIn, client_id: UUID) -> Contact:
    return Contact(client_id, body.email, body.name, body.language)


def contact_out(contact: Contact) -> ContactOut:
    refused = contact.refused
    return ContactOut(
        client_id=contact.client_id,
        email=contact.email,
        name=contact.name,
        language=contact.language,
        email_status=EmailStatus(state="undeliverable", reason=refused.reason, at=refused.at)
        if refused
        else None,
    )
