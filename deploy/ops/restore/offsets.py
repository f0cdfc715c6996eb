"""Where each consumer group goes on reading after a restore."""

from datetime import datetime

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from deploy.ops.consumers import groups
from deploy.ops.restore.seen import all_partitions, offsets_at
from services.chassis.settings import KafkaSecurity


async def members(servers: str, security: KafkaSecurity) -> list[str]:
    """The consumer groups that have members."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers, **security.options())
    await admin.start()
    try:
        answers = await admin.describe_consumer_groups(sorted(groups()))
    finally:
        await admin.close()
    described = [group for answer in answers for group in answer.groups]
    return sorted(group[1] for group in described if group[5])


async def put_back(servers: str, security: KafkaSecurity, since: datetime) -> list[str]:
    """Put every consumer group of every service to that moment, in all of its topics."""
    for group, (_, names) in groups().items():
        consumer = AIOKafkaConsumer(
            bootstrap_servers=servers, group_id=group, enable_auto_commit=False, **security.options()
        )
        await consumer.start()
        try:
            partitions = all_partitions(names)
            consumer.assign(partitions)
            await consumer.commit(await offsets_at(consumer, partitions, since))
        finally:
            await consumer.stop()
    return sorted(groups())
