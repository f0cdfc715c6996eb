"""The invoice service's two processes."""

from functools import partial

from litestar import Litestar

from services.chassis.db.database import Database
from services.chassis.http.app import service_app
from services.chassis.jobs.jobs import Jobs
from services.chassis.kafka.worker import worker_app
from services.invoice import consumers
from services.invoice.clients import routes as clients
from services.invoice.clinics import routes as clinics
from services.invoice.erasures import actions as erasures
from services.invoice.invoices import routes as invoices
from services.invoice.retention import RULES
from services.invoice.settings import Settings

ERASE_SECONDS = 6 * 3600.0

ROUTES = [*clinics.ALL, *clients.ALL, *invoices.ALL]


def api(settings: Settings) -> Litestar:
    """HTTP: clinics, clients, invoices."""
    db = Database(settings.database_urls)
    return service_app(name="invoice", settings=settings, db=db, route_handlers=ROUTES)


def worker(settings: Settings) -> Litestar:
    """Kafka: consume payment's events and book them on invoices. In turns, erase names whose time has passed."""
    db = Database(settings.database_urls)
    timed = Jobs(db)
    timed.every(ERASE_SECONDS, "erase_identities", partial(erasures.erase_due, db))
    return worker_app(name="invoice", settings=settings, db=db, consumers=consumers, rules=RULES, jobs=timed)
