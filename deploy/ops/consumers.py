"""The consumer groups of all services."""

from collections.abc import Mapping
from types import ModuleType

from services.chassis.db.database import Database
from services.chassis.kafka.consume import consumers_of
from services.invoice import consumers as invoice
from services.notification import consumers as notification
from services.payment import consumers as payment

CONSUMERS: Mapping[str, ModuleType] = {"invoice": invoice, "payment": payment, "notification": notification}


def groups() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every consumer group: its service, and the topics it reads."""
    return {
        consumer.group: (service, consumer.topics)
        for service, module in CONSUMERS.items()
        for consumer in consumers_of(module, Database(""))
    }
