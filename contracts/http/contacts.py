"""Contacts and e-mails: bodies of the notification service."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from contracts.http.common import Answer, Request
from contracts.vocabulary import ChosenMail, DeliveryState, EmailState

# `$` alone would let a newline stand at the end.
_LINE_PATTERN = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$(?!\n)"
LineOfText = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=_LINE_PATTERN)]
LanguageCode = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}$(?!\n)")]


class ContactIn(Request, frozen=True, kw_only=True):
    """How to reach a client. `language` is kept for the day that e-mails have more than English."""

    email: str
    name: LineOfText
    language: LanguageCode = "en"


class EmailStatus(Answer, frozen=True, kw_only=True):
    """Why e-mails do not arrive at an address: `reason` is a mail server's code, such as 550, or `email_not_valid`."""

    state: EmailState
    reason: str
    at: datetime


class ContactOut(Answer, frozen=True, kw_only=True):
    """How to reach a client. `email_status` is null unless the newest e-mail to this address was refused for good."""

    client_id: UUID
    email: str
    name: str
    language: str
    email_status: EmailStatus | None = None


class ReceiptOut(Answer, frozen=True, kw_only=True):
    """The state of the e-mail that is a payment's receipt. `sent_at`: when an SMTP server took it."""

    payment_id: UUID
    state: DeliveryState
    sent_at: datetime | None


class MailChoiceIn(Request, frozen=True, kw_only=True):
    """Whether a client wants e-mails of a kind."""

    wanted: bool


class MailChoicesOut(Answer, frozen=True, kw_only=True):
    """The kinds of e-mails that a client can choose and does not want."""

    client_id: UUID
    unwanted: tuple[ChosenMail, ...]


class DeliveryOut(Answer, frozen=True, kw_only=True):
    """An e-mail. `subject_id` is its invoice or payment; `last_error` an SMTP code or a reason in one word."""

    id: UUID
    client_id: UUID
    template: str
    subject_id: UUID
    state: DeliveryState
    attempts: int
    last_error: str | None
    created_at: datetime
    sent_at: datetime | None
    next_attempt_at: datetime | None
