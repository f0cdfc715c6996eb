"""The consumer groups of all services."""

from collections.abc import Mapping
from types import ModuleType

from services.chassis.kafka.consume import topics_by_group
from services.invoice import consumers as invoice
from services.notification import consumers as notification
from services.payment import consumers as payment

CONSUMERS: Mapping[str, ModuleType] = {"invoice": invoice, "payment": payment, "notification": notification}


def groups() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every consumer group: its service, and the topics it reads."""
    return {
        group: (service, topics)
        for service, module in CONSUMERS.items()
        for group, topics in topics_by_group(module).items()
    }


def topics_of_groups() -> dict[str, tuple[str, ...]]:
    """The topics that each consumer group reads."""
    return {group: topics for group, (_, topics) in groups().items()}
