"""The invoice service's two processes."""

from functools import partial

from litestar import Litestar
from litestar.di import Provide

from services.chassis.db.database import Database
from services.chassis.exceptions import Ways
from services.chassis.held import actions as held_actions
from services.chassis.holding import holding_routes
from services.chassis.http.app import service_app
from services.chassis.jobs.jobs import Jobs
from services.chassis.kafka.samples import watching_lag
from services.chassis.kafka.worker import worker_app
from services.chassis.settling import settling_routes
from services.invoice import consumers
from services.invoice.clients import routes as clients
from services.invoice.clinics import routes as clinics
from services.invoice.documents import held
from services.invoice.documents import routes as documents
from services.invoice.erasures import actions as erasures
from services.invoice.invoices import actions as invoice_actions
from services.invoice.invoices import routes as invoices
from services.invoice.printing import routes as printing
from services.invoice.printing.printer import Printer
from services.invoice.retention import RULES
from services.invoice.settings import Settings

ERASE_SECONDS = 6 * 3600.0
OVERDUE_SECONDS = 600.0

WAYS: Ways = held_actions.ways(held.ACTS)
"""How exceptions of this service are settled, those without a way of their own aside."""
ROUTES = [
    *clinics.ALL,
    *clients.ALL,
    *invoices.ALL,
    *documents.ALL,
    *printing.ALL,
    *settling_routes(WAYS),
    *holding_routes(held.ACTS),
]


def api(settings: Settings) -> Litestar:
    """HTTP: clinics, clients, invoices, and documents as PDF, which processes of their own print."""
    db = Database(settings.database_urls)
    printer = Printer()
    return service_app(
        name="invoice",
        settings=settings,
        db=db,
        route_handlers=ROUTES,
        dependencies={"printer": Provide(lambda: printer, sync_to_thread=False)},
        lifespan=[printer.closing, *watching_lag(settings, consumers)],
        other_callers={printing.NOTIFICATION: settings.document_token_public_key}
        if settings.document_token_public_key
        else {},
    )


def worker(settings: Settings) -> Litestar:
    """Kafka: consume payment's events and book them on invoices. In turns, erase names whose time has passed, and
    publish which invoices are overdue."""
    db = Database(settings.database_urls)
    timed = Jobs(db)
    timed.every(ERASE_SECONDS, "erase_identities", partial(erasures.erase_due, db))
    timed.every(OVERDUE_SECONDS, "announce_overdue", partial(invoice_actions.announce_overdue, db))
    return worker_app(
        name="invoice",
        settings=settings,
        db=db,
        consumers=consumers,
        rules=RULES,
        jobs=timed,
        handlers=held_actions.handlers(held.ACTS),
    )
