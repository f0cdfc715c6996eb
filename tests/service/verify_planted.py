"""Differences between our books and Stripe's, or between two services, each planted under the name of its check.

A plant returns values that the reported row must have.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx2

from contracts.events.payment import PaymentSettled, PaymentSucceeded
from tests.builders.events import deliver_to_all, outbox_events
from tests.builders.values import money
from tests.running import disputes
from tests.running.installation import Installation
from tests.running.refunds import refund_payment

Row = dict[str, Any]
ELSEWHERE = "acct_elsewhere"
PAID = 12_500
"""An invoice of the installation that one payment paid whole."""


async def at_stripe(installation: Installation, path: str) -> list[Any]:
    sandbox = installation.payments.sandbox
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as dashboard:
        found: list[Any] = (await dashboard.get(f"/v1/{path}?limit=100")).json()["data"]
    return found


async def the_charge(installation: Installation) -> Row:
    """The charge of `PAID`."""
    [charge] = [each for each in await at_stripe(installation, "charges") if each["amount"] == PAID]
    found: Row = charge
    return found


async def changed(installation: Installation, id_: str, fields: Row, account: str = "platform") -> None:
    await installation.payments.sandbox.control("PUT", f"/accounts/{account}/objects/{id_}", fields)


async def gone(installation: Installation, id_: str) -> None:
    await installation.payments.sandbox.control("DELETE", f"/accounts/platform/objects/{id_}")


async def said(installation: Installation, charge: Row) -> Row:
    """The keys of the row that names a charge."""
    payment_id = await installation.payments.db.admin.fetchval(
        "SELECT id FROM payments WHERE stripe_payment_intent_id = $1", charge["payment_intent"]
    )
    return {
        "clinic_id": installation.world.clinic_id,
        "payment_id": payment_id,
        "payment_intent": charge["payment_intent"],
        "currency": "EUR",
    }


async def unknown_charge(installation: Installation) -> Row:
    """Its webhook never came."""
    payments = installation.payments
    invoice = await installation.open_invoice(5_000)
    started = await payments.start((invoice, money(5_000)))
    already = payments.hook.count("payment_intent.succeeded")
    await payments.confirm(started)
    await payments.hook.until("payment_intent.succeeded", already + 1)
    return {
        "clinic_id": installation.world.clinic_id,
        "payment_id": UUID(started.json()["payment_id"]),
        "amount": 5_000,
        "wrong": "not booked",
    }


async def missing_charge(installation: Installation) -> Row:
    charge = await the_charge(installation)
    await gone(installation, charge["id"])
    return await said(installation, charge) | {"amount": PAID, "charges": "none"}


async def second_charge(installation: Installation) -> Row:
    charge = await the_charge(installation)
    await changed(installation, "ch_second", charge)
    both = ", ".join(sorted(("ch_second", charge["id"])))
    return await said(installation, charge) | {"amount": PAID, "charges": both}


async def other_amount(installation: Installation) -> Row:
    charge = await the_charge(installation)
    await changed(installation, charge["id"], {"amount": PAID + 1})
    wrong = f"amount {PAID + 1} ≠ {PAID}"
    return await said(installation, charge) | {"charge": charge["id"], "amount": PAID + 1, "wrong": wrong}


async def other_currency(installation: Installation) -> Row:
    charge = await the_charge(installation)
    await changed(installation, charge["id"], {"currency": "usd"})
    return await said(installation, charge) | {"currency": "USD", "wrong": "currency USD ≠ EUR"}


async def other_payment(installation: Installation) -> Row:
    """The account's owner changed the metadata: the charge names another payment."""
    charge, stranger = await the_charge(installation), uuid4()
    metadata = charge["metadata"] | {"payment_id": str(stranger)}
    await changed(installation, charge["id"], {"metadata": metadata})
    row = await said(installation, charge)
    wrong = f"payment {stranger} ≠ {row['payment_id']}"
    return row | {"payment_id": stranger, "amount": PAID, "wrong": wrong}


async def other_account(installation: Installation) -> Row:
    """The clinic was charged on another account than its books have."""
    charge = await the_charge(installation)
    await installation.payments.sandbox.control("PUT", f"/accounts/{ELSEWHERE}", {})
    await installation.dbs["payment"].admin.execute(
        "INSERT INTO account_choices (clinic_id, chosen_at, stripe_account_id) VALUES ($1, now(), $2)",
        installation.world.clinic_id,
        ELSEWHERE,
    )
    await gone(installation, charge["id"])
    await changed(installation, charge["id"], charge, ELSEWHERE)
    where = {"account": "platform", "charged on": ELSEWHERE, "charges": charge["id"]}
    return await said(installation, charge) | {"amount": PAID} | where


async def unknown_refund(installation: Installation) -> Row:
    """Somebody refunded in the dashboard, and its webhook never came."""
    charge, sandbox = await the_charge(installation), installation.payments.sandbox
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as dashboard:
        made = await dashboard.post("/v1/refunds", data={"charge": charge["id"], "amount": "123"})
    wrong = {"refund": made.json()["id"], "amount": 123, "wrong": "not booked"}
    return await said(installation, charge) | wrong


async def refunded(installation: Installation) -> tuple[Row, Row]:
    """(charge, refund) of 500 that we asked for and booked."""
    payments, charge = installation.payments, await the_charge(installation)
    row = await said(installation, charge)
    already = payments.hook.count("refund.created")
    assert (await refund_payment(payments, row["payment_id"], amount=500)).status_code == 201
    await payments.hook.until("refund.created", already + 1)
    await payments.consume()
    await installation.pump()
    [refund] = [each for each in await at_stripe(installation, "refunds") if each["charge"] == charge["id"]]
    return charge, refund


async def missing_refund(installation: Installation) -> Row:
    """It is booked, and never reached the card."""
    charge, refund = await refunded(installation)
    await gone(installation, refund["id"])
    await changed(installation, charge["id"], {"amount_refunded": 0})
    row = await said(installation, charge)
    return row | {"refund_id": UUID(refund["metadata"]["refund_id"]), "refund": refund["id"], "amount": 500}


async def other_refund(installation: Installation) -> Row:
    charge, refund = await refunded(installation)
    await changed(installation, refund["id"], {"amount": 501})
    await changed(installation, charge["id"], {"amount_refunded": 501})
    wrong = {"refund": refund["id"], "amount": 500, "wrong": "amount 501 ≠ 500"}
    return await said(installation, charge) | wrong


async def other_refunded_sum(installation: Installation) -> Row:
    charge = await the_charge(installation)
    await changed(installation, charge["id"], {"amount_refunded": 77})
    wrong = {"refunded": 77, "booked": 0, "wrong": "refunded at Stripe, not in the books"}
    return await said(installation, charge) | {"charge": charge["id"]} | wrong


async def unknown_dispute(installation: Installation) -> Row:
    charge = await the_charge(installation)
    made = await disputes.dispute(installation.payments, charge["id"])
    wrong = {"dispute": made["id"], "amount": PAID, "wrong": "not kept"}
    return await said(installation, charge) | wrong


async def disputed(installation: Installation) -> tuple[Row, Row]:
    """(charge, dispute), booked."""
    charge = await the_charge(installation)
    made = await disputes.dispute(installation.payments, charge["id"])
    await installation.payments.consume()
    await installation.pump()
    return charge, made


async def other_dispute_state(installation: Installation) -> Row:
    """It was won, and nobody heard of it."""
    charge, made = await disputed(installation)
    await disputes.end(installation.payments, made["id"], "won")
    wrong = {"dispute": made["id"], "amount": PAID, "wrong": "status won ≠ needs_response"}
    return await said(installation, charge) | wrong


async def other_dispute_fee(installation: Installation) -> Row:
    charge, made = await disputed(installation)
    [there] = await disputes.disputes_at_stripe(installation.payments)
    [move] = there["balance_transactions"]
    await changed(installation, made["id"], {"balance_transactions": [move | {"fee": move["fee"] + 5}]})
    fees = f"-{PAID} EUR with a fee of 1505 ≠ -{PAID} EUR with a fee of 1500"
    return await said(installation, charge) | {"dispute": made["id"], "wrong": f"{move['id']}: {fees}"}


async def missing_dispute(installation: Installation) -> Row:
    charge, made = await disputed(installation)
    await gone(installation, made["id"])
    return await said(installation, charge) | {"dispute": made["id"], "wrong": "not at Stripe"}


async def paid_without(installation: Installation, lost: type[Any]) -> tuple[UUID, UUID]:
    """(invoice, payment) of a payment of which one event is lost on its way."""
    invoice = await installation.open_invoice(5_000)
    payment_id = await installation.payments.pay((invoice, money(5_000)))
    events = await outbox_events(installation.dbs["payment"])
    await installation.dbs["payment"].admin.execute("DELETE FROM outbox")
    await deliver_to_all(installation.dbs, *(event for event in events if not isinstance(event, lost)))
    await installation.pump()
    return invoice, payment_id


async def settled_and_unpaid(installation: Installation) -> Row:
    """Stripe took the money, payment booked it, and the invoice stayed unpaid."""
    invoice, payment_id = await paid_without(installation, PaymentSettled)
    assert (await installation.world.get(f"/invoices/{invoice}"))["status"] == "unpaid"
    row = {"clinic_id": installation.world.clinic_id, "invoice_id": invoice, "payment_id": payment_id}
    return row | {"amount": 5_000, "currency": "EUR", "missing in": "invoice"}


async def without_receipt(installation: Installation) -> Row:
    _, payment_id = await paid_without(installation, PaymentSucceeded)
    row = {"clinic_id": installation.world.clinic_id, "payment_id": payment_id}
    return row | {"missing in": "notification"}


PLANTED: Mapping[str, Callable[[Installation], Awaitable[Row]]] = {
    "charges_are_booked": unknown_charge,
    "bookings_are_charged": missing_charge,
    "charged_once": second_charge,
    "charged_amounts_agree": other_amount,
    "charged_currencies_agree": other_currency,
    "charges_are_their_payments": other_payment,
    "charges_are_on_their_account": other_account,
    "refunds_at_stripe_are_booked": unknown_refund,
    "refunds_are_at_stripe": missing_refund,
    "stripe_refunds_are_ours": other_refund,
    "charges_are_refunded_as_booked": other_refunded_sum,
    "disputes_are_kept": unknown_dispute,
    "stripe_disputes_are_ours": other_dispute_state,
    "disputed_money_agrees": other_dispute_fee,
    "disputes_are_at_stripe": missing_dispute,
    "movements_agree": settled_and_unpaid,
    "one_receipt_per_payment": without_receipt,
}
