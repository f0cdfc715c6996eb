"""An e-mail as bytes: headers that no name can break out of, a text part and an HTML part."""

import re
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from uuid import UUID

from services.notification.domain import Letter
from services.notification.letters import Mail, one_line

_LONGEST_NAME = 60


def message_id(delivery_id: UUID, mail_from: str) -> str:
    """Made from the delivery's id alone, so that a repeated e-mail has the same one and can be told as such."""
    return f"<{delivery_id}@{mail_from.rpartition('@')[2]}>"


def compose(letter: Letter, mail: Mail, mail_from: str) -> bytes:
    """The whole message, with CRLF line ends. Replies go to the clinic, when it has an address."""
    message = EmailMessage(policy=policy.SMTP)
    message["Subject"] = one_line(mail.subject)
    message["From"] = Address(display_name(letter.clinic.name), addr_spec=mail_from)
    message["To"] = Address(addr_spec=letter.contact.email)
    if reply_to := _address(letter.clinic.email):
        message["Reply-To"] = reply_to
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = message_id(letter.delivery.id, mail_from)
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["Content-Language"] = "en"
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return message.as_bytes()


def display_name(name: str) -> str:
    """A clinic's name as a From header may show it.

    Without the characters that have a meaning in an address list: Python's folding drops the quotes around a long
    name, and a comma in it would then begin another address.
    """
    return one_line(re.sub(r'[",;:<>()\[\]@\\]', " ", name))[:_LONGEST_NAME].strip()


def _address(email: str) -> Address | None:
    # A clinic's settings are its own text; an e-mail goes out whatever stands there.
    try:
        return Address(addr_spec=email) if email.isascii() else None
    except (ValueError, IndexError):
        return None
