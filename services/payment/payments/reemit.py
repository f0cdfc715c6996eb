"""How a payment's row becomes its events again."""

from collections.abc import Iterable

import asyncpg

from contracts.events.envelope import Event
from contracts.vocabulary import PUBLISHED_PAYMENTS
from services.chassis.db.sql import literals
from services.chassis.outbox.reemit import Source
from services.payment.payments import facts
from services.payment.payments.reads import PAYMENT, payment_of

_PAYMENTS = f"""
    SELECT {PAYMENT} FROM payments
    WHERE status IN {literals(PUBLISHED_PAYMENTS)} AND kind <> 'credit' AND updated_at >= $1
    ORDER BY clinic_id, id
"""


# The method of payment became known after the movement was published. Stripe sends events of a charge for three days.
_UPDATED_PAYMENTS = f"""
    SELECT {PAYMENT} FROM payments
    WHERE status = 'succeeded' AND method_kind IS NOT NULL
        AND updated_at >= $1::timestamptz - interval '3 days' AND EXISTS (
        SELECT FROM movements AS m
        WHERE m.clinic_id = payments.clinic_id AND m.payment_id = payments.id AND m.kind = 'payment'
            AND (m.method_kind, m.method_brand, m.method_last4)
                IS DISTINCT FROM (payments.method_kind, payments.method_brand, payments.method_last4)
    )
    ORDER BY clinic_id, id
"""


def payment_events(row: asyncpg.Record) -> Iterable[Event]:
    """The newest state. A payment that is tried again after a failure has published none yet, and is left out."""
    yield facts.fact_about(payment_of(row))


def update_events(row: asyncpg.Record) -> Iterable[Event]:
    """The method of payment, where it became known only after the success was published."""
    update = facts.update_about(payment_of(row))
    return () if update is None else (update,)


SOURCE = Source(_PAYMENTS, payment_events)
UPDATES = Source(_UPDATED_PAYMENTS, update_events)
