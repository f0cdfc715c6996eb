"""Every kind of call that we make at Stripe, for the same inputs, as the sandbox received it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from deploy.sandbox.embedded import running_sandbox
from deploy.sandbox.recorder import Recorded
from services.chassis.errors import DomainError
from services.payment.methods import store as methods
from services.payment.methods.stripe_calls import start_setup
from services.payment.payments.domain import Customer, SavedMethod
from services.payment.stripe.api import StripeApi
from services.payment.stripe.seal import Seal
from tests.frozen import fixed
from tests.frozen.fixed import ACCOUNT, CLIENT, CLINIC
from tests.running.databases import ServiceDb

SEAL = Seal("harbour", (b"a-key-of-thirty-two-characters-0",))
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


_received: dict[str, dict[str, Recorded]] = {}


async def received(db: ServiceDb) -> dict[str, Recorded]:
    """By what is asked. Stripe refuses some of it, as there is no such object: what was asked is seen all the same.

    A database is asked once: a customer that is made is not made again, and two subjects look at the calls.
    """
    if db.admin_dsn not in _received:
        _received[db.admin_dsn] = await _receive(db)
    return _received[db.admin_dsn]


async def _receive(db: ServiceDb) -> dict[str, Recorded]:
    async with running_sandbox() as sandbox:
        await sandbox.control("PUT", f"/accounts/{ACCOUNT}", {})
        stripe = StripeApi(sandbox.secret_key, sandbox.url)
        found: dict[str, Recorded] = {}
        for name, call in _calls(stripe, db).items():
            already = len(sandbox.requests())
            with suppress(DomainError):
                await call()
            found |= {
                f"{name}: {each.method} {_shape(each.path)}": each for each in sandbox.requests()[already:]
            }
        await stripe.close()
    return found


def _calls(stripe: StripeApi, db: ServiceDb) -> dict[str, Callable[[], Awaitable[object]]]:
    payment = replace(fixed.a_payment(), traceparent=TRACE)
    with_intent = replace(payment, intent_id=fixed.INTENT)
    refund = replace(fixed.a_refund(), traceparent=TRACE)
    method = SavedMethod(
        CLINIC, fixed.an_id(30), CLIENT, ACCOUNT, "pm_fixed", "card", None, None, None, None, fixed.AT
    )

    async def make_customer() -> None:
        await stripe.create_customer(await claimed(db))

    async def make_setup() -> None:
        await start_setup(db.worker.worker_tx, stripe, CLINIC, CLIENT)

    return {
        "customer": make_customer,
        "payment": lambda: stripe.create_intent(payment, None),
        "payment by redirect, saved": lambda: stripe.create_intent(
            replace(payment, id=fixed.an_id(31), idempotency_key="payment-other", kind="redirect", save=True),
            None,
        ),
        "cancel": lambda: stripe.cancel_intent(with_intent),
        "card without a payment": make_setup,
        "removed method": lambda: stripe.detach_method(method),
        "refund": lambda: stripe.create_refund(refund),
        "sealed payment": lambda: stripe.create_intent(
            SEAL.on_payment(replace(payment, id=fixed.an_id(32), idempotency_key="payment-sealed")), None
        ),
        "sealed refund": lambda: stripe.create_refund(SEAL.on_refund(replace(refund, id=fixed.an_id(33)))),
    }


async def claimed(db: ServiceDb, account: str = ACCOUNT) -> Customer:
    """The client's customer, not made at Stripe yet."""
    async with db.worker.worker_tx() as tx:
        return await methods.claim_customer(tx, CLINIC, CLIENT, account)


def _shape(path: str) -> str:
    """The path without the ids of objects."""
    return "/".join("…" if "fixed" in part else part for part in path.split("/"))
