"""Payments and their allocations: the values that decisions are made on, and the refusals. No I/O.

Amounts are integer minor units of `currency` throughout.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.events.envelope import Method
from contracts.vocabulary import KeptKind, PaymentStatus
from services.chassis.errors import DomainError, Unavailable
from services.chassis.ids import Key


class PaymentNotFound(DomainError):
    code = "payment_not_found"
    status = 404


class AmountChanged(DomainError):
    code = "amount_changed"
    status = 409


class AlreadyPaid(DomainError):
    code = "already_paid"
    status = 409


class TooManyDeclines(Unavailable):
    code = "too_many_declines"
    status = 429


class TooManyStarts(Unavailable):
    code = "too_many_starts"
    status = 429


class OnlinePaymentOff(DomainError):
    code = "online_payment_off"
    status = 409


class MethodNotAccepted(DomainError):
    code = "method_not_accepted"
    status = 409


class ConsentMissing(DomainError):
    """A bank account is debited only with its holder's consent to a text that is kept."""

    code = "consent_missing"
    status = 422


class PaymentInProgress(DomainError):
    code = "payment_in_progress"
    status = 409


class ChosenElsewhere(DomainError):
    """The client has made another choice for the invoice since, perhaps in another tab. The last choice wins."""

    code = "chosen_elsewhere"
    status = 409


class WrongCurrency(DomainError):
    code = "wrong_currency"
    status = 422


class WrongAmount(DomainError):
    code = "wrong_amount"
    status = 422


class RestTooSmall(DomainError):
    """The rest could never be paid online. `whole` is open, `largest_part` is the most that leaves a payable rest."""

    code = "rest_too_small"
    status = 422


class PartsOff(DomainError):
    """The clinic takes no part of this invoice. `open` is all that is due."""

    code = "parts_off"
    status = 409


class DepositsOff(DomainError):
    """The clinic takes no money before there is an invoice."""

    code = "deposits_off"
    status = 409


class PartTooSmall(DomainError):
    """Less than the clinic's smallest part. `least` is that."""

    code = "part_too_small"
    status = 422


class TooManyInvoices(DomainError):
    """More invoices than one payment's metadata can name; `most` is the limit."""

    code = "too_many_invoices"
    status = 422


class CreditRestTooSmall(DomainError):
    """The rest beside the credit could not be charged. `most` is the most credit that leaves a rest which can be."""

    code = "credit_rest_too_small"
    status = 422


class KeyReused(DomainError):
    code = "idempotency_key_reused"
    status = 422


@dataclass(frozen=True, slots=True)
class Allocation:
    """A payment's share for one receivable; a reservation while the payment is open.

    `amount` is charged, and `credit_amount` is the client's credit beside it.
    """

    receivable_id: UUID
    amount: int
    state: Literal["open", "settled", "released"] = "open"
    settled_amount: int = 0
    credit_amount: int = 0
    used_credit_amount: int = 0

    @property
    def whole(self) -> int:
        """The sum that the client agreed to pay of the receivable."""
        return self.amount + self.credit_amount


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment and its PaymentIntent at Stripe.

    `amount` is the sum that Stripe charges while it is processing and once it succeeded; else the agreed sum.
    `account` is the connected account, '' the platform's own. `version` counts the published state events.
    `seen_at` is Stripe's time of the newest state applied, or of its charge. `declines` counts declined attempts,
    and `declined_charge` is the failed charge that the newest decline left. `fact_id` is the id of the newest state
    event; None for one that an earlier release made by another rule. `installation` and `signature` are the seal of
    its intent; None for a payment of an earlier release.
    """

    clinic_id: UUID
    id: UUID
    client_id: UUID
    account: str
    livemode: bool
    status: PaymentStatus
    amount: int
    currency: str
    kind: KeptKind
    save: bool
    idempotency_key: str
    created_at: datetime
    updated_at: datetime
    allocations: tuple[Allocation, ...]
    version: int = 0
    saved_method_id: UUID | None = None
    request_key: str | None = None
    intent_id: str | None = None
    customer_id: str | None = None
    method: Method | None = None
    failure_code: str | None = None
    traceparent: str | None = None
    succeeded_at: datetime | None = None
    seen_at: datetime | None = None
    declines: int = 0
    declined_charge: str | None = None
    fact_id: UUID | None = None
    installation: str | None = None
    signature: str | None = None
    deposit: bool = False
    """It is over no receivable, and becomes the client's credit whole."""

    @property
    def key(self) -> Key:
        return self.clinic_id, self.id

    @property
    def reserves(self) -> bool:
        """Whether it reserves its receivables."""
        return all(share.state == "open" for share in self.allocations)

    @property
    def agreed(self) -> int:
        """The sum that the client agreed to have charged."""
        return self.amount if self.deposit else sum(share.amount for share in self.allocations)

    @property
    def credit(self) -> int:
        """The client's credit that the client agreed to use with it."""
        return sum(share.credit_amount for share in self.allocations)

    @property
    def reserved_credit(self) -> int:
        """The credit that it keeps others from using."""
        return sum(share.credit_amount for share in self.allocations if share.state == "open")

    @property
    def used_credit(self) -> int:
        """The credit that settled receivables with the charge."""
        return sum(share.used_credit_amount for share in self.allocations)

    @property
    def surplus(self) -> int:
        """The sum charged above the open amounts; 0 unless it succeeded."""
        settled = sum(share.settled_amount for share in self.allocations)
        return self.amount - settled if self.status == "succeeded" else 0
