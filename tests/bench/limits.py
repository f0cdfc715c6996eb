"""The machine's own limits, measured in the same run by the plainest clients there are, each a process.

`python -m tests.bench.limits KIND PLACE SECONDS` prints JSON; KIND is one of `KINDS`.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.events.topics import Kind, Topic
from deploy.ops import database, topics
from tests.bench.figures import Spec, declare, measures
from tests.bench.installation import Bench

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 8
ROUND_TRIPS = 200
EVENT = b"x" * 700
"""As large as an event of ours."""
TOPIC = Topic("bench.limits", Kind.NOTICE, "bench", ())
DATABASE = "bench_limits"

declare(
    Spec(
        "one_row_commits_per_s", "commits/s", "limit: one row and one outbox row, BEGIN and COMMIT, 8 clients"
    ),
    Spec("commit_cpu_ms", "ms", "limit: CPU of such a commit, of the client and PostgreSQL", "less"),
    Spec("kafka_produce_per_s", "events/s", "limit: 700 bytes each, acknowledged by all, pipelined"),
    Spec("kafka_fetch_per_s", "events/s", "limit: the same read back"),
    Spec("kafka_ms", "ms", "limit: from one event's send to its arrival, nothing else going on", "less"),
    Spec("fsync_ms", "ms", "limit: 8 KiB appended and synchronised, one after the other", "less"),
)
FIGURES = (
    "one_row_commits_per_s",
    "commit_cpu_ms",
    "kafka_produce_per_s",
    "kafka_fetch_per_s",
    "kafka_ms",
    "fsync_ms",
)


@measures(*FIGURES)
async def limits(bench: Bench) -> None:
    seconds = 1.0 if bench.quick else 5.0
    admin_dsn, kafka = bench.system.postgres.admin_dsn, bench.system.kafka.bootstrap_servers
    await _make_tables(admin_dsn)
    await topics.ensure(kafka, [TOPIC])
    found: dict[str, float] = {}
    for kind, place in (
        ("commits", database.with_database(admin_dsn, DATABASE)),
        ("kafka", kafka),
        ("fsync", str(bench.data / "fsync")),
    ):
        before = bench.usage()
        found |= await _measured(kind, place, seconds)
        if kind == "commits":
            server = bench.usage().since(before).of(["postgres"])
            found["commit_cpu_ms"] = 1000 * (found.pop("client_cpu_s") + server) / found.pop("commits")
    bench.limits |= found
    for figure in FIGURES:
        bench.found(figure, found[figure])


async def _measured(kind: str, place: str, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.limits", kind, place, str(seconds)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the limit {kind} could not be measured")
    return dict(json.loads(output))


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


async def _commits(dsn: str, seconds: float) -> dict[str, float]:
    """Each client on a connection of its own, as fast as it can."""
    clients = [await asyncpg.connect(dsn) for _ in range(CLIENTS)]
    cpu, began = time.process_time(), time.perf_counter()
    counts = await asyncio.gather(*(_commit_until(client, began + seconds) for client in clients))
    done, took = sum(counts), time.perf_counter() - began
    return {
        "one_row_commits_per_s": done / took,
        "commits": done,
        "client_cpu_s": time.process_time() - cpu,
    }


async def _commit_until(client: asyncpg.Connection, end: float) -> int:
    done = 0
    while time.perf_counter() < end:
        async with client.transaction():
            await client.execute("INSERT INTO one VALUES (gen_random_uuid(), $1)", done)
            await client.execute("INSERT INTO outbox (payload) VALUES ($1)", EVENT)
        done += 1
    return done


async def _kafka(servers: str, seconds: float) -> dict[str, float]:
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, acks="all", enable_idempotence=True, max_batch_size=128 * 1024
    )
    consumer = AIOKafkaConsumer(TOPIC.name, bootstrap_servers=servers, auto_offset_reset="earliest")
    await producer.start()
    await consumer.start()
    try:
        return {
            "kafka_produce_per_s": await _produce(producer, seconds),
            "kafka_fetch_per_s": await _fetch(consumer, seconds),
            "kafka_ms": await _one_by_one(producer, consumer),
        }
    finally:
        await consumer.stop()
        await producer.stop()


async def _produce(producer: AIOKafkaProducer, seconds: float) -> float:
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        sent = [await producer.send(TOPIC.name, EVENT, key=str(done + n).encode()) for n in range(1000)]
        await asyncio.gather(*sent)
        done += len(sent)
    return done / (time.perf_counter() - began)


async def _fetch(consumer: AIOKafkaConsumer, seconds: float) -> float:
    ends = await consumer.end_offsets(consumer.assignment())
    total, done = sum(ends.values()), 0
    began = time.perf_counter()
    while done < total and time.perf_counter() - began < seconds:
        batches = await consumer.getmany(timeout_ms=500, max_records=500)
        done += sum(map(len, batches.values()))
    return done / (time.perf_counter() - began)


async def _one_by_one(producer: AIOKafkaProducer, consumer: AIOKafkaConsumer) -> float:
    """The median of milliseconds from a send to its arrival."""
    await consumer.seek_to_end()
    for partition in consumer.assignment():
        await consumer.position(partition)
    took = []
    for n in range(ROUND_TRIPS):
        began = time.perf_counter()
        arrival = asyncio.ensure_future(consumer.getone())
        await producer.send_and_wait(TOPIC.name, EVENT, key=str(n).encode())
        await arrival
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


async def _fsync(file: str, seconds: float) -> dict[str, float]:
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
    return {"fsync_ms": 1000 * took / done}


KINDS: dict[str, Callable[[str, float], Awaitable[dict[str, float]]]] = {
    "commits": _commits,
    "kafka": _kafka,
    "fsync": _fsync,
}


async def _main(kind: str, place: str, seconds: float) -> None:
    sys.stdout.write(json.dumps(await KINDS[kind](place, seconds)))


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
