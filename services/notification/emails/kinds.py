"""Every kind of e-mail, in the order in which they are queued. A new one is a module of `messages` and a line here."""

from typing import Any

from contracts.events.invoice import InvoiceState
from services.notification.emails.domain import EmailKind
from services.notification.emails.messages import invoice_ready, payment_failed, receipt, refund

KINDS: tuple[EmailKind[Any], ...] = (invoice_ready.KIND, receipt.KIND, payment_failed.KIND, refund.KIND)
BY_TEMPLATE = {kind.template: kind for kind in KINDS}
EVENTS_WITHOUT_COPY = tuple(kind.event for kind in KINDS if not issubclass(kind.event, InvoiceState))
"""Events that this service consumes only because they lead to e-mails. Invoices are copied too."""
