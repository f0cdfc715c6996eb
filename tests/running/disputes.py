"""A payment that is disputed at the bank, its books, and the sweep that asks Stripe."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2

from contracts.events.payment import PaymentSettled
from services.payment import consumers
from services.payment.disputes import sweep as disputes_sweep
from tests.builders.events import outbox_events
from tests.running.payment import PaymentService

FEE = 1_500


async def dispute(payments: PaymentService, charge: str, **body: Any) -> Any:
    """The bank disputes a charge. Wait until its webhooks have come."""
    already = payments.hook.count("charge.dispute.created")
    account = payments.account or "platform"
    made = await payments.sandbox.control("POST", f"/accounts/{account}/charges/{charge}/dispute", body)
    await payments.hook.until("charge.dispute.created", already + 1)
    if body.get("status", "needs_response") == "needs_response":
        await payments.hook.until("charge.dispute.funds_withdrawn")
    return made


async def end(payments: PaymentService, dispute_id: str, outcome: str) -> None:
    """The bank's verdict. Wait until its webhooks have come."""
    awaited = "charge.dispute.funds_withdrawn" if outcome == "escalated" else "charge.dispute.closed"
    already = payments.hook.count(awaited)
    account = payments.account or "platform"
    await payments.sandbox.control(
        "POST", f"/accounts/{account}/disputes/{dispute_id}/end", {"outcome": outcome}
    )
    await payments.hook.until(awaited, already + 1)


async def charge_of(payments: PaymentService, payment_id: UUID) -> str:
    intent_id = await payments.db.admin.fetchval(
        "SELECT stripe_payment_intent_id FROM payments WHERE id = $1", payment_id
    )
    [charge] = [each["latest_charge"] for each in await payments.intents() if each["id"] == intent_id]
    return str(charge)


async def disputes_at_stripe(payments: PaymentService) -> list[Any]:
    headers = {"Authorization": f"Bearer {payments.sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=payments.sandbox.url, headers=headers, trust_env=False) as stripe:
        found: list[Any] = (await stripe.get("/v1/disputes?limit=100")).json()["data"]
    return found


async def rows(payments: PaymentService) -> list[dict[str, Any]]:
    """Our disputes, oldest first."""
    found = await payments.db.admin.fetch("SELECT * FROM disputes ORDER BY opened_at, stripe_dispute_id")
    return [dict(row) for row in found]


async def movements(payments: PaymentService, invoice: UUID) -> list[tuple[str, int]]:
    """(kind, amount) of what was published about an invoice, in order."""
    return [
        (event.kind, event.amount.minor)
        for event in await outbox_events(payments.db)
        if isinstance(event, PaymentSettled) and event.invoice_id == invoice
    ]


async def payable(payments: PaymentService, invoice: UUID) -> tuple[int, int, int]:
    """(due, settled, returned) of a receivable."""
    row = await payments.db.admin.fetchrow(
        "SELECT due_amount, settled_amount, returned_amount FROM payables WHERE id = $1", invoice
    )
    assert row is not None
    return row["due_amount"], row["settled_amount"], row["returned_amount"]


async def sweep(payments: PaymentService) -> None:
    await disputes_sweep.sweep_disputes(
        payments.worker, payments.stripe, consumers.apply_stripe_events, timedelta(0)
    )
