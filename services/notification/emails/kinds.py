"""Every kind of e-mail, in the order in which they are queued. A new one is a module of `messages` and a line here."""

from typing import Any

from contracts.events.invoice import InvoiceState
from services.notification.emails.domain import AnyKind, EmailKind, LetterKind, task_kind
from services.notification.emails.messages import (
    credit_note,
    dispute_ended,
    dispute_opened,
    email_changed,
    invitation,
    invoice_ready,
    invoice_voided,
    login_code,
    membership_locked,
    membership_waits,
    method_expiring,
    new_email,
    passkey_added,
    passkey_removed,
    password_changed,
    password_reset,
    payment_failed,
    payment_reversed,
    receipt,
    recovery_code_used,
    recovery_codes_renewed,
    refund,
    reminder,
    second_factor_off,
    second_factor_on,
    wrong_codes,
)
from services.notification.letters import domain as letters

KINDS: tuple[EmailKind[Any], ...] = (
    invoice_ready.KIND,
    receipt.KIND,
    payment_failed.KIND,
    refund.KIND,
    payment_reversed.KIND,
    method_expiring.KIND,
    credit_note.KIND,
    invoice_voided.KIND,
    dispute_opened.KIND,
    dispute_ended.KIND,
)
TIMED = (reminder.KIND,)
"""E-mails to which a day leads, and no event."""
ALL_KINDS: tuple[AnyKind, ...] = (*KINDS, *TIMED)
BY_TEMPLATE = {kind.template: kind for kind in ALL_KINDS}
LETTERS: tuple[LetterKind, ...] = (
    password_reset.KIND,
    password_changed.KIND,
    invitation.KIND,
    membership_waits.KIND,
    membership_locked.KIND,
    new_email.KIND,
    email_changed.KIND,
    second_factor_on.KIND,
    second_factor_off.KIND,
    recovery_code_used.KIND,
    recovery_codes_renewed.KIND,
    wrong_codes.KIND,
    login_code.KIND,
    passkey_added.KIND,
    passkey_removed.KIND,
)
LETTERS_BY_TASK = {letters.task_kind(kind.template): kind for kind in LETTERS}
EVENT_TASKS = tuple(map(task_kind, BY_TEMPLATE))
TASK_KINDS = (*EVENT_TASKS, *LETTERS_BY_TASK)
FILES = (*(kind.file for kind in BY_TEMPLATE.values()), *{kind.file for kind in LETTERS})
"""The names of all templates."""
EVENTS_WITHOUT_COPY = tuple(
    dict.fromkeys(kind.event for kind in KINDS if not issubclass(kind.event, InvoiceState))
)
"""Events that this service consumes only because they lead to e-mails. Invoices are copied too."""
