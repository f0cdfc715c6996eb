"""Consumer groups, under which Kafka keeps offsets and inboxes keep claims, and what each one reads."""

from typing import Any

from deploy.ops import acls
from services.chassis.kafka.consume import consumers_of
from services.gateway.live import hub as live
from services.invoice import consumers as invoice
from services.notification import consumers as notification
from services.payment import consumers as payment
from tests.frozen.picture import Dbs

MODULES = {"invoice": invoice, "payment": payment, "notification": notification}


async def draw(dbs: Dbs) -> Any:
    groups = {
        consumer.group: {"service": service, "topics": sorted(consumer.topics)}
        for service, module in MODULES.items()
        for consumer in consumers_of(module, dbs[service].worker)
    }
    return {
        "groups": groups,
        "without_a_group": {"gateway": sorted(live.TOPICS)},
        "kafka_users": sorted(acls.users()),
    }
