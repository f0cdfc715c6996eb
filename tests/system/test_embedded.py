"""The embedded parts, each started for real."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.events.topics import Kind, Topic
from deploy.local import places
from deploy.local.errors import EmbeddedError
from deploy.local.kafka import EmbeddedKafka
from deploy.local.memory import proportional_bytes
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import free_port
from deploy.ops import database, topics

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that goes with the test. pytest's own would be closed to PostgreSQL's account under root."""
    directory = Path(tempfile.mkdtemp(prefix="clinicpay-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


async def test_postgres_keeps_its_data(place: Path) -> None:
    async with EmbeddedPostgres(place / "pg") as server:
        connection = await asyncpg.connect(server.admin_dsn)
        assert await connection.fetchval("SHOW wal_level") == "logical"
        assert (await connection.fetchval("SHOW server_version")).startswith("18.")
        await connection.execute("CREATE TABLE kept AS SELECT uuidv7() AS id")
        await connection.close()

    async with EmbeddedPostgres(place / "pg") as server:
        connection = await asyncpg.connect(server.admin_dsn)
        assert await connection.fetchval("SELECT count(*) FROM kept") == 1
        await connection.close()


async def test_postgres_wants_the_password() -> None:
    async with EmbeddedPostgres(durable=False) as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://postgres:guess@127.0.0.1:{server.port}/postgres")


async def test_postgres_refuses_data_of_another_version(place: Path) -> None:
    server = EmbeddedPostgres(place / "pg")
    await server.start()
    await server.stop()
    (place / "pg" / "cluster" / "PG_VERSION").write_text("17\n")

    with pytest.raises(EmbeddedError, match=r"is of PostgreSQL 17, this is 18"):
        await EmbeddedPostgres(place / "pg").start()


async def test_a_stranger_on_the_port_is_not_taken_for_ours() -> None:
    async with EmbeddedPostgres(durable=False) as ours, EmbeddedPostgres(durable=False) as stranger:
        own_port, ours.port = ours.port, stranger.port
        assert not await ours.ready()
        ours.port = own_port
        assert await ours.ready()


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only under root: run the tests as root to check where its data goes"
)
async def test_under_root_data_goes_where_the_server_can_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "pg")
    assert server.moved_to and server.moved_to.is_relative_to(places.SHARED_DATA)
    assert EmbeddedPostgres(closed / "pg").moved_to == server.moved_to
    await server.start()
    try:
        owner = (Path("/proc") / str(server.child.pid)).stat().st_uid
        assert owner != 0
    finally:
        await server.stop()
        shutil.rmtree(server.moved_to)


async def test_no_service_reaches_another_ones_database() -> None:
    async with EmbeddedPostgres(durable=False) as server:
        passwords = database.test_passwords()
        dsns = await database.bootstrap(server.admin_dsn, database.SERVICES, passwords)
        assert dsns == await database.bootstrap(server.admin_dsn, database.SERVICES, passwords)
        assert set(dsns) == set(database.all_roles())
        for role, dsn in dsns.items():
            for service in database.SERVICES:
                reached = await _reaches(database.with_database(dsn, database.database_name(service)))
                assert reached is role.startswith(service), (role, service)


async def _reaches(dsn: str) -> bool:
    try:
        await (await asyncpg.connect(dsn)).close()
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


async def test_migrations_apply_once_and_a_clone_has_them() -> None:
    async with EmbeddedPostgres(durable=False) as server:
        dsns = await database.bootstrap(server.admin_dsn, ["invoice"], database.test_passwords())
        await database.migrate_all(dsns, ["invoice"])
        await database.migrate_all(dsns, ["invoice"])
        await database.clone(server.admin_dsn, "invoice", "copy")
        connection = await asyncpg.connect(database.with_database(dsns["invoice_api"], "copy"))
        assert await connection.fetchval("SELECT to_regclass('outbox') IS NOT NULL")
        await connection.close()


async def test_a_refused_migration_is_named() -> None:
    async with EmbeddedPostgres(durable=False) as server:
        dsns = await database.bootstrap(server.admin_dsn, ["invoice"], database.test_passwords())
        owner = await asyncpg.connect(dsns["invoice_owner"])
        await owner.execute("CREATE TABLE outbox ()")
        await owner.close()
        with pytest.raises(database.MigrationFailed, match=r'invoice: .*"outbox" already exists'):
            database.migrate("invoice", dsns["invoice_owner"])


async def test_kafka_keeps_its_records_and_makes_no_topics_unasked(tmp_path: Path) -> None:
    topic = Topic("kept.record", Kind.NOTICE, "invoice", (), partitions=3)
    async with EmbeddedKafka(tmp_path / "kafka") as broker:
        assert await topics.ensure(broker.bootstrap_servers, [topic]) == ["kept.record"]
        assert await topics.ensure(broker.bootstrap_servers, [topic]) == []
        with pytest.raises(topics.TopicRefused, match="has 3 partitions, the contract says 5"):
            await topics.ensure(broker.bootstrap_servers, [Topic("kept.record", Kind.NOTICE, "x", (), 5)])
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all") as producer:
            await producer.send_and_wait("kept.record", b"1", key=b"k")
        cluster = broker.cluster_id

    async with EmbeddedKafka(tmp_path / "kafka") as broker:
        assert broker.cluster_id == cluster
        reader = AIOKafkaConsumer(
            "kept.record", bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest"
        )
        async with reader:
            assert (await asyncio.wait_for(reader.getone(), 20)).value == b"1"


async def test_another_broker_on_the_port_is_not_taken_for_ours() -> None:
    async with EmbeddedKafka() as ours:
        assert await ours.ready()
        cluster, ours.cluster_id = ours.cluster_id, "another"
        assert not await ours.ready()
        ours.cluster_id = cluster
        ours.port = free_port()
        assert not await ours.ready()


ORPHANS = """
import asyncio, sys
from pathlib import Path
from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres

async def main():
    async with EmbeddedPostgres(Path(sys.argv[1])) as postgres, EmbeddedKafka(Path(sys.argv[2])) as kafka:
        print(postgres.child.pid, kafka.child.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
async def test_a_killed_runner_leaves_no_process(place: Path) -> None:
    runner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ORPHANS, str(place / "pg"), str(place / "kafka")),
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert runner.stdout
    pids = [int(word) for word in (await asyncio.wait_for(runner.stdout.readline(), 60)).split()]
    assert proportional_bytes(pids)
    runner.send_signal(signal.SIGKILL)
    await runner.wait()
    async with asyncio.timeout(20):
        while any(_runs(pid) for pid in pids):
            await asyncio.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
