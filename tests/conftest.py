"""Real PostgreSQL and real Kafka for every test that needs them, started once and thrown away at the end."""

import os
from collections.abc import AsyncIterator

import pytest
import stamina
from httpx2._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import settings
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from deploy.local.kafka import EmbeddedKafka
from deploy.local.postgres import EmbeddedPostgres
from deploy.ops import database
from services.chassis.process import keep_loaded
from services.chassis.telemetry import spans as tracing
from services.chassis.telemetry import traces as telemetry
from tests import kafka_container
from tests.running.databases import ServiceDb, fresh_database

stamina.set_testing(False)
# How long something takes is the benchmark's business: a busy machine must fail no test.
settings.register_profile("clinicpay", deadline=None)
settings.load_profile("clinicpay")
# The tests' own requests, too, wait as long as a busy machine takes; the timeouts of what they test are named there.
for step in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, step, 60.0)


def pytest_collection_finish() -> None:
    """The garbage collector took an eighth of the tests' time."""
    keep_loaded()


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


@pytest.fixture
async def db_invoice(postgres: str, roles: dict[str, str]) -> AsyncIterator[ServiceDb]:
    async with fresh_database("invoice", postgres, roles) as db:
        yield db


@pytest.fixture
async def db_payment(postgres: str, roles: dict[str, str]) -> AsyncIterator[ServiceDb]:
    async with fresh_database("payment", postgres, roles) as db:
        yield db


@pytest.fixture
async def db_notification(postgres: str, roles: dict[str, str]) -> AsyncIterator[ServiceDb]:
    async with fresh_database("notification", postgres, roles) as db:
        yield db


@pytest.fixture
async def db_gateway(postgres: str, roles: dict[str, str]) -> AsyncIterator[ServiceDb]:
    async with fresh_database("gateway", postgres, roles) as db:
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
