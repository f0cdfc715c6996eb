"""The payment service's two processes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from litestar import Litestar
from litestar.di import Provide

from services.chassis.db.database import Database
from services.chassis.exceptions import Ways
from services.chassis.held import actions as held_actions
from services.chassis.holding import holding_routes
from services.chassis.http.app import Lifespan, service_app
from services.chassis.jobs.jobs import Jobs
from services.chassis.kafka import parked
from services.chassis.kafka.consume import consumers_of
from services.chassis.kafka.samples import watching_lag
from services.chassis.kafka.worker import worker_app
from services.chassis.queue.working import InTransaction
from services.chassis.settling import settling_routes
from services.payment import consumers, jobs
from services.payment.accounts import routes as accounts
from services.payment.credit import routes as credit
from services.payment.disputes import routes as disputes
from services.payment.erasures.sweep import erasing
from services.payment.evidence import routes as evidence
from services.payment.evidence.sweep import submitting
from services.payment.methods import routes as methods
from services.payment.methods.sweep import announce_expiring
from services.payment.outside import routes as outside
from services.payment.payments import live
from services.payment.payments import routes as payments
from services.payment.refunds import held, made_at_stripe
from services.payment.refunds import routes as refunds
from services.payment.refunds.approvals import on_unbegun
from services.payment.refunds.stripe_calls import sending
from services.payment.refunds.sweep import comparing
from services.payment.retention import RULES
from services.payment.settings import Settings
from services.payment.stripe.api import STRIPE, StripeApi
from services.payment.stripe.events import StripeEvents
from services.payment.stripe.webhooks import WebhookEdge

ACTS = (held.ACT,)
WAYS: Ways = {**made_at_stripe.WAYS, **held_actions.ways(ACTS)}
"""How exceptions of this service are settled, those without a way of their own aside."""
ROUTES = [
    *(*accounts.ALL, *payments.ALL, *methods.ALL, *credit.ALL, *refunds.ALL, *disputes.ALL, *evidence.ALL),
    *outside.ALL,
    *settling_routes(WAYS),
    *holding_routes(ACTS),
]


def api(settings: Settings) -> Litestar:
    """HTTP: starting payments, saved methods, and the webhook edge, which needs no database."""
    db = Database(settings.database_urls)
    stripe = _stripe(settings)
    events = StripeEvents(settings.kafka_bootstrap_servers, settings.kafka_security)
    edge = WebhookEdge(settings.webhook_secrets, stripe.livemode, events, consumers.ACTED_ON, settings.seal)
    made = service_app(
        name="payment",
        settings=settings,
        db=db,
        route_handlers=ROUTES,
        dependencies={
            "stripe": Provide(lambda: stripe, sync_to_thread=False),
            "limits": Provide(lambda: settings.client_limits, sync_to_thread=False),
        },
        lifespan=[
            _closing(events.close),
            _closing(stripe.close),
            *watching_lag(settings, consumers),
        ],
        needed={"kafka": events.check},
        reported={STRIPE: stripe.check},
        database_needed=False,
    )
    made.asgi_handler = edge.before(made.asgi_handler)
    return made


def worker(settings: Settings) -> Litestar:
    """Kafka: what can be paid, and what Stripe says. Time: what Stripe did not say."""
    db = Database(settings.database_urls)
    stripe = _stripe(settings)
    timed = Jobs(db)
    replay = partial(parked.replay, consumers_of(consumers, db))
    timed.every(
        jobs.SWEEP_SECONDS, "sweep_payments", jobs.sweeps(db, stripe, replay, consumers.apply_stripe_events)
    )
    timed.every(jobs.EXPIRY_SECONDS, "announce_expiring", partial(announce_expiring, db, stripe))
    return worker_app(
        name="payment",
        reads=[live.READ],
        reported={STRIPE: stripe.check},
        settings=settings,
        db=db,
        consumers=consumers,
        rules=RULES,
        jobs=timed,
        lifespan=[_closing(stripe.close)],
        handlers=[
            comparing(db, stripe),
            submitting(db, stripe, consumers.apply_stripe_events),
            sending(db, stripe),
            erasing(db, stripe),
            InTransaction(held.END_UNBEGUN, on_unbegun),
            *held_actions.handlers(ACTS),
        ],
    )


def _stripe(settings: Settings) -> StripeApi:
    return StripeApi(
        settings.stripe_secret_key.get_secret_value(),
        settings.stripe_api_base,
        settings.stripe_timeout_seconds,
        settings.seal,
        settings.budget,
    )


def _closing(close: Callable[[], Awaitable[None]]) -> Lifespan:
    @asynccontextmanager
    async def closing(_: Litestar) -> AsyncIterator[None]:
        yield
        await close()

    as_lifespan: Callable[[Litestar], AbstractAsyncContextManager[None]] = closing
    return as_lifespan
