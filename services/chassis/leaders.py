"""Whether a producer's cluster can take records."""

from collections.abc import Iterable

from aiokafka import AIOKafkaProducer

from contracts.events.topics import Topic


async def check_leaders(producer: AIOKafkaProducer, topics: Iterable[Topic]) -> None:
    """Raise unless the cluster answers and each partition of these topics has a leader."""
    cluster = await producer.client.fetch_all_metadata()
    for topic in topics:
        led = cluster.available_partitions_for_topic(topic.name)
        if not led or led != cluster.partitions_for_topic(topic.name):
            raise ConnectionError(f"partitions of {topic.name} have no leader")
