"""Disputes: Stripe's newest state, and its money in the books, whatever order events come in."""

from itertools import count, permutations
from typing import Any
from uuid import UUID

import pytest

from contracts.events.invoice import InvoiceUpdated
from contracts.events.payment import PaymentDisputed
from services.payment import consumers
from services.payment.disputes import reemit as disputes_reemit
from services.payment.disputes.sweep import looked_up, sweep_disputes
from tests.builders.events import deliver, outbox_events, waiting_parked
from tests.builders.values import eur
from tests.running.disputes import (
    FEE,
    charge_of,
    dispute,
    disputes_at_stripe,
    end,
    movements,
    payable,
    rows,
    sweep,
)
from tests.running.payment import PaymentService
from tests.running.refunds import leave_credit, refund_payment, request_refund, settle_refund, staff

_versions = count(2)
TAKEN = [("dispute_fee", FEE), ("disputed", 5000), ("receivable", -5000), ("stripe", -FEE)]
WON = [("dispute_fee", FEE), ("disputed", 0), ("receivable", -5000), ("stripe", 5000 - FEE)]
REOPENED = [("dispute_fee", FEE), ("disputed", 0), ("receivable", 0), ("stripe", -FEE)]


async def a_paid_invoice(payments: PaymentService) -> tuple[UUID, str]:
    """An invoice that was paid, and its charge."""
    invoice = await payments.open_invoice(eur(50))
    payment_id = await payments.pay((invoice, eur(50)))
    return invoice, await charge_of(payments, payment_id)


async def reopening(payments: PaymentService) -> None:
    await payments.update_clinic(next(_versions), lost_dispute_reopens=True)


async def test_a_chargeback_takes_the_money_and_asks_nobody_to_pay_again(payments: PaymentService) -> None:
    invoice, charge = await a_paid_invoice(payments)

    await dispute(payments, charge)
    await payments.consume()

    assert await payments.books() == TAKEN
    assert await payable(payments, invoice) == (5000, 5000, 5000)
    assert await movements(payments, invoice) == [("payment", 5000), ("dispute", -5000)]
    [row] = await rows(payments)
    assert (row["status"], row["reason"], row["amount"], row["charge_id"]) == (
        "needs_response",
        "fraudulent",
        5000,
        charge,
    )
    assert row["due_by"] is not None
    [*_, published] = [each for each in await outbox_events(payments.db) if isinstance(each, PaymentDisputed)]
    assert (published.version, published.status, published.taken, published.fees) == (
        row["version"],
        "needs_response",
        eur(50),
        (eur(15),),
    )
    assert [(each.invoice_id, each.amount) for each in published.invoices] == [(invoice, eur(50))]
    again = await payments.db.admin.fetch(disputes_reemit.SOURCE.sql, row["updated_at"])
    assert [event.id for each in again for event in disputes_reemit.SOURCE.events_of(each)] == [published.id]


async def test_a_dispute_that_is_won_brings_the_money_back_without_the_fee(payments: PaymentService) -> None:
    invoice, charge = await a_paid_invoice(payments)
    made = await dispute(payments, charge)

    await end(payments, made["id"], "won")
    await payments.consume()

    assert await payments.books() == WON
    assert await payable(payments, invoice) == (5000, 5000, 0)
    assert await movements(payments, invoice) == [("payment", 5000), ("dispute", -5000), ("dispute", 5000)]
    assert [row["status"] for row in await rows(payments)] == ["won"]


@pytest.mark.parametrize("reopens", [True, False])
async def test_a_lost_dispute_is_due_again_only_by_the_clinics_setting(
    payments: PaymentService, reopens: bool
) -> None:
    invoice, charge = await a_paid_invoice(payments)
    if reopens:
        await reopening(payments)
    made = await dispute(payments, charge)
    await end(payments, made["id"], "lost")
    await payments.consume()

    lost = [("payment", 5000), ("dispute", -5000)]
    if reopens:
        assert await payments.books() == REOPENED
        assert await payable(payments, invoice) == (5000, 0, 0)
        lost += [("dispute", 5000), ("reversal", -5000)]
    else:
        assert await payments.books() == TAKEN
        assert await payable(payments, invoice) == (5000, 5000, 5000)
    assert await movements(payments, invoice) == lost
    await reopening(payments)
    await sweep(payments)
    assert await movements(payments, invoice) == lost, "the setting holds from the moment of the loss"


async def test_what_is_won_late_pays_an_invoice_that_was_due_again(payments: PaymentService) -> None:
    await reopening(payments)
    invoice, charge = await a_paid_invoice(payments)
    made = await dispute(payments, charge)
    await end(payments, made["id"], "lost")
    await payments.consume()
    assert await payable(payments, invoice) == (5000, 0, 0)

    await end(payments, made["id"], "won")
    await payments.consume()

    assert await payments.books() == [
        ("dispute_fee", FEE),
        ("disputed", 0),
        ("receivable", -5000),
        ("stripe", 5000 - FEE),
    ]
    assert await payable(payments, invoice) == (5000, 5000, 0)
    assert (await movements(payments, invoice))[-1] == ("reversal", 5000)


async def test_what_is_won_late_is_credit_when_the_client_paid_again(payments: PaymentService) -> None:
    await reopening(payments)
    invoice, charge = await a_paid_invoice(payments)
    made = await dispute(payments, charge)
    await end(payments, made["id"], "lost")
    await payments.consume()
    await payments.pay((invoice, eur(50)))

    await end(payments, made["id"], "won")
    await payments.consume()

    assert await payable(payments, invoice) == (5000, 5000, 0)
    assert ("client_credit", -5000) in await payments.books()
    assert (await movements(payments, invoice))[-2:] == [("reversal", 5000), ("credit", -5000)]


async def test_what_is_won_after_a_credit_note_is_credit(payments: PaymentService) -> None:
    invoice, charge = await a_paid_invoice(payments)
    made = await dispute(payments, charge)
    await payments.consume()
    await deliver(payments.worker, consumers, payments.invoice(invoice, eur(20), 2, InvoiceUpdated))
    assert ("client_credit", -3000) not in await payments.books(), "the bank has it"

    await end(payments, made["id"], "won")
    await payments.consume()

    assert ("client_credit", -3000) in await payments.books()
    assert await payable(payments, invoice) == (2000, 2000, 0)


async def test_an_inquiry_moves_nothing_until_it_becomes_a_chargeback(payments: PaymentService) -> None:
    _, charge = await a_paid_invoice(payments)
    made = await dispute(payments, charge, status="warning_needs_response")
    await payments.consume()
    assert await payments.books() == [("receivable", -5000), ("stripe", 5000)]
    assert [row["status"] for row in await rows(payments)] == ["warning_needs_response"]

    await end(payments, made["id"], "escalated")
    await payments.consume()

    assert await payments.books() == TAKEN
    assert [row["status"] for row in await rows(payments)] == ["needs_response"]


async def test_several_disputes_take_no_more_than_is_kept_and_overdraw_nobody(
    payments: PaymentService,
) -> None:
    invoice, charge = await a_paid_invoice(payments)
    await dispute(payments, charge, amount=3000)
    await dispute(payments, charge, amount=4000, reason="duplicate")
    await payments.consume()

    assert await payable(payments, invoice) == (5000, 5000, 5000)
    assert ("disputed_rest", 2000) in await payments.books()
    assert sorted(await movements(payments, invoice)) == [
        ("dispute", -3000),
        ("dispute", -2000),
        ("payment", 5000),
    ] or sorted(amount for _, amount in await movements(payments, invoice)) == [-4000, -1000, 5000]


async def test_credit_that_a_payment_left_is_taken_as_far_as_it_is_there(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(50))
    started = await payments.start((invoice, eur(50)))
    await deliver(payments.worker, consumers, payments.invoice(invoice, eur(30), 2, InvoiceUpdated))
    await payments.confirm(started)
    await payments.hook.until("payment_intent.succeeded")
    await payments.consume()
    charge = await charge_of(payments, UUID(started.json()["payment_id"]))

    made = await dispute(payments, charge, amount=6000)
    await payments.consume()

    assert await payments.books() == [
        ("client_credit", 0),
        ("dispute_fee", FEE),
        ("disputed", 3000),
        ("disputed_rest", 1000),
        ("receivable", -3000),
        ("stripe", -1000 - FEE),
    ]
    await end(payments, made["id"], "won")
    await payments.consume()
    assert await payments.books() == [
        ("client_credit", -2000),
        ("dispute_fee", FEE),
        ("disputed", 0),
        ("disputed_rest", 0),
        ("receivable", -3000),
        ("stripe", 5000 - FEE),
    ]


async def test_credit_of_another_payment_is_not_taken_for_what_was_used_before(
    payments: PaymentService,
) -> None:
    payment_id = await leave_credit(payments)
    await payments.open_invoice(eur(25))
    asked, headers = {"client_id": str(payments.client_id), "currency": "EUR"}, {"Idempotency-Key": "use"}
    used = await payments.api.call("POST", "/credit/uses", staff(payments), json=asked, headers=headers)
    assert used.status_code == 201, used.text
    await dispute(payments, await charge_of(payments, payment_id))
    await payments.consume()
    assert ("disputed_rest", 2500) in await payments.books()

    await leave_credit(payments)
    await sweep(payments)

    assert [row["rest_amount"] for row in await rows(payments)] == [2500]
    assert ("client_credit", -2500) in await payments.books()


async def test_a_refund_of_credit_that_fails_while_the_bank_has_the_money_leaves_none(
    payments: PaymentService,
) -> None:
    payment_id = await leave_credit(payments, card="pm_card_refundFail")
    assert (await request_refund(payments)).status_code == 201
    await payments.hook.until("refund.created")
    await payments.consume()
    await dispute(payments, await charge_of(payments, payment_id))
    await payments.consume()
    assert ("disputed_rest", 2500) in await payments.books()
    await settle_refund(payments, "failed")
    await payments.consume()
    assert ("client_credit", -2500) in await payments.books()

    for _ in range(2):
        await leave_credit(payments)
        await sweep(payments)

    assert [(row["credit_amount"], row["rest_amount"]) for row in await rows(payments)] == [(2500, 0)]
    assert ("client_credit", -5000) in await payments.books()


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
async def test_events_in_any_order_and_number_end_the_same(
    payments: PaymentService, order: tuple[int, ...]
) -> None:
    invoice, charge = await a_paid_invoice(payments)
    made = await dispute(payments, charge)
    await end(payments, made["id"], "won")
    about = [event for event in payments.hook.events() if event.dispute is not None]
    assert len(about) == 4

    for at in order:
        await deliver(payments.worker, consumers, about[at])
    await deliver(payments.worker, consumers, *(about[at] for at in reversed(order)))
    await sweep(payments)

    assert await payments.books() == WON
    assert await payable(payments, invoice) == (5000, 5000, 0)
    assert [row["status"] for row in await rows(payments)] == ["won"]


async def test_a_dispute_that_is_told_before_its_payments_success_is_booked_after_it(
    payments: PaymentService,
) -> None:
    invoice = await payments.open_invoice(eur(50))
    started = await payments.start((invoice, eur(50)))
    await payments.confirm(started, "pm_card_createDispute")
    await payments.hook.until("payment_intent.succeeded")
    about = [event for event in payments.hook.events() if event.dispute is not None]
    others = [event for event in payments.hook.events() if event.dispute is None]

    await deliver(payments.worker, consumers, *about)
    assert await payments.books() == []
    await deliver(payments.worker, consumers, *others)
    await sweep(payments)

    assert await payments.books() == TAKEN
    assert await waiting_parked(payments.db) == []


async def test_a_dispute_that_no_event_told_of_is_found(payments: PaymentService) -> None:
    _, charge = await a_paid_invoice(payments)
    await dispute(payments, charge)
    await payments.db.admin.execute(
        "INSERT INTO account_states (account) VALUES ('') ON CONFLICT (account) DO NOTHING"
    )

    await sweep(payments)

    assert await payments.books() == TAKEN
    [made] = await disputes_at_stripe(payments)
    await payments.sandbox.control(
        "POST", f"/accounts/platform/disputes/{made['id']}/end", {"outcome": "won"}
    )
    await sweep(payments)
    assert await payments.books() == WON


async def test_a_fee_in_another_currency_is_booked_in_its_own(payments: PaymentService) -> None:
    """A clinic whose account settles in dollars: the disputed amount stays in the charge's currency."""
    _, charge = await a_paid_invoice(payments)
    await dispute(payments, charge)
    [body] = await disputes_at_stripe(payments)
    [move] = body["balance_transactions"]
    settled: dict[str, Any] = move | {"currency": "usd", "amount": -5612, "fee": 2000, "net": -7612}
    now = payments.hook.events()[-1].created

    await deliver(payments.worker, consumers, looked_up(body | {"balance_transactions": [settled]}, "", now))

    rows_ = await payments.db.admin.fetch(
        "SELECT account, currency, sum(amount)::int AS amount FROM postings GROUP BY 1, 2 ORDER BY 1, 2"
    )
    assert [tuple(row) for row in rows_] == [
        ("dispute_fee", "USD", 2000),
        ("disputed", "EUR", 5000),
        ("receivable", "EUR", -5000),
        ("stripe", "EUR", 0),
        ("stripe", "USD", -2000),
    ]


async def test_a_dispute_of_a_charge_that_is_not_ours_is_counted_and_not_kept(
    payments: PaymentService,
) -> None:
    _, charge = await a_paid_invoice(payments)
    await dispute(payments, charge)
    theirs = [
        event.model_copy(update={"payment_intent": "pi_theirs", "id": event.id})
        for event in payments.hook.events()
        if event.dispute is not None
    ]

    await deliver(payments.worker, consumers, *theirs)

    assert await rows(payments) == []
    assert await waiting_parked(payments.db) == []


async def test_of_two_states_in_one_second_stripe_is_asked_which_is_the_newer(
    payments: PaymentService,
) -> None:
    _, charge = await a_paid_invoice(payments)
    made = await dispute(payments, charge)
    [event, *_] = [event for event in payments.hook.events() if event.dispute is not None]
    await end(payments, made["id"], "lost")
    await payments.consume()
    [row] = await rows(payments)
    other = event.model_copy(update={"status": "won", "created": row["seen_at"]})
    await deliver(payments.worker, consumers, other)

    await payments.db.admin.execute("UPDATE disputes SET seen_at = seen_at - interval '9 seconds'")
    await sweep_disputes(payments.worker, payments.stripe, consumers.apply_stripe_events)

    assert [row["status"] for row in await rows(payments)] == ["lost"]


async def test_a_payment_is_not_refunded_while_the_bank_has_it_and_is_after_a_win(
    payments: PaymentService,
) -> None:
    payment_id = await leave_credit(payments)
    charge = await charge_of(payments, payment_id)
    made = await dispute(payments, charge, amount=500)
    await payments.consume()
    assert (await request_refund(payments)).json()["code"] == "charge_disputed"

    await end(payments, made["id"], "won")
    await payments.consume()

    assert (await request_refund(payments)).status_code == 201


async def test_money_that_a_bank_is_about_to_take_does_not_become_credit(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(50))
    payment_id = await payments.pay((invoice, eur(50)))
    made = await dispute(payments, await charge_of(payments, payment_id), amount=3000)
    about = [event for event in payments.hook.events() if event.dispute is not None]
    [opened] = [event for event in about if event.event_type == "charge.dispute.created"]
    await deliver(payments.worker, consumers, opened)
    assert await payments.books() == [("receivable", -5000), ("stripe", 5000)], "nothing is withdrawn yet"

    early = await refund_payment(payments, payment_id, to="credit")
    await payments.consume()
    late = await refund_payment(payments, payment_id, amount=2000, to="credit")
    await end(payments, made["id"], "won")
    await payments.consume()
    won = await refund_payment(payments, payment_id, amount=5000, to="credit")

    assert (early.status_code, early.json()["code"]) == (409, "charge_disputed")
    assert (late.status_code, late.json()["code"]) == (409, "charge_disputed")
    assert won.status_code == 201


async def test_disputes_are_listed_by_their_deadlines(payments: PaymentService) -> None:
    _, charge = await a_paid_invoice(payments)
    await dispute(payments, charge, amount=1000)
    lost = await dispute(payments, charge, amount=2000)
    await end(payments, lost["id"], "lost")
    await payments.consume()
    await payments.db.admin.execute("UPDATE disputes SET due_by = now() + amount * interval '1 hour'")

    async def listed(query: str = "") -> Any:
        answer = await payments.api.call("GET", f"/disputes{query}", staff(payments))
        assert answer.status_code == 200, answer.text
        return answer.json()

    first = await listed("?limit=1")
    rest = await listed(f"?limit=1&cursor={first['next']}")

    assert [each["amount"]["minor"] for page in (first, rest) for each in page["items"]] == [1000, 2000]
    assert (rest["next"], rest["items"][0]["fees"]) == (None, [{"minor": FEE, "currency": "EUR"}])
    assert [each["status"] for each in (await listed("?status=lost"))["items"]] == ["lost"]
    assert (await listed("?due_before=2026-01-01T00:00:00Z"))["items"] == []
    assert (await listed("?due_before=2026-01-01T00:00:00"))["items"] == []
    one = await payments.api.call("GET", f"/disputes/{first['items'][0]['id']}", staff(payments))
    assert one.json() == first["items"][0]
    none = await payments.api.call("GET", f"/disputes/{payments.client_id}", staff(payments))
    assert (none.status_code, none.json()["code"]) == (404, "dispute_not_found")
