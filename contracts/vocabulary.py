"""The terms that cross a process boundary, each spelled once: statuses, ways to pay, card brands.

SQL is built from the tuples (`services.chassis.db.sql.literals`). A migration spells its set out, since it may never
change; a test reads the database's constraints and compares them with the types here.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

UNKNOWN: Final = "unknown"
"""A reader's value for a term of a newer release that this one does not know."""

InvoiceStatus = Literal["unpaid", "part_paid", "processing", "paid", "refunded", "void"]
PAYABLE_INVOICES: Final[tuple[InvoiceStatus, ...]] = ("unpaid", "part_paid")
"""The client should pay: something is due, and no payment is processing. Only these can be overdue."""
OPEN_INVOICES: Final[tuple[InvoiceStatus, ...]] = (*PAYABLE_INVOICES, "processing")
"""Something is due."""
CLOSED_INVOICES: Final[tuple[InvoiceStatus, ...]] = ("paid", "refunded", "void")
"""Nothing is due, whatever the amounts are."""

PublishedPaymentStatus = Literal["processing", "succeeded", "failed", "canceled"]
"""The statuses that have an event. Earlier ones concern only the client and Stripe."""
PaymentStatus = Literal["created", "requires_action", PublishedPaymentStatus]
PUBLISHED_PAYMENTS: Final[tuple[PublishedPaymentStatus, ...]] = get_args(PublishedPaymentStatus)
STARTABLE_PAYMENTS: Final[tuple[PaymentStatus, ...]] = ("created", "requires_action", "failed")
"""The client can try the same payment again: Stripe has taken no money for it and is taking none."""
LIVE_PAYMENTS: Final[tuple[PaymentStatus, ...]] = ("created", "requires_action", "processing", "failed")
"""The payment may still succeed, so it reserves its amounts."""

RefundStatus = Literal["created", "pending", "requires_action", "succeeded", "failed", "canceled"]
PENDING_REFUNDS: Final[tuple[RefundStatus, ...]] = ("created", "pending", "requires_action")
"""The money is on its way back to the client."""
RETURNED_REFUNDS: Final[tuple[RefundStatus, ...]] = ("failed", "canceled")
"""The money is the client's credit again."""

DeliveryState = Literal["waiting", "due", "sent", "failed", "dropped"]
"""The state of an e-mail. `waiting`: data that it needs is not known yet. `dropped`: it is no longer needed."""
UNSENT_DELIVERIES: Final[tuple[DeliveryState, ...]] = ("waiting", "due")
PUBLISHED_DELIVERIES: Final[tuple[DeliveryState, ...]] = ("sent", "failed")
"""The states that have an event."""

MovementKind = Literal["payment", "refund", "dispute", "reversal"]
"""Why money moved against an invoice."""

AcceptedMethod = Literal["card", "redirect"]
"""A way to pay that a clinic can accept: a card, or an online payment system that clients are sent to."""
ACCEPTED_METHODS: Final[tuple[AcceptedMethod, ...]] = get_args(AcceptedMethod)
PaymentKind = Literal["card", "saved", "redirect"]
"""How a client chose to pay: a new card, a saved one, or an online payment system."""
ACCEPTED_AS: Final[Mapping[PaymentKind, AcceptedMethod]] = {
    "card": "card",
    "saved": "card",
    "redirect": "redirect",
}
"""The method that a clinic must accept for each of these."""
STRIPE_TYPES: Final[Mapping[AcceptedMethod, tuple[str, ...] | None]] = {"card": ("card",), "redirect": None}
"""Stripe's payment method types for each. None: all that the account has switched on and that no other method has."""
ChargedOn = Literal["own", "platform", "none"]
"""Whose Stripe account takes a clinic's payments: its own, the platform's, or nobody's."""

AccountProblem = Literal["no_account", "no_access", "charges_disabled", "no_way_to_pay"]
"""Why a clinic's Stripe account can take no payment: none was chosen; Stripe refuses us access, since its owner took
it away or it does not exist; Stripe has switched charges off; or none of the ways to pay is switched on for it."""


def is_open(invoice_status: str) -> bool:
    """Whether something is due on the invoice. A status of a newer release, unknown here, counts as open."""
    return invoice_status not in CLOSED_INVOICES


def is_payable(invoice_status: str) -> bool:
    """Whether the invoice's status lets the client pay it. An unknown status is not payable."""
    return invoice_status in PAYABLE_INVOICES


def is_returned(refund_status: str) -> bool:
    """Whether the refund ended without sending the money, which is the client's credit again."""
    return refund_status in RETURNED_REFUNDS


CARD_BRANDS: Final = {
    "amex": "American Express",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}
METHOD_NAMES: Final = {
    "card": "Card",
    "redirect": "Online payment",
    "cash": "Cash",
    "credit": "Credit",
    "bank_transfer": "Bank transfer",
    "bancontact": "Bancontact",
    "ideal": "iDEAL",
    "paypal": "PayPal",
    "revolut_pay": "Revolut Pay",
    "sepa_debit": "Bank debit",
    "us_bank_account": "Bank account",
}


def method_name(kind: str, brand: str | None = None, last4: str | None = None) -> str:
    """A method as people see it: `Visa ending 4242`, `PayPal`, `Cash`. An unknown code loses its underscores."""
    if brand:
        name = CARD_BRANDS.get(brand) or brand.replace("_", " ").title()
    else:
        name = METHOD_NAMES.get(kind) or kind.replace("_", " ").capitalize()
    return f"{name} ending {last4}" if last4 else name
