"""`clinicpay reemit`: publishes again the events that a topic has lost, under the ids they had.

State events are made from the aggregates as they are now (newest version, and an invoice's first, which announces it),
and all movements. The auditor reads; the service's worker role writes to its outbox, and the relay sends.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from deploy.ops import database, workers
from services.chassis.outbox.reemit import Source, put_again
from services.invoice.clinics import reemit as clinics
from services.invoice.documents import reemit as documents
from services.invoice.erasures import reemit as erasures
from services.invoice.invoices import reemit as invoices
from services.notification.emails import reemit as emails
from services.payment.accounts import reemit as accounts
from services.payment.disputes import reemit as disputes
from services.payment.ledger import reemit as ledger
from services.payment.methods import reemit as methods
from services.payment.outside import reemit as outside
from services.payment.payments import reemit as payments
from services.payment.refunds import reemit as refunds

SOURCES: Mapping[str, Sequence[Source]] = {
    "invoice": (clinics.SOURCE, invoices.SOURCE, documents.SOURCE, erasures.SOURCE),
    "payment": (
        accounts.SOURCE,
        payments.SOURCE,
        payments.UPDATES,
        ledger.SOURCE,
        refunds.SOURCE,
        disputes.SOURCE,
        outside.SOURCE,
        methods.SOURCE,
    ),
    "notification": (emails.SOURCE,),
}


async def reemit(auditor_dsn: str, worker_dsn: str, service: str, since: datetime) -> int:
    """Put a service's events since then into its outbox again; returns their number."""
    async with database.connected(auditor_dsn) as reader, workers.opened(worker_dsn) as db:
        return await put_again(reader, db, SOURCES[service], since)
