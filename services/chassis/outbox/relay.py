"""The relay: moves committed events from the services' outboxes to Kafka. `python -m services.chassis.outbox.relay`.

It holds a shard of an outbox by an advisory lock on a connection of its own, sends in id order with many sends in
flight, and deletes what Kafka has confirmed. Any send error ends the process: an idempotent producer that has once
lost a batch refuses every later one, and the supervisor's new process starts with a new producer.
"""

import asyncio
from collections import Counter as Numbers
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from litestar import Litestar

from contracts.events import topics
from services.chassis.db.connecting import Urls
from services.chassis.incidents import incidents
from services.chassis.jobs.background import background_app
from services.chassis.leaders import check_leaders
from services.chassis.outbox.sources import OutboxWorker, Settings, check_reached, run_all
from services.chassis.process import run
from services.chassis.telemetry.metrics import Counter
from services.chassis.telemetry.spans import sent_spans

_sent = Counter(
    "messaging.client.sent.messages",
    "{message}",
    "Events that the relay sent, and Kafka confirmed",
    "messaging.destination.name",
)
log = structlog.get_logger()

AT_ONCE = 1000
SEND_SECONDS = 30
"""aiokafka may wait for ever for a cluster that is gone (aiokafka#1101)."""
RETRY_PAUSE = 0.5
SHORTEST_PAUSE = 0.002
LONGEST_PAUSE = 0.08
"""An idle outbox is asked twelve times a second, a backlog is sent without a pause."""
GATHERED = range(6, 200)
GATHER_PAUSE = 0.02
"""After so many events the next ones are gathered: fewer, larger batches for all consumers."""


class Shard(OutboxWorker):
    """One shard of one service's outbox. `reached` while connected, and not only while its lock is held."""

    def __init__(self, name: str, urls: Urls, shard: int, shards: int, producer: AIOKafkaProducer) -> None:
        super().__init__(name, urls, RETRY_PAUSE, shard=shard)
        self._shard, self._shards, self.producer = shard, shards, producer

    async def _work(self, connection: Any) -> None:
        """Wait for the shard's lock, then send. The lock ends with the connection, and so does the sending."""
        self.reached = True
        while not await self.try_lock(connection):
            incidents.worked("outbox_unreachable", self.name)
            await asyncio.sleep(RETRY_PAUSE)
        pause = SHORTEST_PAUSE
        while True:
            sent = await self.send_waiting(connection)
            incidents.worked("outbox_unreachable", self.name)
            pause = SHORTEST_PAUSE if sent else min(pause * 1.5, LONGEST_PAUSE)
            if sent < AT_ONCE:
                await asyncio.sleep(GATHER_PAUSE if sent in GATHERED else pause)

    async def try_lock(self, connection: Any) -> bool:
        """Take the shard, unless another process has it, or cuts this outbox into another number of shards.

        With the shard goes a lock on their number, which all who send share: two numbers would send a key twice.
        """
        async with connection.transaction():
            # One at a time decides, or two with different numbers might each see nobody else.
            await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('outbox shards', 0))")
            if other := await connection.fetchval(_OTHER_SHARDS, _NUMBERS, self._shards):
                log.warning("outbox_shards_differ", database=self.name, own=self._shards, other=other)
                return False
            held: bool = await connection.fetchval(
                "SELECT pg_try_advisory_lock(hashtextextended('outbox' || $1::int, 0))", self._shard
            )
            if held:
                await connection.execute("SELECT pg_advisory_lock_shared($1, $2)", _NUMBERS, self._shards)
            return held

    async def send_waiting(self, connection: Any) -> int:
        """Send what waits, at most `AT_ONCE`, and delete it once confirmed. Returns how many. Raises on any doubt."""
        rows = await connection.fetch(
            """
            SELECT seq, id, aggregatetype, aggregateid, payload FROM outbox
            WHERE $1 = 1 OR abs(hashtextextended(aggregateid, 0) % $1) = $2
            ORDER BY seq LIMIT $3
            """,
            self._shards,
            self._shard,
            AT_ONCE,
        )
        if rows:
            await self._send(rows)
            await connection.execute("DELETE FROM outbox WHERE seq = ANY ($1)", [row["seq"] for row in rows])
        return len(rows)

    async def _send(self, rows: list[Any]) -> None:
        try:
            with sent_spans(rows):
                async with asyncio.timeout(SEND_SECONDS):
                    confirmations = [
                        await self.producer.send(
                            row["aggregatetype"], value=row["payload"], key=row["aggregateid"].encode()
                        )
                        for row in rows
                    ]
                    await asyncio.gather(*confirmations)
        except Exception as error:
            raise SendFailed from error
        for topic, number in Numbers([row["aggregatetype"] for row in rows]).items():
            _sent.add(number, topic)
        incidents.worked("kafka_unreachable")


_NUMBERS = 0x6F757462
"""The class of advisory locks whose second key is a number of shards."""
_OTHER_SHARDS = """
    SELECT objid::int FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND datname = current_database()
        AND classid = $1::int AND objid <> $2::int
    LIMIT 1
"""


class SendFailed(Exception):
    """Kafka did not confirm. Whether it has the events is unknown; they are sent again, under the same ids."""


def app(settings: Settings) -> Litestar:
    """The relay's process: it sends in its lifespan, and answers for its health."""
    shards: list[Shard] = []

    return background_app(
        partial(_send_all, settings, shards),
        failure="relay_ends",
        checks={"outboxes": partial(check_reached, shards), "kafka": partial(_check_kafka, shards)},
    )


async def _check_kafka(shards: list[Shard]) -> None:
    """Raise unless Kafka takes events. All shards have one producer; before it has started there are none."""
    if not shards:
        raise ConnectionError("Kafka is not reached yet")
    await check_leaders(shards[0].producer, topics.ALL)


async def _send_all(settings: Settings, shards: list[Shard]) -> None:
    producer = await _producer(settings)
    shards += [
        Shard(name, partial(settings.urls_of, name), shard, settings.outbox_shards, producer)
        for name in settings.outboxes
        for shard in range(settings.outbox_shards)
    ]
    await run_all(shards)


async def _producer(settings: Settings) -> AIOKafkaProducer:
    """A started producer; waits for Kafka to come up."""
    while True:
        producer = AIOKafkaProducer(
            bootstrap_servers=settings.kafka_bootstrap_servers,
            client_id="relay",
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=20_000,
            max_batch_size=128 * 1024,
            **settings.kafka_security.options(),
        )
        try:
            await producer.start()
            return producer
        except Exception as error:
            incidents.failed("kafka_unreachable", error=type(error).__name__)
        await producer.stop()
        await asyncio.sleep(RETRY_PAUSE)


if __name__ == "__main__":
    run("relay", "relay", app, Settings)
