"""A broker that knows its users: each service does exactly what the topics' registry says, and nobody else anything."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest

from contracts.events.catalogue import decode
from contracts.events.stripe import StripeEvent
from contracts.events.topics import ALL, STRIPE_EVENT
from deploy.local.kafka import EmbeddedKafka
from deploy.local.process import free_port
from deploy.ops import acls, database, topics
from deploy.ops.consumers import topics_of_groups
from services.chassis.kafka import subscribing as chassis_kafka
from services.chassis.kafka.consume import consumers_of
from services.chassis.kafka.lag import LagReader
from services.chassis.settings import KafkaSecurity
from services.gateway.live.hub import Hub
from services.payment import consumers
from services.payment.stripe.events import EventsUnavailable, StripeEvents
from tests.running.commands import command
from tests.running.databases import ServiceDb
from tests.running.system import ROOT, until

PASSWORDS = {user: f"the password of {user}" for user in acls.users()}


@dataclass(frozen=True, slots=True)
class Secured:
    bootstrap_servers: str
    admin: KafkaSecurity

    def of(self, user: str) -> KafkaSecurity:
        return replace(self.admin, username=user, password=PASSWORDS[user])

    @asynccontextmanager
    async def producer(self, user: str) -> AsyncIterator[AIOKafkaProducer]:
        options = self.of(user).options()
        async with AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers, acks="all", **options
        ) as producer:
            yield producer

    @asynccontextmanager
    async def consumer(self, user: str, *topics: str, **more: Any) -> AsyncIterator[AIOKafkaConsumer]:
        options = self.of(user).options() | {"auto_offset_reset": "earliest"} | more
        async with AIOKafkaConsumer(*topics, bootstrap_servers=self.bootstrap_servers, **options) as consumer:
            yield consumer


@pytest.fixture(scope="module")
async def secured() -> AsyncIterator[Secured]:
    """A broker with the contract's topics and rules, and one record in each topic."""
    async with EmbeddedKafka(password="""the 'administrator"s' \\word""") as broker:
        await topics.ensure(broker.bootstrap_servers, security=broker.security)
        await acls.ensure(broker.bootstrap_servers, broker.security, PASSWORDS)
        made = Secured(broker.bootstrap_servers, broker.security)
        async with made.producer(acls.RELAY) as producer:
            for topic in ALL:
                await producer.send_and_wait(topic.name, b"{}", partition=0)
        yield made


async def allowed(doing: Any) -> bool:
    try:
        async with asyncio.timeout(10):
            await doing
    except TopicAuthorizationFailedError:
        return False
    return True


@pytest.mark.parametrize("user", acls.users())
async def test_a_user_writes_what_the_registry_says_and_nothing_else(secured: Secured, user: str) -> None:
    written = set()
    async with secured.producer(user) as producer:
        for topic in ALL:
            if await allowed(producer.send_and_wait(topic.name, b"{}", partition=0)):
                written.add(topic.name)
    assert written == {topic.name for topic in ALL if user == topic.writer or user == acls.RELAY}


@pytest.mark.parametrize("user", acls.users())
async def test_a_user_reads_what_the_registry_says_and_nothing_else(secured: Secured, user: str) -> None:
    read = set()
    for topic in ALL:
        if await allowed(first_record(secured, user, topic.name)):
            read.add(topic.name)
    assert read == {topic.name for topic in ALL if user in topic.readers or user == acls.AUDITOR}


async def first_record(secured: Secured, user: str, topic: str) -> None:
    async with secured.consumer(user, topic) as consumer:
        await consumer.getone()


async def test_nobody_joins_another_services_group(secured: Secured) -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        async with secured.consumer("invoice", "payment.settled", group_id="payment"):
            pass
    async with secured.consumer("invoice", "payment.settled", group_id="invoice-again") as consumer:
        assert (await consumer.getone()).topic == "payment.settled"


@pytest.mark.parametrize("user", [*acls.users()])
async def test_only_the_administrator_makes_topics_and_rules(secured: Secured, user: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=secured.bootstrap_servers, **secured.of(user).options())
    await admin.start()
    try:
        made = await admin.create_topics([NewTopic("mine", 1, 1)])
        deleted = await admin.delete_topics([STRIPE_EVENT.name])
        rule = await admin._send_to_controller(CreateAclsRequest(2, "*", 3, f"User:{user}", "*", 2, 3))  # noqa: SLF001  aiokafka has no public call
        codes = [made.topic_errors[0][1], deleted.topic_error_codes[0][1], rule.creation_responses[0][0]]
    finally:
        await admin.close()
    assert all(code in (29, 31) for code in codes), codes


@pytest.mark.parametrize(
    "wrong",
    [{"password": "guessed"}, {"username": "nobody"}, {"protocol": "PLAINTEXT"}, {"mechanism": "PLAIN"}],
    ids=["password", "user", "no login", "mechanism"],
)
async def test_who_does_not_log_in_rightly_reaches_nothing(secured: Secured, wrong: dict[str, Any]) -> None:
    security = replace(secured.of("invoice"), **wrong)
    producer = AIOKafkaProducer(
        bootstrap_servers=secured.bootstrap_servers, request_timeout_ms=3000, **security.options()
    )
    with pytest.raises(KafkaError):
        async with asyncio.timeout(20), producer:
            pass


async def test_the_commands_set_up_a_broker_that_knows_its_users(secured: Secured) -> None:
    """Topics and rules are there already: the commands find nothing to do, as the administrator alone may."""
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": secured.bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_USERNAME": secured.admin.username,
        "KAFKA_SASL_PASSWORD": secured.admin.password,
        **{f"{user.upper()}_KAFKA_PASSWORD": password for user, password in PASSWORDS.items()},
    }
    assert "none, all are there" in await clinicpay("topics", given)
    assert "rules added: 0, taken away: 0" in await clinicpay("acls", given)


async def clinicpay(command: str, given: dict[str, str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", command),
        cwd=ROOT,
        env={**os.environ, **given},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_the_auditor_sees_how_far_every_group_is(secured: Secured) -> None:
    async with LagReader(secured.bootstrap_servers, secured.of(acls.AUDITOR), topics_of_groups()) as progress:
        assert {each.group for each in await progress.lag()} >= {"notification"}


@pytest.mark.parametrize(("user", "may"), [(acls.AUDITOR, True), (acls.RELAY, False)])
async def test_the_command_shows_what_waits_in_kafka_to_the_auditor_alone(
    secured: Secured, user: str, may: bool
) -> None:
    away = ",".join(f"{service}=postgresql://nobody@127.0.0.1:1/none" for service in database.SERVICES)
    given = {
        "AUDITOR_DATABASE_URLS": away,
        "KAFKA_BOOTSTRAP_SERVERS": secured.bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_USERNAME": user,
        "KAFKA_SASL_PASSWORD": PASSWORDS[user],
    }
    done = await command("waits", "--json", **given)

    assert done.exit_code == 2
    assert ('"part": "invoice", "place": "kafka"' in done.stdout) == may
    assert ("not read: Kafka" in done.stderr) != may


async def test_a_broker_with_a_certificate_is_reached_by_tls_alone(tmp_path: Path) -> None:
    async with EmbeddedKafka(password="secret", certificate=a_certificate(tmp_path / "broker.pem")) as broker:
        await topics.ensure(broker.bootstrap_servers, [STRIPE_EVENT], broker.security)
        await acls.ensure(broker.bootstrap_servers, broker.security, {"payment": "word"})
        payment = replace(broker.security, username="payment", password="word")
        edge = StripeEvents(broker.bootstrap_servers, payment)
        await edge.send(an_event())
        await edge.close()
        reader = chassis_kafka.broker_of(broker.bootstrap_servers, "reader", [], security=payment)
        async with chassis_kafka.running(reader):
            assert await reader.ping(5)
        for wrong in (replace(payment, protocol="SASL_PLAINTEXT"), replace(payment, cafile=None)):
            producer = AIOKafkaProducer(
                bootstrap_servers=broker.bootstrap_servers, request_timeout_ms=3000, **wrong.options()
            )
            with pytest.raises(KafkaError):
                async with asyncio.timeout(20), producer:
                    pass


def a_certificate(place: Path) -> Path:
    """A key and a certificate for 127.0.0.1 that is signed by itself."""
    subject = "/CN=127.0.0.1"
    request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", subject)
    names = ("-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(place), "-out", str(place.with_suffix(".crt")))
    subprocess.run([*request, *names, *files], check=True, capture_output=True)
    with place.open("a") as file:
        file.write(place.with_suffix(".crt").read_text())
    return place


async def test_rules_follow_the_registry_when_it_changes(secured: Secured) -> None:
    narrower = [replace(topic, readers=()) if topic == STRIPE_EVENT else topic for topic in ALL]
    added, gone = await acls.ensure(secured.bootstrap_servers, secured.admin, {}, narrower)
    assert added == set()
    assert {(acl.user, acl.name) for acl in gone} == {("payment", STRIPE_EVENT.name)}
    added, gone = await acls.ensure(secured.bootstrap_servers, secured.admin, {})
    assert ({(acl.user, acl.name) for acl in added}, gone) == ({("payment", STRIPE_EVENT.name)}, set())


async def test_the_services_own_clients_work_with_their_own_users(
    secured: Secured, db_payment: ServiceDb
) -> None:
    """The webhook edge writes and payment's consumers read (and park: the payment is not theirs); others cannot."""
    event = an_event()
    edge = StripeEvents(secured.bootstrap_servers, secured.of("payment"))
    stranger = StripeEvents(secured.bootstrap_servers, secured.of("invoice"))
    broker = chassis_kafka.broker_of(
        secured.bootstrap_servers,
        "payment-worker",
        consumers_of(consumers, db_payment.worker),
        security=secured.of("payment"),
    )
    try:
        await edge.send(event)
        with pytest.raises(EventsUnavailable):
            await stranger.send(event)
        async with chassis_kafka.running(broker):
            await until(
                lambda: db_payment.admin.fetchval("SELECT true FROM parked WHERE event_id = $1", event.id)
            )
    finally:
        await edge.close()
        await stranger.close()


async def test_the_relay_and_the_gateway_work_with_their_own_users(
    secured: Secured, db_invoice: ServiceDb, tmp_path: Path
) -> None:
    raw = next((ROOT / "contracts/examples/invoice.paid").glob("*.json")).read_bytes()
    paid: Any = decode("invoice.paid", raw)
    await db_invoice.admin.execute(
        "INSERT INTO outbox (id, clinic_id, aggregatetype, aggregateid, payload) VALUES ($1, $2, $3, $4, $5)",
        paid.id,
        paid.clinic_id,
        paid.topic.name,
        str(paid.key),
        raw,
    )
    hub = Hub(secured.bootstrap_servers, secured.of("gateway"))
    async with hub.running():
        await until(lambda: reads(hub))
        with hub.listening(paid.clinic_id, paid.client_id, b"session") as listener:
            async with a_relay(secured, db_invoice, tmp_path):
                [(kind, news)] = await until(listener.waiting)
    assert (kind, news.id) == ("invoice", paid.invoice_id)


async def reads(hub: Hub) -> bool:
    try:
        await hub.check()
    except ConnectionError:
        return False
    return True


@asynccontextmanager
async def a_relay(secured: Secured, db: ServiceDb, place: Path) -> AsyncIterator[None]:
    """The relay's process, its password in a file."""
    password = place / "password"
    password.write_text(PASSWORDS[acls.RELAY] + "\n")
    settings = {
        "HTTP_PORT": str(free_port()),
        "KAFKA_BOOTSTRAP_SERVERS": secured.bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_USERNAME": acls.RELAY,
        "KAFKA_SASL_PASSWORD_FILE": str(password),
        "RELAY_DATABASE_URLS": f"{db.name}={db.relay_dsn}",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.chassis.outbox.relay"), cwd=ROOT, env={**os.environ, **settings}
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


def an_event() -> StripeEvent:
    raw = next((ROOT / "contracts/examples/stripe.event").glob("succeeded.json")).read_bytes()
    return StripeEvent.decode(raw).model_copy(update={"time": datetime.now(UTC)})
