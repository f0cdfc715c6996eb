"""The invoice service's two processes."""

from litestar import Litestar

from services.chassis.db.database import Database
from services.chassis.http.app import service_app
from services.chassis.kafka.worker import worker_app
from services.invoice import consumers
from services.invoice.invoices import routes
from services.invoice.settings import Settings


def api(settings: Settings) -> Litestar:
    """HTTP: clinics, clients, invoices."""
    db = Database(settings.database_url)
    return service_app(name="invoice", settings=settings, db=db, route_handlers=routes.ALL)


def worker(settings: Settings) -> Litestar:
    """Kafka: what payment says about invoices."""
    db = Database(settings.database_url)
    return worker_app(name="invoice", settings=settings, db=db, consumers=consumers)
