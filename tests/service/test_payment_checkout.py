"""Starting payments on a real database against the sandbox, also with interrupted calls."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from contracts.currencies import CURRENCIES
from contracts.events.invoice import InvoiceUpdated
from services.chassis.ids import new_id
from services.payment import consumers
from services.payment.payments import stripe_calls as checkout
from services.payment.payments import sweep
from services.payment.payments.starting import PaymentRequest
from services.payment.stripe.api import Intent, StripeApi
from services.payment.stripe.limits import AmountTooLarge, AmountTooSmall
from services.payment.stripe.params import NewIntent
from tests.builders.callers import a_caller
from tests.builders.events import deliver, outbox_events, waiting_parked
from tests.builders.values import eur, money
from tests.running.payment import PaymentService


async def test_a_payment_is_started_confirmed_and_booked_once(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))

    payment_id = await payments.pay((invoice, eur(125)))

    payment = await payments.payment(payment_id)
    assert payment["status"] == "succeeded"
    assert payment["method"] == {"kind": "card", "brand": "visa", "last4": "4242"}
    assert payment["invoices"] == [
        {"invoice_id": str(invoice), "amount": {"minor": 12500, "currency": "EUR"}, "credit": None}
    ]
    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]
    published = await outbox_events(payments.db)
    assert [event.topic.name for event in published] == ["payment.settled", "payment.succeeded"]
    assert published[0].method == published[1].method  # type: ignore[attr-defined]
    assert published[0].method.last4 == "4242"  # type: ignore[attr-defined]
    assert await waiting_parked(payments.db) == []


async def test_webhooks_that_come_again_book_nothing_more(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.pay((invoice, eur(125)))

    await payments.consume(*reversed(payments.hook.events()))
    again = [event.model_copy(update={"id": new_id()}) for event in payments.hook.events()]
    await payments.consume(*again)

    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]
    assert len(await outbox_events(payments.db)) == 2
    assert await waiting_parked(payments.db) == []


async def test_one_payment_over_three_invoices_settles_each(payments: PaymentService) -> None:
    invoices = [await payments.open_invoice(eur(units)) for units in (10, 20, 30)]
    shares = list(zip(invoices, map(eur, (10, 20, 30)), strict=True))

    await payments.pay(*shares)

    topics = [event.topic.name for event in await outbox_events(payments.db)]
    assert topics == ["payment.settled"] * 3 + ["payment.succeeded"]
    assert await payments.books() == [("receivable", -6000), ("stripe", 6000)]


async def test_a_second_tab_gets_the_same_payment_and_intent(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))

    first, second = await payments.start((invoice, eur(125))), await payments.start((invoice, eur(125)))

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert len(await payments.intents()) == 1


async def test_fifty_clicks_at_once_make_one_intent(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))

    answers = await asyncio.gather(*(payments.start((invoice, eur(125))) for _ in range(50)))

    assert sorted(answer.status_code for answer in answers) == [*[200] * 49, 201]
    assert len({answer.json()["client_secret"] for answer in answers}) == 1
    assert len(await payments.intents()) == 1


async def test_another_choice_cancels_the_first_at_stripe_before_it_starts(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    first = await payments.start((invoice, eur(125)))

    second = await payments.start((invoice, eur(100)))

    assert second.status_code == 201, second.text
    assert sorted(intent["status"] for intent in await payments.intents()) == [
        "canceled",
        "requires_payment_method",
    ]
    assert (await payments.payment(first.json()["payment_id"]))["status"] == "canceled"
    assert [event.topic.name for event in await outbox_events(payments.db)] == ["payment.canceled"]


async def test_a_choice_cannot_change_once_the_money_has_come(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.confirm(await payments.start((invoice, eur(125))))

    late = await payments.start((invoice, eur(100)))

    assert late.status_code == 409
    assert late.json()["code"] == "payment_in_progress"
    same = await payments.start((invoice, eur(125)))
    assert same.json()["status"] == "processing"


@pytest.mark.parametrize(
    ("minor", "status", "code"),
    [
        (12501, 409, "amount_changed"),
        (0, 422, "wrong_amount"),
        (49, 422, "amount_too_small"),
        (10**12, 422, "amount_too_large"),
        (12451, 422, "rest_too_small"),
    ],
)
async def test_an_amount_that_cannot_be_paid_reserves_nothing(
    payments: PaymentService, minor: int, status: int, code: str
) -> None:
    invoice = await payments.open_invoice(eur(125))
    answer = await payments.start((invoice, money(minor)))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await payments.intents() == []
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payments") == 0
    if code == "amount_changed":
        assert answer.json()["open"] == {"minor": 12500, "currency": "EUR"}


@pytest.mark.parametrize(
    ("least", "status", "code"),
    [(None, 409, "parts_off"), (5_001, 422, "part_too_small"), (5_000, 201, None)],
)
async def test_a_part_is_taken_where_the_clinic_takes_parts(
    payments: PaymentService, least: int | None, status: int, code: str | None
) -> None:
    await payments.update_clinic(2, least_part=least)
    invoice = await payments.open_invoice(eur(125))
    answer = await payments.start((invoice, eur(50)))

    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert len(await payments.intents()) == (code is None)


@pytest.mark.parametrize(
    ("minor", "currency", "charged"),
    [(1_000_000, "MGA", 10_000), (1_000, "ISK", 100_000), (12_350, "KWD", 12_350), (9_800, "JPY", 9_800)],
)
async def test_stripe_charges_what_the_invoice_says(
    payments: PaymentService, minor: int, currency: str, charged: int
) -> None:
    invoice = await payments.open_invoice(money(minor, currency))

    paid = await payments.payment(await payments.pay((invoice, money(minor, currency))))

    assert [intent["amount"] for intent in await payments.intents()] == [charged]
    assert (paid["status"], paid["amount"]) == ("succeeded", {"minor": minor, "currency": currency})
    assert (await payments.start((invoice, money(minor, currency)))).json()["code"] == "already_paid"


async def test_invoices_that_are_too_small_alone_are_paid_together(payments: PaymentService) -> None:
    small, other = await payments.open_invoice(money(20)), await payments.open_invoice(money(30))

    assert (await payments.start((small, money(20)))).json()["code"] == "amount_too_small"
    paid = await payments.payment(await payments.pay((small, money(20)), (other, money(30))))

    assert (paid["status"], paid["amount"]["minor"]) == ("succeeded", 50)


async def test_a_paid_invoice_is_already_paid_whatever_late_events_say(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.pay((invoice, eur(125)))
    await deliver(payments.worker, consumers, payments.invoice(invoice, eur(125), 2, InvoiceUpdated))

    answer = await payments.start((invoice, eur(125)))
    assert (answer.status_code, answer.json()["code"]) == (409, "already_paid")


async def test_another_clients_invoice_is_not_found_and_a_new_one_may_be_on_its_way(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(125))
    stranger = a_caller("client", payments.clinic_id)

    foreign = await payments.start((invoice, eur(125)), caller=stranger)
    assert (foreign.status_code, foreign.json()["code"]) == (404, "payable_not_found")

    unknown = await payments.start((new_id(), eur(125)))
    assert (unknown.status_code, unknown.json()["code"]) == (503, "payable_unknown")
    assert unknown.headers["retry-after"] == "1"

    elsewhere = await payments.start(
        (invoice, eur(125)), caller=a_caller("client", new_id(), payments.client_id)
    )
    assert elsewhere.json()["code"] in ("payable_unknown", "payable_not_found")


async def test_a_clinic_that_switched_online_payment_off(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    await payments.update_clinic(version=2, online_payment=False)
    await payments.update_clinic(version=1, online_payment=True)

    answer = await payments.start((invoice, eur(125)))

    assert (answer.status_code, answer.json()["code"]) == (409, "online_payment_off")


async def test_the_same_idempotency_key_has_the_same_answer_and_none_for_another_body(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(125))
    first = await payments.start((invoice, eur(125)), key="click-1")
    await payments.confirm(first)
    await payments.hook.until("payment_intent.succeeded")
    await payments.consume()

    again = await payments.start((invoice, eur(125)), key="click-1")
    other = await payments.start((invoice, eur(100)), key="click-1")

    assert again.json()["payment_id"] == first.json()["payment_id"]
    assert again.json()["status"] == "succeeded"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_one_idempotency_key_for_two_payments_at_once_starts_one(payments: PaymentService) -> None:
    one, other = await payments.open_invoice(eur(125)), await payments.open_invoice(eur(125))

    answers = await asyncio.gather(
        *(payments.start((invoice, eur(125)), key="click-1") for invoice in (one, other))
    )

    assert sorted(answer.status_code for answer in answers) == [201, 422]
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payments") == 1


async def test_two_choices_at_once_leave_one_that_can_be_paid(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))

    await asyncio.gather(*(payments.start((invoice, eur(units))) for units in (125, 100, 75, 125)))

    open_intents = [intent for intent in await payments.intents() if intent["status"] != "canceled"]
    assert len(open_intents) <= 1
    reserved = await payments.db.admin.fetchval("SELECT count(*) FROM allocations WHERE state = 'open'")
    assert reserved == len(open_intents)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"invoices": [], "method": {"kind": "card"}},
        {"invoices": [{"invoice_id": "x", "amount": {"minor": 1, "currency": "EUR"}}], "method": {"kind": "card"}},
        {"invoices": [{"invoice_id": str(new_id()), "amount": {"minor": 1.5, "currency": "EUR"}}],
         "method": {"kind": "card"}},
        {"invoices": [{"invoice_id": str(new_id()), "amount": {"minor": 2**63, "currency": "EUR"}}],
         "method": {"kind": "card"}},
        {"invoices": [{"invoice_id": str(new_id()), "amount": {"minor": 1, "currency": "eur"}}],
         "method": {"kind": "card"}},
        {"invoices": [{"invoice_id": str(new_id()), "amount": {"minor": 1, "currency": "EUR"}}],
         "method": {"kind": "cash"}},
        {"invoices": [{"invoice_id": str(new_id()), "amount": {"minor": 1, "currency": "EUR"}}],
         "method": {"kind": "card"}, "status": "succeeded"},
    ],
)  # fmt: skip
async def test_malformed_questions_are_refused(payments: PaymentService, body: dict[str, Any]) -> None:
    answer = await payments.api.call("POST", "/payments", payments.client, json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "request_invalid"


async def test_only_clients_pay_and_only_with_a_token(payments: PaymentService) -> None:
    for caller, status in ((a_caller("staff", payments.clinic_id), 403), (None, 401)):
        answer = await payments.api.call("POST", "/payments", caller, json={})
        assert answer.status_code == status


class Watched(StripeApi):
    """The real client, which also records the database's rows during calls to Stripe, and can interrupt calls."""

    def __init__(self, payments: PaymentService, cut: str = "") -> None:
        super().__init__(payments.sandbox.secret_key, payments.sandbox.url)
        self.payments, self.cut = payments, cut
        self.held: list[int] = []
        self.committed: list[Any] = []

    async def create_intent(self, wanted: NewIntent, customer: str | None) -> Intent:
        self.held.append(self.payments.db.api.held)
        self.committed.append(
            await self.payments.db.admin.fetchval(
                "SELECT idempotency_key FROM payments WHERE id = $1", UUID(wanted.metadata["payment_id"])
            )
        )
        if self.cut == "before":
            raise ConnectionResetError
        intent = await super().create_intent(wanted, customer)
        if self.cut == "after":
            raise ConnectionResetError
        return intent


def a_request(payments: PaymentService, invoice: UUID, **changes: Any) -> PaymentRequest:
    return PaymentRequest(client_id=payments.client_id, shares={invoice: eur(125)}, kind="card", **changes)


async def test_no_connection_is_held_while_stripe_is_called_and_its_key_is_committed(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(125))
    stripe = Watched(payments)

    ready = await checkout.start(
        partial(payments.db.api.tx, payments.clinic_id),
        stripe,
        payments.clinic_id,
        a_request(payments, invoice, save=True),
    )
    await stripe.close()

    assert stripe.held == [0]
    assert stripe.committed == [ready.payment.idempotency_key]
    keys = {request.idempotency_key for request in payments.sandbox.requests("/v1/payment_intents")}
    assert keys == {ready.payment.idempotency_key}


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_crash_around_the_call_is_healed_by_asking_again(payments: PaymentService, cut: str) -> None:
    invoice = await payments.open_invoice(eur(125))
    stripe = Watched(payments, cut)
    with pytest.raises(ConnectionResetError):
        await checkout.start(
            partial(payments.db.api.tx, payments.clinic_id),
            stripe,
            payments.clinic_id,
            a_request(payments, invoice),
        )
    await stripe.close()

    again = await payments.start((invoice, eur(125)))

    assert again.status_code == 200
    (intent,) = await payments.intents()
    assert again.json()["client_secret"].startswith(intent["id"])
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payments") == 1


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_crash_around_the_call_is_healed_by_the_sweeper(payments: PaymentService, cut: str) -> None:
    invoice = await payments.open_invoice(eur(125))
    stripe = Watched(payments, cut)
    with pytest.raises(ConnectionResetError):
        await checkout.start(
            partial(payments.db.api.tx, payments.clinic_id),
            stripe,
            payments.clinic_id,
            a_request(payments, invoice),
        )
    await stripe.close()

    await sweep.sweep_payments(payments.worker, payments.stripe, timedelta(0))

    (intent,) = await payments.intents()
    kept = await payments.db.admin.fetchval("SELECT stripe_payment_intent_id FROM payments")
    assert kept == intent["id"]


async def test_a_try_after_an_error_that_stripe_keeps_has_a_new_key(payments: PaymentService) -> None:
    """Stripe repeats the error to the same key for a day: with it the invoice could not be paid until then."""
    invoice = await payments.open_invoice(eur(125))
    fault = {"kind": "500_before", "method": "POST", "path": "/v1/payment_intents"}
    await payments.sandbox.control("POST", "/faults/api", fault)
    failed = await payments.start((invoice, eur(125)))
    assert (failed.status_code, failed.json()["code"]) == (503, "stripe_unavailable")

    again = await payments.start((invoice, eur(125)))

    assert again.status_code == 201, again.text
    assert len(await payments.intents()) == 1
    asked = [each for each in payments.sandbox.requests("/v1/payment_intents") if each.method == "POST"]
    assert len({each.idempotency_key for each in asked}) == 2


@pytest.mark.parametrize("kind", ["timeout_after"])
async def test_an_unknown_outcome_stays_unknown_and_asking_again_makes_no_second_intent(
    payments: PaymentService, kind: str
) -> None:
    invoice = await payments.open_invoice(eur(125))
    fault = {"kind": kind, "method": "POST", "path": "/v1/payment_intents", "count": 3}
    await payments.sandbox.control("POST", "/faults/api", fault)
    answer = await payments.start((invoice, eur(125)))
    assert (answer.status_code, answer.json()["code"]) == (503, "stripe_unavailable")
    await payments.sandbox.control("DELETE", "/faults")

    await payments.start((invoice, eur(125)))

    assert len(await payments.intents()) <= 1
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payments") == 1


async def test_an_error_of_stripes_own_does_not_hide_the_intent_that_was_made(
    payments: PaymentService,
) -> None:
    """Stripe repeats the 500 to the same key for a day, so repeating the call would not help."""
    invoice = await payments.open_invoice(eur(125))
    fault = {"kind": "500_after", "method": "POST", "path": "/v1/payment_intents"}
    await payments.sandbox.control("POST", "/faults/api", fault)

    answer = await payments.start((invoice, eur(125)))

    (intent,) = await payments.intents()
    assert answer.status_code == 201
    assert answer.json()["client_secret"].startswith(intent["id"])
    kept = await payments.db.admin.fetchval("SELECT stripe_payment_intent_id FROM payments")
    assert kept == intent["id"]


async def test_a_busy_stripe_is_said_to_be_busy(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    fault = {"kind": "429", "method": "POST", "path": "/v1/payment_intents", "count": 20}
    await payments.sandbox.control("POST", "/faults/api", fault)

    answer = await payments.start((invoice, eur(125)))

    assert (answer.status_code, answer.json()["code"]) == (503, "stripe_busy")
    assert "retry-after" in answer.headers


@pytest.mark.parametrize(
    ("fault", "status", "code", "words"),
    [
        # Only Stripe knows the rate to the account's own currency, and so the smallest charge.
        ("400_small", 422, "amount_too_small", AmountTooSmall.message),
        ("400_large", 422, "amount_too_large", AmountTooLarge.message),
        ("400", 502, "stripe_refused", "The payment system refused this."),
    ],
)
async def test_a_refusal_for_good_gives_the_invoice_free(
    payments: PaymentService, fault: str, status: int, code: str, words: str
) -> None:
    invoice = await payments.open_invoice(eur(125))
    refuse = {"kind": fault, "method": "POST", "path": "/v1/payment_intents", "count": 1}
    await payments.sandbox.control("POST", "/faults/api", refuse)

    refused = await payments.start((invoice, eur(125)))

    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert refused.json()["detail"].startswith(words)
    assert await payments.db.admin.fetchval("SELECT status FROM payments") == "canceled"
    assert await payments.db.admin.fetchval("SELECT state FROM allocations") == "released"
    assert (await payments.start((invoice, eur(125)))).status_code == 201


@pytest.mark.parametrize("code", ["KWD", "MGA", "ISK", "KES", "VND", "ALL"])
async def test_the_smallest_amount_that_is_offered_is_charged_and_a_step_less_is_no_payment(
    payments: PaymentService, code: str
) -> None:
    known = CURRENCIES[code]
    least, less = money(known.minimum, code), money(known.minimum - known.step, code)
    invoice, small = await payments.open_invoice(least), await payments.open_invoice(less)

    paid = await payments.payment(await payments.pay((invoice, least)))
    refused = await payments.start((small, less))

    assert paid["status"] == "succeeded"
    assert (refused.status_code, refused.json()["code"]) == (422, "amount_too_small")
    assert refused.json()["minimum"] == {"minor": known.minimum, "currency": code}
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payments") == 1
