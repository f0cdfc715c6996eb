"""What the machine itself can do, measured in the same run by the plainest clients there are, each a process.

`python -m deploy.bench.limits KIND PLACE SECONDS` prints operations a second; KIND is one of `KINDS`.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.topics import Kind, Topic
from deploy import database, topics
from deploy.bench.figures import Spec, declare, measures
from deploy.bench.installation import Bench

CLIENTS = 8
EVENT = b"x" * 700
"""As large as an event of ours."""
TOPIC = Topic("bench.limits", Kind.NOTICE, "bench", ())
DATABASE = "bench_limits"

declare(
    Spec(
        "one_row_commits_per_s", "commits/s", "limit: one row and one outbox row, BEGIN and COMMIT, 8 clients"
    ),
    Spec("kafka_produce_per_s", "events/s", "limit: 700 bytes each, acknowledged by all, pipelined"),
    Spec("kafka_fetch_per_s", "events/s", "limit: the same read back"),
    Spec("fsync_per_s", "fsyncs/s", "limit: 8 KiB appended and synchronised, one after the other"),
)


@measures("one_row_commits_per_s", "kafka_produce_per_s", "kafka_fetch_per_s", "fsync_per_s")
async def limits(bench: Bench) -> None:
    seconds = 2.0 if bench.quick else 5.0
    admin_dsn, kafka = bench.system.postgres.admin_dsn, bench.system.kafka.bootstrap_servers
    await _make_tables(admin_dsn)
    await topics.ensure(kafka, [TOPIC])
    for figure, kind, place in (
        ("one_row_commits_per_s", "commits", database.with_database(admin_dsn, DATABASE)),
        ("kafka_produce_per_s", "produce", kafka),
        ("kafka_fetch_per_s", "fetch", kafka),
        ("fsync_per_s", "fsync", str(bench.data / "fsync")),
    ):
        value = await _measured(kind, place, seconds)
        bench.limits[figure] = value
        bench.found(figure, value)


async def _measured(kind: str, place: str, seconds: float) -> float:
    command = [sys.executable, "-m", "deploy.bench.limits", kind, place, str(seconds)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the limit {kind} could not be measured")
    return float(said)


async def _make_tables(admin_dsn: str) -> None:
    admin = await asyncpg.connect(admin_dsn)
    await admin.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
    await admin.execute(f"CREATE DATABASE {DATABASE}")
    await admin.close()
    tables = await asyncpg.connect(database.with_database(admin_dsn, DATABASE))
    await tables.execute(
        """
        CREATE TABLE one (id uuid PRIMARY KEY, amount bigint NOT NULL);
        CREATE TABLE outbox (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload bytea NOT NULL)
        """
    )
    await tables.close()


async def _commits(dsn: str, seconds: float) -> float:
    """Each client on a connection of its own, as fast as it can."""
    clients = [await asyncpg.connect(dsn) for _ in range(CLIENTS)]
    end = time.perf_counter() + seconds
    began = time.perf_counter()
    counts = await asyncio.gather(*(_commit_until(client, end) for client in clients))
    return sum(counts) / (time.perf_counter() - began)


async def _commit_until(client: asyncpg.Connection, end: float) -> int:
    done = 0
    while time.perf_counter() < end:
        async with client.transaction():
            await client.execute("INSERT INTO one VALUES (gen_random_uuid(), $1)", done)
            await client.execute("INSERT INTO outbox (payload) VALUES ($1)", EVENT)
        done += 1
    return done


async def _produce(servers: str, seconds: float) -> float:
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, acks="all", enable_idempotence=True, max_batch_size=128 * 1024
    )
    await producer.start()
    began = time.perf_counter()
    done = 0
    while time.perf_counter() - began < seconds:
        sent = [await producer.send(TOPIC.name, EVENT, key=str(done + n).encode()) for n in range(1000)]
        await asyncio.gather(*sent)
        done += len(sent)
    took = time.perf_counter() - began
    await producer.stop()
    return done / took


async def _fetch(servers: str, seconds: float) -> float:
    consumer = AIOKafkaConsumer(TOPIC.name, bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    ends = await consumer.end_offsets(consumer.assignment())
    total, done = sum(ends.values()), 0
    began = time.perf_counter()
    while done < total and time.perf_counter() - began < seconds:
        batches = await consumer.getmany(timeout_ms=500, max_records=500)
        done += sum(map(len, batches.values()))
    took = time.perf_counter() - began
    await consumer.stop()
    return done / took


async def _fsync(file: str, seconds: float) -> float:
    page, done = b"x" * 8192, 0
    handle = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        os.write(handle, page)
        os.fdatasync(handle)
        done += 1
    took = time.perf_counter() - began
    os.close(handle)
    await asyncio.to_thread(Path(file).unlink)
    return done / took


KINDS: dict[str, Callable[[str, float], Awaitable[float]]] = {
    "commits": _commits,
    "produce": _produce,
    "fetch": _fetch,
    "fsync": _fsync,
}


async def _main(kind: str, place: str, seconds: float) -> None:
    print(await KINDS[kind](place, seconds))


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
