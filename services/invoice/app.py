"""The invoice service's two processes."""

from litestar import Litestar

from services.chassis.db.database import Database
from services.chassis.http.app import service_app
from services.chassis.kafka.worker import worker_app
from services.invoice import consumers
from services.invoice.clients import routes as clients
from services.invoice.clinics import routes as clinics
from services.invoice.invoices import routes as invoices
from services.invoice.settings import Settings

ROUTES = [*clinics.ALL, *clients.ALL, *invoices.ALL]


def api(settings: Settings) -> Litestar:
    """HTTP: clinics, clients, invoices."""
    db = Database(settings.database_urls)
    return service_app(name="invoice", settings=settings, db=db, route_handlers=ROUTES)


def worker(settings: Settings) -> Litestar:
    """Kafka: consume payment's events and book them on invoices."""
    db = Database(settings.database_urls)
    return worker_app(name="invoice", settings=settings, db=db, consumers=consumers)
