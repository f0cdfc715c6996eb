"""The topics of `contracts.events.topics`, made on a broker. Services never create topics themselves."""

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts.events.topics import ALL, Topic
from services.chassis.settings import OPEN, KafkaSecurity

_ALREADY_EXISTS = 36
_MS_PER_DAY = 86_400_000
LEADER_TIMEOUT = 30.0


class TopicRefused(Exception):
    """The broker did not make a topic, or has it with other partitions than the contract says."""


async def ensure(
    bootstrap_servers: str, topics: Iterable[Topic] = ALL, security: KafkaSecurity = OPEN
) -> list[str]:
    """Make the topics that are missing and wait for their leaders; answers the names of the new ones.

    Replicated three times where the cluster has three brokers. A topic with other partitions is refused:
    changing the number would move keys to other partitions.
    """
    wanted = {topic.name: topic for topic in topics}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, **security.options())
    await admin.start()
    try:
        missing = sorted(wanted.keys() - set(await admin.list_topics()))
        replicas = min(3, len((await admin.describe_cluster())["brokers"]))
        if missing:
            answer = await admin.create_topics([new_topic(wanted[name], replicas) for name in missing])
            _check(answer.topic_errors)
        await _settled(admin, wanted)
    finally:
        await admin.close()
    return missing


def new_topic(topic: Topic, replicas: int) -> NewTopic:
    settings = {
        "retention.ms": str(topic.retention_days * _MS_PER_DAY),
        "min.insync.replicas": str(max(1, replicas - 1)),
        # The broker unpacks what others send: a compression that we cannot read would stop every reader for ever.
        "compression.type": "uncompressed",
    }
    return NewTopic(topic.name, topic.partitions, replicas, topic_configs=settings)


def _check(errors: Iterable[tuple[str, int, str | None]]) -> None:
    refused = [f"{name}: {words or code}" for name, code, words in errors if code not in (0, _ALREADY_EXISTS)]
    if refused:
        raise TopicRefused("; ".join(refused))


async def _settled(admin: AIOKafkaAdminClient, wanted: dict[str, Topic]) -> None:
    """Wait until every partition has a leader: a producer that comes sooner would have to retry."""
    async with asyncio.timeout(LEADER_TIMEOUT):
        while True:
            found = {
                topic["topic"]: topic["partitions"] for topic in await admin.describe_topics(list(wanted))
            }
            leaders = [part["leader"] for name in wanted for part in found[name]]
            if leaders and min(leaders) >= 0 and all(found[name] for name in wanted):
                break
            await asyncio.sleep(0.05)
    for name, topic in wanted.items():
        if len(found[name]) != topic.partitions:
            raise TopicRefused(
                f"{name} has {len(found[name])} partitions, the contract says {topic.partitions}"
            )
