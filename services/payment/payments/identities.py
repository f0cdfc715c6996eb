"""Ids of what is booked and published about a payment. None depends on when we booked it.

An id is made from Stripe's object, the receivable, the kind, and the moment in our own id of the payment or refund.
That id was committed before Stripe was called, and Stripe's object carries it: a webhook, the sweeper and a service
that was restored from a backup all know the same one. So what is booked again has the id that it had.
"""

from uuid import UUID

from contracts.events.envelope import event_id
from contracts.events.payment import PaymentSettled, PaymentUpdated
from services.chassis.ids import made_at
from services.payment.payments.domain import Payment


def of_movement(payment: Payment, receivable_id: UUID, kind: str, *cause: str) -> UUID:
    """One intent moves money to a receivable once for each kind.

    With a `cause`: once for each cause, where a restore may lose the movement, and readers have its id as lost.
    """
    topic = PaymentSettled.topic.name
    return event_id(made_at(payment.id), topic, _stripe_object(payment), receivable_id, kind, *cause)


def of_excess(payment_id: UUID, receivable_id: UUID, made_by: int | str) -> UUID:
    """The movement that makes a part of a payment credit. `made_by`: the version of the invoice, or a name."""
    return event_id(
        made_at(payment_id), PaymentSettled.topic.name, "excess", payment_id, receivable_id, made_by
    )


def of_fact(payment: Payment, topic: str, *attempt: str | None) -> UUID:
    """The state event of a payment. It ends once; it may be tried often, so an attempt has a name of its own."""
    return event_id(made_at(payment.id), topic, _stripe_object(payment), *attempt)


def of_update(payment: Payment) -> UUID:
    return event_id(made_at(payment.id), PaymentUpdated.topic.name, _stripe_object(payment))


def _stripe_object(payment: Payment) -> str:
    """The PaymentIntent; a payment that was given up before it had one is named by its own id."""
    return payment.intent_id or str(payment.id)
