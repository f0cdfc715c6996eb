"""Calls to services over a bad network, forwarded webhooks, and readiness of the whole system."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date

import httpx2
import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from contracts import consents
from contracts.http.clinics import ClinicContact, ClinicIn
from contracts.http.common import Money
from contracts.http.invoices import InvoiceIn
from contracts.http.methods import SetupIn
from contracts.http.payments import PayByCard, PaymentIn, ShareIn
from services.chassis.http.auth import TokenMint
from services.gateway.portal.stripe_form import consent_in
from services.gateway.upstream.calls import Calls, Service, UpstreamError
from services.gateway.upstream.services import Upstreams
from services.invoice import app as invoice_app
from services.invoice.settings import Settings as InvoiceSettings
from tests.builders.callers import PRIVATE_KEY, PUBLIC_KEY, a_caller
from tests.running.apps import in_own_task
from tests.running.databases import ServiceDb
from tests.running.gateway import a_site, a_whole_site, reach
from tests.running.settings import NOBODY

SETTINGS = ClinicIn(
    slug="oak",
    name="Oak",
    currency="EUR",
    time_zone="Europe/Dublin",
    contact=ClinicContact(email="hello@oak.example"),
)


@dataclass
class Network(httpx2.AsyncBaseTransport):
    """A network that fails on order: before the request arrives, or after it had its effect."""

    inner: httpx2.AsyncBaseTransport
    refused: int = 0
    replies_lost: int = 0
    seen: list[httpx2.Request] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        if self.refused:
            self.refused -= 1
            raise httpx2.ConnectError("refused")
        answer = await self.inner.handle_async_request(request)
        if self.replies_lost:
            self.replies_lost -= 1
            raise httpx2.ReadError("cut off")
        return answer


def upstreams_over(transport: httpx2.AsyncBaseTransport) -> Upstreams:
    services: tuple[Service, ...] = ("invoice", "payment", "notification")
    urls: dict[Service, str] = {service: f"http://{service}.test" for service in services}
    return Upstreams(Calls(urls, TokenMint(PRIVATE_KEY), dict.fromkeys(services, transport)))


@pytest.fixture
async def network(db_invoice: ServiceDb) -> AsyncIterator[Network]:
    """A network to a real invoice service."""
    invoice = invoice_app.api(
        InvoiceSettings(
            http_port=1,
            database_url=db_invoice.api_dsn,
            kafka_bootstrap_servers=NOBODY,
            internal_token_public_key=PUBLIC_KEY,
        )
    )
    async with in_own_task(invoice.lifespan()):
        yield Network(reach(invoice))


async def test_what_may_be_repeated_is_repeated(network: Network, db_invoice: ServiceDb) -> None:
    upstreams, caller = upstreams_over(network), a_caller("operator")
    clinic_id = caller.subject

    network.refused, network.replies_lost = 1, 1
    clinic, _ = await upstreams.create_clinic(caller, clinic_id, SETTINGS)

    assert (clinic.version, len(network.seen)) == (1, 3)
    assert len({request.headers["authorization"] for request in network.seen}) >= 1


async def test_a_service_that_stays_away_is_said_within_bounds(network: Network) -> None:
    network.refused = 1000

    with pytest.raises(UpstreamError) as raised:
        await upstreams_over(network).summary(a_caller("client", a_caller("client").subject))

    assert (raised.value.status, raised.value.code) == (503, "service_unavailable")
    assert 2 <= len(network.seen) <= 8


async def test_what_may_not_be_repeated_is_tried_once(network: Network) -> None:
    network.refused = 1000

    with pytest.raises(UpstreamError):
        await upstreams_over(network).start_setup(
            a_caller("client", a_caller("client").subject),
            SetupIn(consent=consent_in(consents.saving("Oak"))),
        )

    assert len(network.seen) == 1


async def test_a_repeated_payment_or_invoice_keeps_its_key(network: Network) -> None:
    upstreams, caller = upstreams_over(network), a_caller("client", a_caller("client").subject)
    body = PaymentIn(
        invoices=[ShareIn(invoice_id=caller.subject, amount=Money(100, "EUR"))], method=PayByCard()
    )
    network.refused = 2

    with pytest.raises(UpstreamError):
        await upstreams.start_payment(caller, body)

    assert len(network.seen) == 3  # refused twice, then the invoice service has no such route
    assert len({request.headers["idempotency-key"] for request in network.seen}) == 1


async def test_a_refusal_comes_as_it_is_and_at_once(network: Network) -> None:
    upstreams, caller = upstreams_over(network), a_caller("operator", a_caller("client").subject)

    with pytest.raises(UpstreamError) as raised:
        await upstreams.clinic(caller)

    assert raised.value.status == 404 and raised.value.code.endswith("not_found")
    assert len(network.seen) == 1


async def test_settings_are_remembered_for_a_moment(network: Network) -> None:
    upstreams, caller = upstreams_over(network), a_caller("operator")
    clinic, _ = await upstreams.create_clinic(caller, caller.subject, SETTINGS)
    at_clinic = a_caller("client", clinic.id)

    assert await upstreams.clinic(at_clinic) == clinic
    assert len(network.seen) == 1


async def test_the_trace_goes_on_to_the_service(network: Network) -> None:
    tracer = TracerProvider().get_tracer("test")
    upstreams = upstreams_over(network)

    with tracer.start_as_current_span("click") as click:
        await upstreams.summary(a_caller("client", a_caller("client").subject))

    trace_id = trace.format_trace_id(click.get_span_context().trace_id)
    assert all(trace_id in request.headers["traceparent"] for request in network.seen)


async def test_an_answer_that_cannot_be_read_is_bad_gateway() -> None:
    answers = httpx2.MockTransport(lambda _: httpx2.Response(200, content=b"<html>"))

    with pytest.raises(UpstreamError) as raised:
        await upstreams_over(answers).credit(a_caller("client", a_caller("client").subject))

    assert (raised.value.status, raised.value.code) == (502, "bad_answer")


def test_the_gateway_asks_as_the_public_asks() -> None:
    """Parameters left out of a request stay out, so that the service's own default applies."""
    body = InvoiceIn(client_id=a_caller("client").subject, due_on=date(2026, 1, 1), lines=())

    assert set(msgspec.to_builtins(body)) == {"client_id", "due_on", "lines"}


async def test_webhooks_reach_payment_byte_for_byte(
    db_gateway: ServiceDb, db_invoice: ServiceDb, db_payment: ServiceDb, db_notification: ServiceDb
) -> None:
    async with a_whole_site(db_gateway, db_invoice, db_payment, db_notification) as site:
        body = b'{ "id":\t"evt_1" }\xc3\xa9'
        signed = {"Stripe-Signature": "t=1,v1=abc", "Content-Type": "application/json", "Cookie": "session=x"}

        answer = await site.client.post("/webhooks/stripe", content=body, headers=signed)

        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert "set-cookie" not in answer.headers
        too_large = await site.client.post(
            "/webhooks/stripe", content=b"x" * (256 * 1024 + 1), headers=signed
        )
        assert too_large.status_code == 413


async def test_webhooks_arrive_unchanged_and_come_again_when_payment_is_away(db_gateway: ServiceDb) -> None:
    network = Network(httpx2.MockTransport(lambda _: httpx2.Response(200, json={})))
    async with a_site(db_gateway, {"payment": network}, payment_url="http://payment.test") as site:
        body = b'{ "id":\t"evt_1" }\xc3\xa9'
        signed = {"Stripe-Signature": "t=1,v1=abc", "X-Forwarded-For": "1.2.3.4", "Cookie": "session=x"}

        taken = await site.client.post("/webhooks/stripe", content=body, headers=signed)
        network.refused = 1
        away = await site.client.post("/webhooks/stripe", content=body, headers=signed)

        assert (taken.status_code, taken.content) == (200, b"{}")
        assert away.status_code == 503
        sent = network.seen[0]
        assert sent.content == body and sent.headers["stripe-signature"] == "t=1,v1=abc"
        assert "cookie" not in sent.headers and "x-forwarded-for" not in sent.headers


async def test_the_whole_has_an_address_of_its_own_and_the_gateway_is_ready_without_the_others(
    db_gateway: ServiceDb,
) -> None:
    async with a_site(db_gateway, ready_parts=f"relay=http://{NOBODY},invoice.api=http://{NOBODY}") as site:
        assert (await site.get("/healthz/live")).json() == {"status": "live"}
        alone, whole = await site.get("/healthz/ready"), await site.get("/healthz/system")

        assert alone.status_code == 200
        assert alone.json() == {
            "status": "degraded",
            "checks": {"database": "ok", "live": "ConnectionError", "clocks": "ok"},
        }
        assert whole.status_code == 503
        assert whole.json() == {
            "status": "failing",
            "checks": {
                "database": "ok",
                "live": "ConnectionError",
                "clocks": "ok",
                "relay": "away",
                "invoice.api": "away",
            },
        }
