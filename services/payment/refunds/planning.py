"""A refund of one payment: how much of what it settled and of its surplus can go back, and which part first. Pure.

Amounts are integer minor units.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from contracts.currencies import step_of
from contracts.events.envelope import Method
from contracts.money import Money
from contracts.vocabulary import RefundDestination
from services.chassis.errors import DomainError
from services.chassis.ids import Key
from services.payment.ledger.domain import allocate
from services.payment.payments.domain import WrongAmount
from services.payment.receivables.domain import Receivable
from services.payment.refunds.domain import NothingToRefund, Refund, RefundTooLarge, Share, Surplus


class UnclearRefund(DomainError):
    """The request does not say which money goes back: a client's credit, or a payment."""

    code = "unclear_refund"
    status = 422


@dataclass(frozen=True, slots=True)
class PaymentRefundRequest:
    """A refund request of staff for one payment. `amount` None means all that is left.

    `split` names what goes back of each receivable; None means: the surplus first, then the newest receivable.
    """

    payment_id: UUID
    amount: int | None
    split: Mapping[UUID, int] | None
    destination: RefundDestination
    on_behalf_of: str | None = None

    client_id: UUID | None = None
    """Any client of the clinic."""


@dataclass(frozen=True, slots=True)
class Refundable:
    """The rest of a payment: of its surplus, and of what it settled on each receivable, newest first.

    `refunded` is the sum of its refunds to its method, also of those under way.
    """

    payment_id: UUID
    currency: str
    method: Method | None
    surplus: int
    kept: Mapping[UUID, int]
    refunded: int

    @property
    def at_stripe(self) -> Surplus:
        """All that is left of it, to be compared with its charge."""
        left = Money(minor=self.surplus + sum(self.kept.values()), currency=self.currency)
        return Surplus(self.payment_id, left, self.method, self.refunded)


def freed(left: Refundable, reserved: Refund | None) -> Refundable:
    """The rest of a payment, with what is reserved for this refund counted as left."""
    if reserved is None:
        return left
    kept = dict(left.kept)
    for receivable_id, part in reserved.parts.items():
        kept[receivable_id] = kept.get(receivable_id, 0) + part
    newest_first = {each: kept[each] for each in sorted(kept, reverse=True)}
    surplus = left.surplus + reserved.amount - sum(reserved.parts.values())
    refunded = left.refunded - (reserved.amount if reserved.destination == "method" else 0)
    return replace(left, surplus=surplus, kept=newest_first, refunded=refunded)


@dataclass(frozen=True, slots=True)
class Plan:
    """A refund to make: the shares of its amount that had settled receivables; the rest is credit."""

    amount: int
    shares: tuple[Share, ...]


def plan_payment(request: PaymentRefundRequest, left: Refundable) -> Plan:
    """The parts that go back. Raises `NothingToRefund`, `RefundTooLarge`, `WrongAmount`, `UnclearRefund`."""
    # Credit is the client's already: it cannot go to the credit once more.
    surplus = left.surplus if request.destination == "method" and request.split is None else 0
    step = _step(request, left)
    most = surplus + sum(left.kept.values())
    most -= most % step
    if most <= 0:
        raise NothingToRefund("There is nothing left of the payment that can be refunded.")
    if request.split is not None:
        return _as_split(request, request.split, left)
    wanted = most if request.amount is None else request.amount
    _check_amount(wanted, most, left.currency, step)
    parts = allocate(wanted - min(surplus, wanted), left.kept.items())
    return Plan(wanted, _shares(parts))


def add_returned(refund: Refund, owed: Mapping[Key, Receivable]) -> list[Receivable]:
    """The receivables that the refund gives something back of, with that counted as returned."""
    return [
        replace(owed[key], returned_amount=owed[key].returned_amount + refund.parts[key[1]])
        for key in refund.receivable_keys
    ]


def _as_split(request: PaymentRefundRequest, split: Mapping[UUID, int], left: Refundable) -> Plan:
    wanted = sum(split.values())
    if request.amount not in (None, wanted):
        raise UnclearRefund("The parts of the invoices do not sum to the amount.")
    for receivable_id, part in split.items():
        most = left.kept.get(receivable_id, 0)
        if part > most:
            raise RefundTooLarge(
                "This is more than can be refunded of the invoice.",
                invoice_id=str(receivable_id),
                refundable={"minor": most, "currency": left.currency},
            )
    _check_amount(wanted, wanted, left.currency, _step(request, left))
    return Plan(wanted, _shares(split))


def _step(request: PaymentRefundRequest, left: Refundable) -> int:
    """Stripe's step of the currency. Credit is our own, to the last minor unit."""
    return step_of(left.currency) if request.destination == "method" else 1


def _check_amount(wanted: int, most: int, currency: str, step: int) -> None:
    if wanted % step:
        raise WrongAmount(f"Refunds in {currency} go in steps of {step} minor units.")
    if wanted > most:
        raise RefundTooLarge(
            "This is more than can be refunded.", refundable={"minor": most, "currency": currency}
        )


def _shares(parts: Mapping[UUID, int]) -> tuple[Share, ...]:
    return tuple(Share(receivable_id, part) for receivable_id, part in parts.items() if part)
