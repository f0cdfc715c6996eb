"""How an account's row becomes its event again."""

from collections.abc import Iterable

import asyncpg

from contracts.events.envelope import Event
from services.chassis.outbox.reemit import Source
from services.payment.accounts.domain import event_about

_ACCOUNTS = """
    SELECT clinic_id, takes_payments, version, published_at FROM accounts
    WHERE published_at >= $1 AND version > 0 ORDER BY clinic_id
"""


def account_events(row: asyncpg.Record) -> Iterable[Event]:
    """The newest state that was published."""
    yield event_about(*row)


SOURCE = Source(_ACCOUNTS, account_events)
