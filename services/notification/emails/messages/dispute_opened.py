"""The e-mail to a clinic when a payment is disputed, or the bank asks about one."""

from operator import attrgetter
from typing import Any

from contracts.events.payment import PaymentDisputed
from contracts.vocabulary import ANSWERABLE_DISPUTES, OPEN_DISPUTES
from services.notification.emails.domain import DisputeData, Email, EmailData, EmailKind, Links
from services.notification.emails.messages.parts import Row, formats, invoice_name

REASONS = {
    "bank_cannot_process": "The client's bank could not process it.",
    "check_returned": "The client's bank returned it.",
    "credit_not_processed": "The client says that money was to come back, and did not.",
    "customer_initiated": "The client took it back at the bank.",
    "debit_not_authorized": "The client says that they did not allow the debit.",
    "duplicate": "The client says that they paid twice for the same.",
    "fraudulent": "The client says that they did not make this payment.",
    "incorrect_account_details": "The bank account's details were wrong.",
    "insufficient_funds": "There was too little money in the bank account.",
    "noncompliant": "The bank says that the payment broke a rule of the card's network.",
    "product_not_received": "The client says that they did not get what they paid for.",
    "product_unacceptable": "The client says that it was not what was agreed.",
    "subscription_canceled": "The client says that they had canceled.",
    "unrecognized": "The client does not recognise the payment.",
}
NO_REASON = "The bank gives no reason."


def data_of(event: PaymentDisputed) -> EmailData:
    return EmailData(
        amount=event.amount,
        at=event.opened_at,
        invoices=event.invoices,
        dispute=DisputeData(
            id=event.dispute_id, status=event.status, reason=event.reason, due_by=event.due_by
        ),
    )


def is_open(event: PaymentDisputed) -> bool:
    return event.status in OPEN_DISPUTES


def opening(event: PaymentDisputed) -> str:
    """An inquiry that becomes a chargeback is told again: the bank takes the money then."""
    return occasion(event, "inquiry" if _is_inquiry(event.status) else "chargeback")


def occasion(event: PaymentDisputed, name: str) -> str:
    """Each time that the bank takes a dispute up again, all its occasions are new."""
    return f"{event.dispute_id}:{name}" + (f":{event.taken_up}" if event.taken_up else "")


def _is_inquiry(status: str) -> bool:
    return status.startswith("warning_")


def rows_of(email: Email) -> list[Row]:
    """The invoices of which the bank took money."""
    write = formats(email)
    return [
        Row(invoice_name(email, share.invoice_id), write.money(share.amount))
        for share in email.delivery.data.invoices
    ]


def name_of(email: Email) -> str:
    """The words by which staff find it: the API has no other name for it."""
    dispute = email.delivery.data.dispute
    return f"Dispute {dispute.id}" if dispute else "Dispute"


FOOTING = "This e-mail goes to the address in your clinic's settings."


def content(email: Email, links: Links) -> dict[str, Any]:
    data, write = email.delivery.data, formats(email)
    dispute = data.dispute
    amount = write.money(data.amount)
    asks = dispute is not None and _is_inquiry(dispute.status)
    reason = REASONS.get(dispute.reason or "", NO_REASON) if dispute else NO_REASON
    answer = "The bank takes no answer."
    if dispute and dispute.due_by and dispute.status in ANSWERABLE_DISPUTES:
        answer = f"Answer by {write.moment(dispute.due_by)}, {write.zone_name()}. The bank takes one answer."
    taken = "No money was taken." if asks else "The bank takes the money while it decides, and Stripe a fee."
    return {
        "subject": f"The bank asks about a payment of {amount}"
        if asks
        else f"A payment of {amount} is disputed",
        "preview": answer,
        "lead": "The bank of a client asks about a payment."
        if asks
        else "A client has disputed a payment at their bank.",
        "done": "Disputed",
        "amount": amount,
        "about": name_of(email),
        "rows": rows_of(email),
        "reason": reason,
        "note": f"{taken} {answer}",
        "action": None,
        "question": FOOTING,
    }


KIND = EmailKind(
    "dispute_opened",
    PaymentDisputed,
    attrgetter("dispute_id"),
    data_of,
    content,
    applies=is_open,
    occasion=opening,
    began=attrgetter("opened_at"),
    to_clinic=True,
)
