"""`clinicpay migrate` and `clinicpay topics`, as containers call them."""

import os
import subprocess
import sys
from pathlib import Path

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient

from contracts.events.topics import ALL
from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import free_port
from deploy.ops import database

ROOT = Path(__file__).resolve().parents[2]


def clinicpay(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "ADMIN_"))}
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *arguments],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_migrate_brings_an_empty_server_up_to_date() -> None:
    passwords = {f"{role.upper()}_PASSWORD": f"secret of {role}" for role in database.all_roles()}
    async with EmbeddedPostgres(durable=False) as server:
        for _ in range(2):
            done = clinicpay("migrate", ADMIN_DATABASE_URL=server.admin_dsn, **passwords)
            assert done.returncode == 0, done.stderr
        dsn = database.role_dsn(
            server.admin_dsn, "payment_worker", "secret of payment_worker", "clinicpay_payment"
        )
        connection = await asyncpg.connect(dsn)
        assert await connection.fetchval("SELECT count(*) FROM inbox") == 0
        await connection.close()


def test_migrate_names_what_is_not_set() -> None:
    done = clinicpay("migrate")
    assert (done.returncode, done.stderr) == (1, "clinicpay: ADMIN_DATABASE_URL is not set\n")
    done = clinicpay("migrate", ADMIN_DATABASE_URL="postgresql://admin@127.0.0.1/postgres")
    assert done.returncode == 1
    assert "INVOICE_OWNER_PASSWORD" in done.stderr and "GATEWAY_API_PASSWORD" in done.stderr


def test_an_unreachable_server_is_said_in_a_line() -> None:
    passwords = {f"{role.upper()}_PASSWORD": "x" for role in database.all_roles()}
    done = clinicpay(
        "migrate", ADMIN_DATABASE_URL=f"postgresql://a@127.0.0.1:{free_port()}/postgres", **passwords
    )
    assert done.returncode == 1
    assert done.stderr.startswith("clinicpay: ") and "Traceback" not in done.stderr
    done = clinicpay("topics", KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("clinicpay: ") and "Traceback" not in done.stderr


async def test_topics_makes_all_of_the_contract() -> None:
    async with EmbeddedKafka() as broker:
        done = clinicpay("topics", KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap_servers)
        assert done.returncode == 0, done.stderr
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        await admin.start()
        found = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
        await admin.close()
        assert {topic.name: found.get(topic.name) for topic in ALL} == {
            topic.name: topic.partitions for topic in ALL
        }
