"""Every kind of call that we make at Stripe, for the same inputs, as the sandbox received it."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from deploy.sandbox.embedded import running_sandbox
from deploy.sandbox.recorder import Recorded
from services.chassis.errors import DomainError
from services.payment.methods import store as methods
from services.payment.methods.domain import Customer
from services.payment.methods.stripe_calls import start_setup
from services.payment.payments.stripe_params import new_intent, seal_payment
from services.payment.refunds.stripe_params import new_refund, seal_refund
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
    by_redirect = replace(
        payment, id=fixed.an_id(31), idempotency_key="payment-other", kind="redirect", save=True
    )
    sealed = replace(payment, id=fixed.an_id(32), idempotency_key="payment-sealed")
    refund = replace(fixed.a_refund(), traceparent=TRACE)

    async def make_customer() -> None:
        customer = await claimed(db)
        await stripe.create_customer(ACCOUNT, customer.metadata, customer.idempotency_key)

    async def make_setup() -> None:
        await start_setup(db.worker.worker_tx, stripe, CLINIC, CLIENT)

    return {
        "customer": make_customer,
        "payment": lambda: stripe.create_intent(new_intent(payment), None),
        "payment by redirect, saved": lambda: stripe.create_intent(new_intent(by_redirect), None),
        "cancel": lambda: stripe.cancel_intent(payment.account, fixed.INTENT),
        "card without a payment": make_setup,
        "removed method": lambda: stripe.detach_method(ACCOUNT, "pm_fixed"),
        "refund": lambda: stripe.create_refund(new_refund(refund)),
        "sealed payment": lambda: stripe.create_intent(new_intent(seal_payment(sealed, SEAL)), None),
        "sealed refund": lambda: stripe.create_refund(
            new_refund(seal_refund(replace(refund, id=fixed.an_id(33)), SEAL))
        ),
    }


async def claimed(db: ServiceDb, account: str = ACCOUNT) -> Customer:
    """The client's customer, not made at Stripe yet."""
    async with db.worker.worker_tx() as tx:
        return await methods.claim_customer(tx, CLINIC, CLIENT, account)


def _shape(path: str) -> str:
    """The path without the ids of objects."""
    return "/".join("…" if "fixed" in part else part for part in path.split("/"))
