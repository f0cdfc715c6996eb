"""Attributes of spans by which people search, and by which the collector keeps a trace. Nothing personal.

They are ids and an invoice's number, under one name wherever they come from: a path, an event or a row.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from opentelemetry import trace
from opentelemetry.trace import Span

NAMES: Mapping[str, str] = {
    "clinic_id": "clinicpay.clinic.id",
    "clinic": "clinicpay.clinic.id",
    "invoice_id": "clinicpay.invoice.id",
    "number": "clinicpay.invoice.number",
    "payment_id": "clinicpay.payment.id",
    "refund_id": "clinicpay.refund.id",
    "dispute_id": "clinicpay.dispute.id",
    "delivery_id": "clinicpay.delivery.id",
    "payment_intent": "stripe.payment_intent.id",
    "stripe_event_id": "stripe.event.id",
    "event_type": "stripe.event.type",
    "payment_step": "clinicpay.payment.step",
}
"""The attribute of each field that is shown. A field that is not here is in no span."""

KEEP = "clinicpay.keep"
"""Why the collector keeps the trace, one of `REASONS`."""
SLOW, SWEPT, REFUSED = REASONS = ("slow", "swept", "refused")
"""An answer or an event took too long; no webhook came, and Stripe was asked; money was refused."""
BEGUN = "begun"
"""The `payment_step` where a payment began. People ask about traces that have it and no end of the payment."""


def of(values: Mapping[str, Any]) -> dict[str, str]:
    """The attributes of fields that are known here and not None."""
    return {NAMES[name]: str(value) for name, value in values.items() if name in NAMES and value is not None}


def of_fields(found: object) -> dict[str, str]:
    """The attributes of an event's or a row's own fields."""
    return of({name: getattr(found, name, None) for name in NAMES})


def of_path(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The attributes of a path's ids. Text of a path may be anything, and is in no span."""
    return of({name: value for name, value in parameters.items() if isinstance(value, UUID)})


def note(**values: object) -> None:
    """Show fields on the current span, if it is recorded."""
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attributes(of(values))


def keep(reason: str, span: Span | None = None) -> None:
    """Have the collector keep the trace of this span, or of the current one."""
    (span or trace.get_current_span()).set_attribute(KEEP, reason)
