"""Refunds and disputes made at Stripe itself, whose money cannot be refunded here. Pure decisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.chassis.errors import DomainError
from services.payment.refunds.domain import Surplus


class RefundedAtStripe(DomainError):
    """A part of the payment was refunded at Stripe itself; `refundable` is the sum that can still be refunded."""

    code = "refunded_at_stripe"
    status = 409


class ChargeDisputed(DomainError):
    """The payer has disputed the payment at the bank, which decides where its money goes."""

    code = "charge_disputed"
    status = 409


class NotLookedUp(Exception):
    """The charges of these payments must be read at Stripe before they are refunded."""

    def __init__(self, payment_ids: Sequence[UUID]) -> None:
        super().__init__("payments that nobody has asked Stripe about")
        self.payment_ids = payment_ids


@dataclass(frozen=True, slots=True)
class AtStripe:
    """A payment's charge at Stripe: the sum refunded, by us or not, in minor units, and whether it is disputed.

    `has_fee`: the platform took an application fee of it.
    """

    refunded: int
    disputed: bool
    has_fee: bool = False


def check_at_stripe(
    parts: Sequence[tuple[UUID, int]], surpluses: Sequence[Surplus], seen: Mapping[UUID, AtStripe]
) -> None:
    """Refuse refunds above the rest of a charge. Raises `NotLookedUp`, `ChargeDisputed`, `RefundedAtStripe`."""
    unseen = [payment_id for payment_id, _ in parts if payment_id not in seen]
    if unseen:
        raise NotLookedUp(unseen)
    of = {surplus.payment_id: surplus for surplus in surpluses}
    for payment_id, amount in parts:
        _check_charge(of[payment_id], amount, seen[payment_id])


def _check_charge(surplus: Surplus, amount: int, there: AtStripe) -> None:
    if there.disputed:
        raise ChargeDisputed(
            "The payer disputes this payment at the bank. It cannot be refunded.",
            payment_id=str(surplus.payment_id),
        )
    elsewhere = max(0, there.refunded - surplus.refunded)
    left = max(0, surplus.left.minor - elsewhere)
    if amount > left:
        currency = surplus.left.currency
        raise RefundedAtStripe(
            "Some of this payment was already refunded in Stripe's dashboard. Less of it can go back.",
            payment_id=str(surplus.payment_id),
            refunded={"minor": elsewhere, "currency": currency},
            refundable={"minor": left, "currency": currency},
        )
