"""The verb of the ledger. It takes the transaction first, and commits nothing."""

from services.chassis.db.database import Connection
from services.chassis.outbox import outbox
from services.payment.ledger import store
from services.payment.ledger.domain import Booking


async def book(tx: Connection, booking: Booking) -> None:
    """Add entries, movements and events. Empty parts are left out: the role of the API may not book.

    Lock the credit balances that the entries change before. Raises `CreditOverdrawn`.
    """
    if booking.entries:
        await store.add_entries(tx, booking.entries)
    if booking.movements:
        await store.add_movements(tx, booking.movements)
    if booking.events:
        await outbox.add(tx, booking.events)
