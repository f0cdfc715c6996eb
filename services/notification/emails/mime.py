"""An e-mail as bytes: headers that no name can break out of, a text part and an HTML part.

The standard library writes the headers. Setting one decodes encoded-words, so a text that somebody typed must hold none
before: `=?utf-8?q?x=0D=0ABcc=3A_…?=` would become a line of its own.
"""

import re
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Sequence
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import lru_cache
from uuid import UUID

from services.chassis import emails
from services.notification.emails.domain import Attachment, Outgoing
from services.notification.emails.messages.parts import LONGEST_NAME, one_line
from services.notification.emails.rendering import Content

_BOUNDARY = b"=_clinicpay"
_OUTER = b"=_files_clinicpay"
"""Around the texts and the files. Neither boundary begins as the other."""
_CONSTANT = (
    "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
    "Content-Language: en\r\nMIME-Version: 1.0\r\n"
)
_ALTERNATIVE = f'Content-Type: multipart/alternative; boundary="{_BOUNDARY.decode()}"\r\n\r\n'
_MIXED = f'Content-Type: multipart/mixed; boundary="{_OUTER.decode()}"\r\n\r\n'


def message_id(delivery_id: UUID, mail_from: str) -> str:
    """Made from the delivery's id alone, so that a repeated e-mail has the same one and can be recognised."""
    return f"<{delivery_id}@{mail_from.rpartition('@')[2]}>"


def compose(
    email: Outgoing, content: Content, mail_from: str, attachments: Sequence[Attachment] = ()
) -> bytes:
    """The whole message, with CRLF line ends. Replies go to the clinic, when it has an address that can take them.

    The library folds and encodes headers and is asked once for each; it took 2.7 ms to put a whole message together.
    """
    reply_to = emails.usable(email.clinic.email)
    headers = [
        _header("Subject", header_text(content.subject)),
        _mailbox("From", display_name(email.clinic.name), mail_from),
        _mailbox("To", "", email.recipient.email),
        _mailbox("Reply-To", "", reply_to) if reply_to else "",
        f"Date: {format_datetime(datetime.now(UTC))}\r\n",
        f"Message-ID: {message_id(email.delivery.id, mail_from)}\r\n",
        _unsubscribing(content.unsubscribe) if content.unsubscribe else "",
        _CONSTANT,
        _MIXED if attachments else "",
    ]
    text, html = _part("plain", content.text), _part("html", content.html)
    texts = b"".join([_ALTERNATIVE.encode(), text, html, b"--", _BOUNDARY, b"--\r\n"])
    head = "".join(headers).encode("ascii")
    if not attachments:
        return head + texts
    parts = [b"--", _OUTER, b"\r\n", texts, *map(_attached, attachments), b"--", _OUTER, b"--\r\n"]
    return b"".join([head, *parts])


def _unsubscribing(address: str) -> str:
    """Headers by which one press in the mail program ends such e-mails (RFC 8058). Our address needs no folding."""
    return f"List-Unsubscribe: <{address}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


@lru_cache(maxsize=4096)
def _header(name: str, value: str) -> str:
    return _folded(name, value)


@lru_cache(maxsize=4096)
def _mailbox(name: str, shown: str, address: str) -> str:
    return _folded(name, Address(shown, addr_spec=address))


def _folded(name: str, value: str | Address) -> str:
    message = EmailMessage(policy=policy.SMTP)
    message[name] = value
    return message.as_bytes().removesuffix(b"\r\n").decode("ascii")


def _part(subtype: str, content: str) -> bytes:
    """A text in quoted-printable, where every equals sign is followed by two digits: never by the boundary's `_`."""
    encoded = b2a_qp("".join(f"{line}\r\n" for line in content.splitlines()).encode(), istext=True)
    head = b'--%s\r\nContent-Type: text/%s; charset="utf-8"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n'
    return head % (_BOUNDARY, subtype.encode()) + encoded + b"\r\n"


def _attached(file: Attachment) -> bytes:
    """A PDF in base64, which has no `_` and so never a boundary. Its name is plain ASCII without quotes."""
    head = (
        f'--{_OUTER.decode()}\r\nContent-Type: application/pdf; name="{file.name}"\r\n'
        f'Content-Disposition: attachment; filename="{file.name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    )
    return head.encode("ascii") + encodebytes(file.content).replace(b"\n", b"\r\n")


def header_text(text: str) -> str:
    """A typed text for a header: on one line, and without the beginning of an encoded-word.

    No space keeps the two characters apart: folding may lose it.
    """
    return re.sub(r"=(?=\s*\?)", "-", one_line(text))


def display_name(name: str) -> str:
    """A clinic's name as a From header may show it.

    Without the characters that have a meaning in an address list: Python's folding drops the quotes around a long
    name, and a comma in it would then begin another address.
    """
    return header_text(re.sub(r'[",;:<>()\[\]@\\]', " ", name))[:LONGEST_NAME].strip()
