"""A clinic's rules of refunds: how much one may give back in 24 hours, and what another one has to agree to. Pure.

Sums are minor units of the refund's currency.
"""

from dataclasses import dataclass
from uuid import UUID

from contracts.vocabulary import RefundStatus
from services.chassis.errors import DomainError
from services.payment.refunds.domain import Refund


class RefundLimitReached(DomainError):
    """The caller has given back as much in 24 hours as the clinic's rules allow. `most` is that limit."""

    code = "refund_limit_reached"
    status = 409


class RefundNotFound(DomainError):
    code = "refund_not_found"
    status = 404


class ApprovalByAnother(DomainError):
    """Who asked for a refund cannot agree to it."""

    code = "approval_by_another"
    status = 409


class NotAwaitingApproval(DomainError):
    code = "not_awaiting_approval"
    status = 409


@dataclass(frozen=True, slots=True)
class RefundRules:
    """None: no limit, and no approval."""

    most_a_day: int | None = None
    most_amount_a_day: int | None = None
    approve_above: int | None = None
    refund_application_fee: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """How often, and how much in the refund's currency, one has given back in the last 24 hours."""

    count: int
    amount: int


def status_of(rules: RefundRules, given: Given, amount: int, currency: str) -> RefundStatus:
    """The status with which a refund of this sum begins. Raises `RefundLimitReached`."""
    if rules.most_a_day is not None and given.count >= rules.most_a_day:
        raise RefundLimitReached(
            "You have made as many refunds today as the clinic allows.", most=rules.most_a_day
        )
    if rules.most_amount_a_day is not None and given.amount + amount > rules.most_amount_a_day:
        left = max(0, rules.most_amount_a_day - given.amount)
        raise RefundLimitReached(
            "You have given back as much today as the clinic allows.",
            most={"minor": rules.most_amount_a_day, "currency": currency},
            left={"minor": left, "currency": currency},
        )
    needs_another = rules.approve_above is not None and amount > rules.approve_above
    return "awaiting_approval" if needs_another else "created"


def check_approval(refund: Refund, by: UUID) -> bool:
    """Whether it still has to be approved; False when it was. Raises `ApprovalByAnother`, `NotAwaitingApproval`."""
    if refund.status != "awaiting_approval":
        if refund.approved_by is None:
            raise NotAwaitingApproval("This refund waits for nobody's approval.")
        return False
    if refund.made_by == by:
        raise ApprovalByAnother("Another login or API key has to agree to this refund.")
    return True
