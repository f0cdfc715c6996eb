"""How the row of a card that expires becomes its event again."""

from collections.abc import Iterable

import asyncpg

from contracts.events.envelope import Event
from services.chassis.outbox.reemit import Source
from services.payment.methods import domain
from services.payment.methods.domain import ExpiryNotice

_NOTICES = """
    SELECT clinic_id, client_id, account, card, expires_on, method_id, brand, last4, published_at
    FROM expiry_notices WHERE published_at >= $1 ORDER BY clinic_id, client_id, account, card, expires_on
"""


def notice_events(row: asyncpg.Record) -> Iterable[Event]:
    """That it expires."""
    yield domain.fact_about(ExpiryNotice(**row))


SOURCE = Source(_NOTICES, notice_events)
