"""Real PostgreSQL and real Kafka for every test that needs them, started once and thrown away at the end."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
import stamina
from hypothesis import settings
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.ops import database
from services.chassis.db.database import Database
from services.chassis.ids import new_id
from services.chassis.telemetry import spans as tracing
from services.chassis.telemetry import traces as telemetry
from tests import kafka_container
from tests.world import ServiceDb

stamina.set_testing(False)
# How long something takes is the benchmark's business: a busy machine must fail no test.
settings.register_profile("clinicpay", deadline=None)
settings.load_profile("clinicpay")


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[str]:
    """DSN of a superuser on a PostgreSQL 18 of the tests' own."""
    async with EmbeddedPostgres(durable=False) as server:
        yield server.admin_dsn


@pytest.fixture(scope="session")
async def kafka() -> AsyncIterator[str]:
    """Bootstrap servers: those of KAFKA_BOOTSTRAP_SERVERS, a container where one can run, or an embedded broker."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
    elif kafka_container.can_run():
        async with kafka_container.kafka_container() as bootstrap:
            yield bootstrap
    else:
        async with EmbeddedKafka() as broker:
            yield broker.bootstrap_servers


@pytest.fixture(scope="session")
async def roles(postgres: str) -> dict[str, str]:
    """DSN by role, on databases that are made but not migrated."""
    return await database.bootstrap(postgres, database.SERVICES, database.test_passwords())


_migrated: set[str] = set()


@asynccontextmanager
async def _fresh(service: str, admin_dsn: str, roles: dict[str, str]) -> AsyncIterator[ServiceDb]:
    if service not in _migrated:
        await asyncio.to_thread(database.migrate, service, roles[f"{service}_owner"])
        _migrated.add(service)
    name = f"t_{service}_{new_id().hex}"
    await database.clone(admin_dsn, service, name)
    dsns = {role: database.with_database(dsn, name) for role, dsn in roles.items()}
    api_dsn = dsns[f"{service}_api"]
    admin_pool = await asyncpg.create_pool(database.with_database(admin_dsn, name), min_size=0, max_size=5)
    db = ServiceDb(
        name=service,
        admin_dsn=database.with_database(admin_dsn, name),
        api_dsn=api_dsn,
        worker_dsn=dsns.get(f"{service}_worker", api_dsn),
        relay_dsn=dsns.get(f"{service}_relay", api_dsn),
        api=Database(api_dsn, size=60),
        worker=Database(dsns.get(f"{service}_worker", api_dsn)),
        admin=admin_pool,
    )
    try:
        yield db
    finally:
        await db.api.close()
        await db.worker.close()
        await admin_pool.close()
        await database.drop(admin_dsn, name)


@pytest.fixture
async def db_invoice(postgres: str, roles: dict[str, str]) -> AsyncIterator[ServiceDb]:
    async with _fresh("invoice", postgres, roles) as db:
        yield db


@pytest.fixture
async def db_payment(postgres: str, roles: dict[str, str]) -> AsyncIterator[ServiceDb]:
    async with _fresh("payment", postgres, roles) as db:
        yield db


@pytest.fixture
async def db_notification(postgres: str, roles: dict[str, str]) -> AsyncIterator[ServiceDb]:
    async with _fresh("notification", postgres, roles) as db:
        yield db


@pytest.fixture
async def db_gateway(postgres: str, roles: dict[str, str]) -> AsyncIterator[ServiceDb]:
    async with _fresh("gateway", postgres, roles) as db:
        yield db


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The spans that the chassis makes in a test."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    monkeypatch.setattr(tracing, "tracer", tracer)
    monkeypatch.setattr(telemetry, "tracer", tracer)
    return exporter
