"""The names of leases: of all processes of a service one runs a job, as long as all call it the same."""

import gc
from collections.abc import Iterator
from typing import Any

from services.chassis.jobs.jobs import Jobs
from services.invoice import app as invoice
from services.invoice.settings import Settings as InvoiceSettings
from services.notification import app as notification
from services.notification.settings import Settings as NotificationSettings
from services.payment import app as payment
from services.payment.settings import Settings as PaymentSettings
from tests.builders.callers import PUBLIC_KEY
from tests.frozen.picture import Dbs

_COMMON: dict[str, Any] = {
    "http_port": 1,
    "kafka_bootstrap_servers": "127.0.0.1:1",
    "internal_token_public_key": PUBLIC_KEY,
}
_PAYMENT = {
    **{"stripe_secret_key": "sk_test_1", "stripe_webhook_secret": "whsec_1"},
    **{"installation": "harbour", "metadata_key": "-" * 32},
}
_NOTIFICATION = {
    "smtp_url": "smtp://127.0.0.1:1",
    "mail_from": "billing@clinicpay.example",
    "portal_url": "https://pay.example",
    "pay_link_key": "-" * 32,
}


async def draw(dbs: Dbs) -> Any:
    def given(service: str, **more: str) -> dict[str, Any]:
        return _COMMON | {"database_url": dbs[service].worker_dsn} | more

    workers = {
        "invoice": lambda: invoice.worker(InvoiceSettings(**given("invoice"))),
        "payment": lambda: payment.worker(PaymentSettings(**given("payment", **_PAYMENT))),
        "notification": lambda: notification.worker(
            NotificationSettings(**given("notification", **_NOTIFICATION))
        ),
    }
    return {service: _names(make) for service, make in workers.items()}


def _names(make: Any) -> list[str]:
    """The leases that a worker's jobs take. It is made and not started, so its jobs are looked for."""
    before = {id(jobs) for jobs in _all_jobs()}
    worker = make()
    new = [jobs for jobs in _all_jobs() if id(jobs) not in before]
    assert worker and new, "a worker without jobs"
    return sorted(job.args[0] for jobs in new for job in jobs.scheduler.get_jobs())


def _all_jobs() -> Iterator[Jobs]:
    return (each for each in gc.get_objects() if isinstance(each, Jobs))
