"""The terms that cross a process boundary, each spelled once: statuses, ways to pay, card brands.

SQL is built from the tuples (`services.chassis.db.sql.literals`). A migration spells its set out, since it may never
change; a test reads the database's constraints and compares them with the types here.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

UNKNOWN: Final = "unknown"
"""A reader's value for a term of a newer release that this one does not know."""

InvoiceStatus = Literal[
    "unpaid", "part_paid", "processing", "paid", "refunded", "credited", "written_off", "void"
]
PAYABLE_INVOICES: Final[tuple[InvoiceStatus, ...]] = ("unpaid", "part_paid")
"""The client should pay: something is due, and no payment is processing. Only these can be overdue."""
OPEN_INVOICES: Final[tuple[InvoiceStatus, ...]] = (*PAYABLE_INVOICES, "processing")
"""Something is due."""
CLOSED_INVOICES: Final[tuple[InvoiceStatus, ...]] = ("paid", "refunded", "credited", "written_off", "void")
"""Nothing is due, whatever the amounts are."""

PriceMode = Literal["net", "gross"]
"""Whether an invoice's prices are without tax or include it."""
TaxCategory = Literal["S", "Z", "E", "AE", "O"]
"""Why a tax is charged or not, by the codes of EN 16931 (UNTDID 5305): at a rate above zero, at a rate of zero, exempt,
owed by the buyer (reverse charge), not subject to the tax.
"""
EXEMPT_CATEGORIES: Final[tuple[TaxCategory, ...]] = ("E", "AE", "O")
"""A document says why the tax is not charged."""

EInvoiceGap = Literal[
    "client_erased",
    "client_country",
    "client_tax_number",
    "two_taxes",
    "mixed_categories",
    "currency_decimals",
]
"""Why a document cannot be an e-invoice (EN 16931): its client's name is erased, or has no country, or no tax number
that a tax owed by the client (AE) needs; a line has two taxes; some of its lines alone are not subject to tax (O); its
currency has three decimals.
"""

MOST_UNDO_HOURS: Final = 24
"""A clinic can have its corrections and refunds held for so long, to undo them."""

MOST_REMINDERS: Final = 5
"""So many reminders a clinic can have sent about one invoice."""
EARLIEST_REMINDER: Final = -30
LATEST_REMINDER: Final = 60
"""The days of a plan of reminders, counted from an invoice's due date: below zero they are before it."""

PublishedPaymentStatus = Literal["processing", "succeeded", "failed", "canceled"]
"""The statuses that have an event. Earlier ones concern only the client and Stripe."""
PaymentStatus = Literal["created", "requires_action", PublishedPaymentStatus]
PUBLISHED_PAYMENTS: Final[tuple[PublishedPaymentStatus, ...]] = get_args(PublishedPaymentStatus)
STARTABLE_PAYMENTS: Final[tuple[PaymentStatus, ...]] = ("created", "requires_action", "failed")
"""The client can try the same payment again: Stripe has taken no money for it and is taking none."""
LIVE_PAYMENTS: Final[tuple[PaymentStatus, ...]] = ("created", "requires_action", "processing", "failed")
"""The payment may still succeed, so it reserves its amounts."""

RefundStatus = Literal[
    "awaiting_approval",
    "held",
    "created",
    "pending",
    "requires_action",
    "succeeded",
    "failed",
    "canceled",
]
PENDING_REFUNDS: Final[tuple[RefundStatus, ...]] = ("created", "pending", "requires_action")
"""The money is on its way back to the client."""
UNBEGUN_REFUNDS: Final[tuple[RefundStatus, ...]] = ("awaiting_approval", "held")
"""The money is set aside; neither Stripe nor the client knows of it."""
RESERVED_REFUNDS: Final[tuple[RefundStatus, ...]] = (*UNBEGUN_REFUNDS, *PENDING_REFUNDS)
"""The money is set aside for it."""
RETURNED_REFUNDS: Final[tuple[RefundStatus, ...]] = ("failed", "canceled")
"""The money did not go: it is again what it was before, the client's credit or what settled invoices."""
RefundDestination = Literal["method", "credit"]
"""Where a refund goes: to where its payment came from, or to the client's credit at the clinic."""
RefundPlace = Literal["clinicpay", "stripe"]
"""Where a refund was made: here, or in Stripe's dashboard."""

HeldCorrection = Literal["void", "credit_note", "write_off", "replacement"]
"""A correction of an issued invoice. `replacement`: a credit note over the rest, and a new invoice."""
HeldKind = Literal[HeldCorrection, "refund"]
"""An act that a clinic's `undo_hours` hold."""
HeldState = Literal["held", "done", "undone", "canceled", "changed"]
"""`canceled`: something else, such as a dispute, made it void. `changed`: when due it was refused, or would have posted
something else; it is an exception."""

DisputeStatus = Literal[
    "warning_needs_response",
    "warning_under_review",
    "warning_closed",
    "needs_response",
    "under_review",
    "won",
    "lost",
    "prevented",
    "charge_refunded",
]
"""A dispute at the payer's bank. `warning_*` is an inquiry: the bank asks, and takes no money."""
OPEN_DISPUTES: Final[tuple[DisputeStatus, ...]] = (
    "warning_needs_response",
    "warning_under_review",
    "needs_response",
    "under_review",
)
"""The bank has not decided."""
ANSWERABLE_DISPUTES: Final[tuple[DisputeStatus, ...]] = ("warning_needs_response", "needs_response")
"""The bank takes evidence, until its deadline."""
EvidenceState = Literal["draft", "sending", "sent", "refused"]
"""The state of a dispute's evidence. `sending`: committed, and not answered by Stripe yet. `refused`: Stripe took
nothing of it."""
SubmissionState = Literal["sending", "sent", "refused"]
DisputePhase = Literal["inquiry", "chargeback"]
"""The bank takes evidence about each of them, once: an inquiry may become a chargeback."""
UNREFUNDABLE_DISPUTES: Final[tuple[DisputeStatus, ...]] = ("needs_response", "under_review", "lost")
"""The bank has the money: a refund would give it back twice. A payment that was only asked about can be refunded."""

DeliveryState = Literal["waiting", "due", "sent", "failed", "dropped"]
"""The state of an e-mail. `waiting`: data that it needs is not known yet. `dropped`: it is no longer needed."""
UNSENT_DELIVERIES: Final[tuple[DeliveryState, ...]] = ("waiting", "due")
PUBLISHED_DELIVERIES: Final[tuple[DeliveryState, ...]] = ("sent", "failed")
"""The states that have an event."""

EmailState = Literal["undeliverable"]
"""A fault of a client's address. A server that takes an e-mail may lose it: no state says that it came."""

ChosenMail = Literal["invoice_ready", "reminder", "method_expiring"]
"""E-mails that a client can do without, by their templates. Receipts and what concerns money that moved always come."""
CHOSEN_MAIL: Final[Mapping[ChosenMail, str]] = {
    "invoice_ready": "New invoices",
    "reminder": "Reminders of unpaid invoices",
    "method_expiring": "Notices about expiring cards",
}
"""Their names on pages."""


def chosen_mail(template: str) -> ChosenMail | None:
    """The kind of e-mail that a client can do without, by its template; None if it always comes."""
    return next((kind for kind in CHOSEN_MAIL if kind == template), None)


MovementKind = Literal["payment", "credit", "reversal", "refund", "dispute"]
"""Why money moved against an invoice. `credit`: a client's credit was used, or what was too much became credit."""
COUNTED_MOVEMENTS: Final[tuple[MovementKind, ...]] = ("payment", "credit", "reversal")
"""Movements that change what is due. A refund or a dispute never does: nobody is asked to pay again for it."""

DocumentKind = Literal["credit_note", "write_off", "void"]
"""How an issued invoice is corrected. A credit note and a write-off take a sum off; void cancels the whole invoice."""
CreditReason = Literal[
    "wrong_service", "wrong_amount", "wrong_client", "duplicate", "not_given", "goodwill", "other"
]
"""Why an invoice is credited, voided or corrected. `not_given`: the service was not given. `other` needs words."""
WriteOffReason = Literal["uncollectible", "small_amount", "goodwill", "other"]
DocumentReason = Literal[CreditReason, WriteOffReason]

AcceptedMethod = Literal["card", "redirect", "debit"]
"""A way to pay that a clinic can accept: a card, an online payment system that clients are sent to, or a debit of a
bank account, which takes days."""
ACCEPTED_METHODS: Final[tuple[AcceptedMethod, ...]] = get_args(AcceptedMethod)
PaymentKind = Literal["card", "saved", "redirect", "debit"]
"""How a client chose to pay: a new card, a saved one, an online payment system, or a bank debit."""
OutsideKind = Literal["cash", "terminal", "bank_transfer", "insurer"]
"""A way to pay that Stripe knows nothing of: staff record the money that the clinic took."""
OUTSIDE_KINDS: Final[tuple[OutsideKind, ...]] = get_args(OutsideKind)
KeptKind = Literal[PaymentKind, OutsideKind, "credit"]
"""How a payment was made, by whatever way. `credit`: the client's own credit was used."""
ACCEPTED_AS: Final[Mapping[PaymentKind, AcceptedMethod]] = {
    "card": "card",
    "saved": "card",
    "redirect": "redirect",
    "debit": "debit",
}
"""The method that a clinic must accept for each of these."""
DEBIT_TYPES: Final[Mapping[str, str]] = {"EUR": "sepa_debit", "USD": "us_bank_account"}
"""Stripe's type of bank debit for each currency that has one. Source: its pages "SEPA Direct Debit" and "ACH Direct
Debit" (2026). The account needs the capability, which `DEBIT_CAPABILITIES` names."""
DEBIT_CAPABILITIES: Final[Mapping[str, str]] = {
    "sepa_debit": "sepa_debit_payments",
    "us_bank_account": "us_bank_account_ach_payments",
}
DEBIT_WORKING_DAYS: Final[Mapping[str, int]] = {"sepa_debit": 6, "us_bank_account": 4}
"""Working days within which a debit is usually confirmed. Source: Stripe's pages on their settlement (2026); a bank may
take up to 14."""
STRIPE_TYPES: Final[Mapping[AcceptedMethod, tuple[str, ...] | None]] = {
    "card": ("card",),
    "redirect": None,
    "debit": tuple(DEBIT_TYPES.values()),
}
"""Stripe's payment method types for each. None: all that the account has switched on and that no other method has."""
NOT_REDIRECT: Final = tuple(each for types in STRIPE_TYPES.values() for each in types or ())
"""The types that an online payment system is not, to be left out where all others are offered."""
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
    """Whether the refund ended without sending the money."""
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
    "debit": "Bank debit",
    "cash": "Cash",
    "terminal": "Card at the clinic",
    "insurer": "Insurer",
    "credit": "Credit",
    "bank_transfer": "Bank transfer",
    "alipay": "Alipay",
    "bancontact": "Bancontact",
    "blik": "BLIK",
    "eps": "EPS",
    "grabpay": "GrabPay",
    "ideal": "iDEAL",
    "klarna": "Klarna",
    "mb_way": "MB WAY",
    "mobilepay": "MobilePay",
    "p24": "Przelewy24",
    "paypal": "PayPal",
    "revolut_pay": "Revolut Pay",
    "sepa_debit": "Bank debit",
    "swish": "Swish",
    "twint": "TWINT",
    "us_bank_account": "Bank account",
}


def method_name(kind: str, brand: str | None = None, last4: str | None = None) -> str:
    """A method as people see it: `Visa ending 4242`, `PayPal`, `Cash`. An unknown code loses its underscores."""
    if brand:
        name = CARD_BRANDS.get(brand) or brand.replace("_", " ").title()
    else:
        name = METHOD_NAMES.get(kind) or kind.replace("_", " ").capitalize()
    return f"{name} ending {last4}" if last4 else name
