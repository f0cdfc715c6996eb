"""Each answer of Stripe's to each single call: what is told, and that nothing is left that nothing ends.

`test_stripe_answers` gives an answer to every call, as in an outage. Here all calls but one work, as when one right is
missing, one object is gone or one endpoint is slow.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from stripe import HTTPClient
from structlog.testing import capture_logs

from services.chassis.incidents import incidents
from services.chassis.kafka import parked
from services.chassis.kafka.consume import consumers_of
from services.payment import consumers, jobs
from services.payment.payments import sweep as payments_sweep
from services.payment.stripe import api
from tests.builders.values import eur
from tests.running.payment import PaymentService
from tests.running.refunds import (
    BACK,
    SENT,
    age_refunds,
    at_stripe,
    fault,
    leave_credit,
    request_refund,
    settle_refund,
    sweep,
)
from tests.service.test_payment_methods import a_saved_card, saved_methods
from tests.service.test_stripe_answers import ANSWERS, is_paid_once, open_reservations

Told = Mapping[str, tuple[int, str]]
NOT_READY, BUSY, AWAY = (503, "stripe_misconfigured"), (503, "stripe_busy"), (503, "stripe_unavailable")
REFUSED, IN_PROGRESS = (502, "stripe_refused"), (409, "payment_in_progress")
TOLD: Told = {
    "401": NOT_READY,
    "401_expired": NOT_READY,
    "403_account": NOT_READY,
    "403_permission": NOT_READY,
    "429": BUSY,
    "429_lock": BUSY,
    "409": BUSY,
    "400_key": AWAY,
    "400": REFUSED,
    "400_customer": REFUSED,
    "400_state": IN_PROGRESS,
    "400_refunded": IN_PROGRESS,
    "400_disputed": REFUSED,
    "400_small": (422, "amount_too_small"),
    "400_large": (422, "amount_too_large"),
    "402": REFUSED,
    "404": REFUSED,
    "424": AWAY,
    "500_before": AWAY,
    "500_after": AWAY,
    "timeout_after": AWAY,
}
"""The words for a client who cannot go on, by status and code."""
REACHED_NOBODY = ("500_after", "timeout_after")
"""The call had its effect, and we were not told."""
MEANINGS = (
    "401",
    "403_account",
    "429",
    "409",
    "400_key",
    "400",
    "400_state",
    "402",
    "404",
    "500_before",
    "500_after",
)
"""One answer of each meaning."""
Answer = Any
Act = Callable[[], Awaitable[Answer]]


@dataclass(frozen=True)
class Walk:
    """A call, a thing that a client or staff does with it, and what answers of Stripe do not matter to them."""

    method: str
    path: str
    prepare: Callable[[PaymentService], Awaitable[tuple[Act, Callable[[Answer], Awaitable[None]]]]]
    bears: tuple[str, ...] = ()
    """Answers after which it goes on all the same."""
    told: Told | None = None
    """Words other than those of `TOLD`."""


async def pressing(
    payments: PaymentService, invoice: UUID, **how: Any
) -> tuple[Act, Callable[[Answer], Awaitable[None]]]:
    async def press() -> Answer:
        return await payments.start((invoice, eur(125)), **how)

    async def paid(answer: Answer) -> None:
        await is_paid_once(payments, invoice, answer)

    return press, paid


async def a_first_press(payments: PaymentService) -> Any:
    return await pressing(payments, await payments.open_invoice(eur(125)))


async def a_press_that_saves(payments: PaymentService) -> Any:
    await payments.db.admin.execute("DELETE FROM customers")
    return await pressing(payments, await payments.open_invoice(eur(125)), save=True)


async def a_second_press(payments: PaymentService) -> Any:
    invoice = await payments.open_invoice(eur(125))
    assert (await payments.start((invoice, eur(125)))).status_code == 201
    return await pressing(payments, invoice)


async def another_choice(payments: PaymentService) -> Any:
    invoice = await payments.open_invoice(eur(125))
    assert (await payments.start((invoice, eur(100)))).status_code == 201
    return await pressing(payments, invoice)


async def a_press_after_a_lost_answer(payments: PaymentService) -> Any:
    """The intent was made, and Stripe keeps an error of its own under the key: it is looked for."""
    invoice = await payments.open_invoice(eur(125))
    lost = {"kind": "500_after", "method": "POST", "path": "/v1/payment_intents", "count": 1}
    await payments.sandbox.control("POST", "/faults/api", lost)
    return await pressing(payments, invoice)


async def a_press_with_a_saved_card(payments: PaymentService) -> Any:
    card = (await saved_methods(payments) or [await a_saved_card(payments)])[0]
    method = {"kind": "saved", "payment_method_id": card["id"]}
    invoice = await payments.open_invoice(eur(125))

    async def press() -> Answer:
        return await payments.start((invoice, eur(125)), method=method)

    async def paid(answer: Answer) -> None:
        if answer.status_code == 404:  # the card was gone: another way to pay works
            answer = await payments.start((invoice, eur(125)))
        await is_paid_once(payments, invoice, answer)

    return press, paid


async def adding_a_card(payments: PaymentService) -> Any:
    async def add() -> Answer:
        return await payments.api.call("POST", "/setup-intents", payments.client)

    async def added(answer: Answer) -> None:
        assert answer.status_code == 201, answer.text

    return add, added


async def removing_a_card(payments: PaymentService) -> Any:
    card = (await saved_methods(payments) or [await a_saved_card(payments)])[0]

    async def remove() -> Answer:
        return await payments.api.call("DELETE", f"/payment-methods/{card['id']}", payments.client)

    async def removed(answer: Answer) -> None:
        assert answer.status_code in (204, 404), answer.text
        assert await saved_methods(payments) == []

    return remove, removed


GONE = ("404", "400_customer")
"""A resource is missing."""
REFUSALS = tuple(kind for kind in ANSWERS if kind.startswith(("400", "402", "404")) and kind != "400_key")
CLIENTS: Mapping[str, Walk] = {
    "customers.create": Walk("POST", "/v1/customers", a_press_that_saves),
    # Each new key is spent too, so that it ends without an intent: nobody has paid, so nothing is in progress.
    "payment_intents.create": Walk("POST", "/v1/payment_intents", a_first_press, told={"400_key": BUSY}),
    "payment_intents.retrieve": Walk("GET", "/v1/payment_intents/*", a_second_press, bears=GONE),
    "payment_intents.list": Walk("GET", "/v1/payment_intents", a_press_after_a_lost_answer),
    "payment_intents.cancel": Walk("POST", "/v1/payment_intents/*/cancel", another_choice, bears=GONE),
    "payment_methods.retrieve": Walk(
        "GET",
        "/v1/payment_methods/*",
        a_press_with_a_saved_card,
        told=dict.fromkeys(GONE, (404, "payment_method_not_found")),
    ),
    "payment_methods.detach": Walk(
        "POST", "/v1/payment_methods/*/detach", removing_a_card, bears=(*REFUSALS, "403_account")
    ),
    "setup_intents.create": Walk("POST", "/v1/setup_intents", adding_a_card),
}
STAFFS = ("refunds.create", "refunds.retrieve", "refunds.list")
EVIDENCE = ("disputes.update", "disputes.retrieve")
"""Walked in `test_payment_evidence`."""
ERASURES = ("customers.delete",)
"""Walked in `test_client_erasures`."""
BY_ITSELF = ("account.retrieve", "customers.payment_methods.list", "disputes.list")
"""Calls that nobody waits for."""


@pytest.fixture(autouse=True)
def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's retries follow at once."""
    monkeypatch.setattr(HTTPClient, "INITIAL_DELAY", 0.01)
    monkeypatch.setattr(HTTPClient, "MAX_DELAY", 0.02)


def test_every_call_is_walked() -> None:
    calls = set(re.findall(r'_calling\("([a-z_.]+)"', Path(api.__file__).read_text()))
    assert calls == {*CLIENTS, *STAFFS, *EVIDENCE, *ERASURES, *BY_ITSELF}
    assert set(TOLD) == set(ANSWERS)


async def answers(payments: PaymentService, kind: str, method: str, path: str) -> None:
    await payments.sandbox.control(
        "POST", "/faults/api", {"kind": kind, "method": method, "path": path, "count": 999}
    )


async def corrected(payments: PaymentService) -> None:
    await payments.sandbox.control("DELETE", "/faults")


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("call", CLIENTS)
async def test_a_client_is_told_and_goes_on_once_it_is_corrected(
    payments: PaymentService, call: str, kind: str
) -> None:
    walk = CLIENTS[call]
    act, done = await walk.prepare(payments)
    await answers(payments, kind, walk.method, walk.path)
    incidents.forget()
    with capture_logs() as logged:
        answer = await act()

    if kind not in walk.bears and not went_on(answer, kind):
        expected = {**TOLD, **(walk.told or {})}[kind]
        assert (answer.status_code, answer.json()["code"]) == expected
        assert answer.json()["detail"]
        assert (answer.status_code == 503) == ("retry-after" in answer.headers)
    operator_is_told(logged, call, kind)
    await corrected(payments)
    await done(await act())
    assert await open_reservations(payments) == 0


def went_on(answer: Answer, kind: str) -> bool:
    """An intent or customer that was made although the answer was lost may be found in the same press."""
    return kind in (*REACHED_NOBODY, "400_key") and answer.status_code < 300


def operator_is_told(logged: list[Any], call: str, kind: str) -> None:
    """One line for each answer, by call and code; one for each incident: Stripe is away, or a person must end it."""
    if TOLD[kind] == AWAY:
        assert [line["event"] for line in logged].count("stripe_unreachable_begins") == 1
        return
    lines = [line for line in logged if line["event"] == "stripe_error" and line["path"] == call]
    assert lines, call
    status = int(kind[:3]) if kind[:3].isdigit() else 0
    assert {line["status"] for line in lines} == {status}
    refusals = [line for line in logged if line["event"] == "stripe_refuses_access"]
    assert bool(refusals) == (status in (401, 403))


@pytest.mark.parametrize("kind", MEANINGS)
@pytest.mark.parametrize(
    "call", [call for call in CLIENTS if call.startswith(("payment_intents", "customers"))]
)
async def test_a_client_who_does_not_come_back_leaves_nothing_reserved(
    payments: PaymentService, call: str, kind: str
) -> None:
    walk = CLIENTS[call]
    act, _ = await walk.prepare(payments)
    await answers(payments, kind, walk.method, walk.path)
    await act()
    await corrected(payments)
    for _ in range(2):
        await payments.age(timedelta(hours=25))
        await payments_sweep.sweep_payments(payments.worker, payments.stripe, timedelta(0))

    assert await open_reservations(payments) == 0
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payments WHERE status <> 'canceled'") == 0
    assert {intent["status"] for intent in await payments.intents()} <= {
        "canceled",
        "requires_payment_method",
    }


@pytest.mark.parametrize("kind", MEANINGS)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/refunds"), ("GET", "/v1/refunds/*"), ("GET", "/v1/refunds")],
    ids=STAFFS,
)
async def test_a_refund_ends_once_with_its_money_sent_or_its_credit_back(
    payments: PaymentService, method: str, path: str, kind: str
) -> None:
    """The refund that is listed is one whose first answer was lost."""
    await leave_credit(payments, card="pm_card_refundFail")
    if (method, path) == ("GET", "/v1/refunds"):
        await fault(payments, "500_after")
    await answers(payments, kind, method, path)
    assert (await request_refund(payments)).status_code == 201
    await sweep(payments)
    await corrected(payments)
    await age_refunds(payments, timedelta(hours=25))
    await sweep(payments)

    sent = await at_stripe(payments)
    assert await payments.books() == (SENT if sent else BACK)
    if sent:
        await settle_refund(payments, "failed")
        await age_refunds(payments, timedelta(hours=25))
        await sweep(payments)
        assert await payments.books() == BACK
    assert await payments.db.admin.fetchval("SELECT count(*) FROM refunds WHERE status = 'created'") == 0


@pytest.mark.parametrize("kind", MEANINGS)
async def test_an_account_that_cannot_be_asked_about_stops_nothing_else(
    payments: PaymentService, kind: str
) -> None:
    """The sweep asks about the account, and about the payments after it."""
    by_the_clock = jobs.sweeps(
        payments.worker,
        payments.stripe,
        partial(parked.replay, consumers_of(consumers, payments.worker)),
        consumers.apply_stripe_events,
    )
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    await payments.confirm(started)
    await payments.age(timedelta(hours=1))
    await answers(payments, kind, "GET", "/v1/account")

    await by_the_clock()

    assert (await payments.payment(started.json()["payment_id"]))["status"] == "succeeded"
    await corrected(payments)
    await by_the_clock()
    another = await payments.open_invoice(eur(50))
    assert (await payments.start((another, eur(50)))).status_code == 201


@pytest.mark.parametrize("kind", [kind for kind in MEANINGS if kind not in GONE])
async def test_cards_stay_listed_while_stripe_does_not_tell_of_them(
    payments: PaymentService, kind: str
) -> None:
    card = await a_saved_card(payments)
    await answers(payments, kind, "GET", "/v1/customers/*/payment_methods")
    assert [each["id"] for each in await saved_methods(payments)] == [card["id"]]
    await corrected(payments)
    assert [each["id"] for each in await saved_methods(payments)] == [card["id"]]
