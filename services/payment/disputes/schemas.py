"""Between the bodies in `contracts.http.disputes` and the domain's values."""

from collections.abc import Sequence
from datetime import UTC, datetime

from contracts.http.common import Money, Page
from contracts.http.disputes import DisputeOut
from contracts.http.payments import ShareOut
from services.payment.disputes.domain import Dispute


def dispute_out(dispute: Dispute) -> DisputeOut:
    return DisputeOut(
        id=dispute.id,
        payment_id=dispute.payment_id,
        client_id=dispute.client_id,
        stripe_dispute_id=dispute.stripe_dispute_id,
        status=dispute.status,
        reason=dispute.reason,
        amount=Money(dispute.amount, dispute.currency),
        taken=Money(dispute.taken_amount, dispute.currency),
        fees=[Money(fee, currency) for currency, fee in sorted(dispute.fees.items())],
        due_by=dispute.due_by,
        has_evidence=dispute.has_evidence,
        submissions=dispute.submissions,
        invoices=[
            ShareOut(
                invoice_id=share.receivable_id, amount=Money(share.taken + share.reopened, dispute.currency)
            )
            for share in dispute.shares
            if share.taken + share.reopened
        ],
        opened_at=dispute.opened_at,
        updated_at=dispute.updated_at,
    )


def with_zone(given: datetime | None) -> datetime | None:
    """A time without an offset is in UTC."""
    if given is None or given.tzinfo is None:
        return given and given.replace(tzinfo=UTC)
    try:
        return given.astimezone(UTC)
    except OverflowError:
        return given.replace(
            tzinfo=UTC
        )  # of the first or last day that there is: no dispute is so near to it


def disputes_out(found: Sequence[Dispute], limit: int) -> Page[DisputeOut]:
    """A page of what was found, with one more than the limit if there are more."""
    shown = found[:limit]
    more = len(found) > limit
    return Page(items=[dispute_out(each) for each in shown], next=str(shown[-1].id) if more else None)
