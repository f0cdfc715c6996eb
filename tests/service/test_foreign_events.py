"""Events of other installations and of an account's own use are counted and not parked; ours are never lost by it."""

from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from structlog.testing import capture_logs

from contracts.events.stripe import StripeEvent
from contracts.http.payments import MOST_INVOICES
from deploy.sandbox.embedded import RunningSandbox
from services.payment.payments import reads as lookups
from services.payment.payments.stripe_params import metadata_of, new_intent, seal_payment
from services.payment.stripe.api import StripeApi
from services.payment.stripe.seal import Seal
from tests.builders.events import outbox_events, waiting_parked
from tests.builders.values import eur, money
from tests.running.payment import PaymentService
from tests.running.settings import SEAL

ELM = Seal("elm", (b"a-key-of-another-installation-00",))


def named(**changes: str) -> dict[str, str]:
    return {"clinic_id": str(uuid4()), "payment_id": str(uuid4()), "client_id": str(uuid4())} | changes


async def sandbox_post(sandbox: RunningSandbox, path: str, form: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    async with httpx2.AsyncClient(base_url=sandbox.url, headers=headers, trust_env=False) as stripe:
        answer = await stripe.post(path, data=form)
    assert answer.status_code == 200, answer.text
    return answer.json()


def in_form(metadata: dict[str, str]) -> dict[str, str]:
    return {f"metadata[{name}]": value for name, value in metadata.items()}


async def somebody_charges(payments: PaymentService, metadata: dict[str, str], minor: int = 12_500) -> Any:
    """An intent that the account's owner, or another program of theirs, makes and pays."""
    already = payments.hook.count("payment_intent.succeeded")
    form = {
        "amount": str(minor),
        "currency": "eur",
        "confirm": "true",
        "payment_method": "pm_card_visa",
        "payment_method_types[]": "card",
    }
    made = await sandbox_post(payments.sandbox, "/v1/payment_intents", form | in_form(metadata))
    await payments.hook.until("payment_intent.succeeded", already + 1)
    await payments.hook.until("charge.succeeded", already + 1)
    return made


async def consumed(payments: PaymentService, *events: StripeEvent) -> Counter[str]:
    """Hear all that came, or these; how many events were counted as not ours, by reason."""
    with capture_logs() as lines:
        await payments.consume(*events)
    counted: Counter[str] = Counter()
    for line in lines:
        if line["event"] == "stripe_events_not_ours":
            counted[line["reason"]] += line["events"]
    return counted


async def nothing_happened(payments: PaymentService) -> None:
    assert await waiting_parked(payments.db) == []
    assert await outbox_events(payments.db) == []
    assert await payments.books() == []


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (named(), "unsigned"),
        ({}, "unsigned"),
        ({"payment_id": "no id at all"}, "unsigned"),
        (named(installation="elm", signature="0" * 64), "other_installation"),
        (named(installation="harbour"), "forged"),
        (named(installation="harbour", signature="0" * 64), "forged"),
        (named(refund_id=str(uuid4()), installation="harbour", signature="f" * 64), "forged"),
    ],
)
async def test_twenty_charges_of_others_are_counted_and_none_is_parked(
    payments: PaymentService, metadata: dict[str, str], reason: str
) -> None:
    for _ in range(20):
        await somebody_charges(payments, metadata)

    assert await consumed(payments) == {reason: 40}

    await nothing_happened(payments)


async def test_another_installation_on_the_same_account_is_told_by_its_name(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    async with payments.worker.worker_tx() as tx:
        ours = await lookups.get_payment(tx, None, UUID(started.json()["payment_id"]))
    assert ours is not None
    theirs = seal_payment(replace(ours, id=uuid4()), ELM)

    await somebody_charges(payments, metadata_of(theirs))

    assert await consumed(payments) == {"other_installation": 2}
    await nothing_happened(payments)


async def its_metadata(payments: PaymentService) -> tuple[UUID, dict[str, str]]:
    """A payment of ours that is open, and what its intent carries."""
    invoice = await payments.open_invoice(eur(125))
    started = await payments.start((invoice, eur(125)))
    [intent] = await payments.intents()
    return UUID(started.json()["payment_id"]), intent["metadata"]


async def test_an_intent_names_installation_client_and_invoices_and_signs_them(
    payments: PaymentService,
) -> None:
    payment_id, metadata = await its_metadata(payments)
    assert SEAL.origin(metadata) == "ours"
    assert (metadata["installation"], metadata["payment_id"]) == ("harbour", str(payment_id))
    assert metadata["client_id"] == str(payments.client_id)
    invoice, amount, currency = metadata["invoice_1"].split()
    assert (amount, currency, UUID(invoice).version) == ("12500", "EUR", 7)


@pytest.mark.parametrize("charged", [100, 12_500])
async def test_a_tampered_amount_is_forged_although_its_signature_is_one_of_ours(
    payments: PaymentService, charged: int
) -> None:
    """Nor is it booked to the payment whose own intent is not known yet."""
    payment_id, metadata = await its_metadata(payments)
    invoice = metadata["invoice_1"].split()[0]
    await payments.db.admin.execute("UPDATE payments SET stripe_payment_intent_id = NULL")

    await somebody_charges(payments, metadata | {"invoice_1": f"{invoice} 1 EUR"}, charged)

    assert await consumed(payments) == {"forged": 2}
    await nothing_happened(payments)
    assert (await payments.payment(payment_id))["status"] == "created"


async def test_metadata_copied_to_another_intent_is_counted_and_ours_is_booked(
    payments: PaymentService,
) -> None:
    payment_id, metadata = await its_metadata(payments)
    [intent] = await payments.intents()

    await somebody_charges(payments, metadata)

    assert await consumed(payments) == {"copied": 2}
    await nothing_happened(payments)
    assert (await payments.payment(payment_id))["status"] == "created"
    await confirmed(payments, intent)
    assert await consumed(payments) == {}
    assert await waiting_parked(payments.db) == []
    assert await payments.books() == [("receivable", -12500), ("stripe", 12500)]


@pytest.mark.parametrize("account", ["acct_another", "acct_1"])
async def test_metadata_copied_to_another_account_is_counted(payments: PaymentService, account: str) -> None:
    """Also if that account should have an intent of the very same id."""
    payment_id, _ = await its_metadata(payments)
    [intent] = await payments.intents()
    await confirmed(payments, intent)
    await payments.hook.until("charge.succeeded")
    there = [
        event.model_copy(update={"account": account, "id": uuid4()})
        for event in payments.hook.events()
        if event.event_type in ("charge.succeeded", "payment_intent.succeeded")
    ]

    assert await consumed(payments, *there) == {"copied": 2}

    await nothing_happened(payments)
    assert (await payments.payment(payment_id))["status"] == "created"


@pytest.mark.parametrize("known", ["not yet", "by its metadata"])
async def test_where_another_intent_may_be_the_one_that_we_made_nothing_is_counted_away(
    payments: PaymentService, known: str
) -> None:
    """The answer to our call was lost: what was found instead, or came with an event, may be a copy."""
    _, metadata = await its_metadata(payments)
    copy = None if known == "not yet" else "pi_a_copy"
    await payments.db.admin.execute(
        "UPDATE payments SET stripe_payment_intent_id = $1, intent_made = false", copy
    )

    await somebody_charges(payments, metadata)

    assert await consumed(payments) == {}
    booked = [("receivable", -12500), ("stripe", 12500)]
    assert await payments.books() == (booked if copy is None else [])
    parked = {reason for _, reason in await waiting_parked(payments.db)}
    assert parked == (set() if copy is None else {"stripe_wrong_intent"})


async def test_an_older_intent_of_ours_that_took_money_is_booked(payments: PaymentService) -> None:
    """Each attempt is a row of its own, which keeps its intent's id when it ends; the invoice has a newer one."""
    older, _ = await its_metadata(payments)
    [intent] = await payments.intents()
    await payments.db.admin.execute("UPDATE payments SET status = 'canceled', failure_code = 'intent_gone'")
    await payments.db.admin.execute("UPDATE allocations SET state = 'released'")
    newer = await payments.start((await _invoice_of(payments), eur(125)))
    assert newer.json()["payment_id"] != str(older)
    await confirmed(payments, intent)

    assert await consumed(payments) == {}

    assert (await payments.payment(older))["status"] == "succeeded"
    assert await waiting_parked(payments.db) == []


async def _invoice_of(payments: PaymentService) -> UUID:
    found: UUID = await payments.db.admin.fetchval("SELECT id FROM payables")
    return found


async def test_our_intent_that_carries_another_payments_metadata_is_booked_to_its_own(
    payments: PaymentService,
) -> None:
    """Somebody copied one of ours onto another of ours: Stripe's id says whose money it is."""
    first, metadata = await its_metadata(payments)
    invoice = await payments.open_invoice(eur(80))
    started = await payments.start((invoice, eur(80)))
    [second] = [each for each in await payments.intents() if each["amount"] == 8_000]
    await sandbox_post(payments.sandbox, f"/v1/payment_intents/{second['id']}", in_form(metadata))
    await confirmed(payments, second)

    assert await consumed(payments) == {}

    assert (await payments.payment(first))["status"] == "created"
    assert (await payments.payment(started.json()["payment_id"]))["status"] == "succeeded"
    assert await waiting_parked(payments.db) == []


async def test_a_charge_of_ours_whose_row_is_lost_is_parked(payments: PaymentService) -> None:
    await its_metadata(payments)
    [intent] = await payments.intents()
    await payments.db.admin.execute("DELETE FROM allocations")
    await payments.db.admin.execute("DELETE FROM payments")
    await confirmed(payments, intent)

    assert await consumed(payments) == {}

    assert {reason for _, reason in await waiting_parked(payments.db)} == {"stripe_unknown_payment"}


async def confirmed(payments: PaymentService, intent: Any) -> None:
    already = payments.hook.count("payment_intent.succeeded")
    await sandbox_post(
        payments.sandbox, f"/v1/payment_intents/{intent['id']}/confirm", {"payment_method": "pm_card_visa"}
    )
    await payments.hook.until("payment_intent.succeeded", already + 1)


@pytest.mark.parametrize("edited", [{"payment_id": ""}, {"signature": "0" * 64}, {"installation": "elm"}])
async def test_our_intent_stays_ours_whatever_its_owner_makes_of_its_metadata(
    payments: PaymentService, edited: dict[str, str]
) -> None:
    """Stripe's id, which the row has, cannot be edited."""
    payment_id, _ = await its_metadata(payments)
    [intent] = await payments.intents()
    await sandbox_post(payments.sandbox, f"/v1/payment_intents/{intent['id']}", in_form(edited))
    await confirmed(payments, intent)

    assert await consumed(payments) == {}

    assert (await payments.payment(payment_id))["status"] == "succeeded"


async def test_a_payment_from_before_the_upgrade_is_booked_as_before(payments: PaymentService) -> None:
    payment_id, _ = await its_metadata(payments)
    [intent] = await payments.intents()
    await payments.db.admin.execute(
        "UPDATE payments SET installation = NULL, signature = NULL, stripe_payment_intent_id = NULL"
    )
    await sandbox_post(
        payments.sandbox,
        f"/v1/payment_intents/{intent['id']}",
        in_form(dict.fromkeys(("installation", "signature"), "")),
    )
    await confirmed(payments, intent)

    assert await consumed(payments) == {}

    assert (await payments.payment(payment_id))["status"] == "succeeded"


async def test_an_event_that_an_earlier_edge_published_is_booked(payments: PaymentService) -> None:
    payment_id, _ = await its_metadata(payments)
    [intent] = await payments.intents()
    await payments.db.admin.execute("UPDATE payments SET stripe_payment_intent_id = NULL")
    await confirmed(payments, intent)
    published = [each.model_copy(update={"origin": None, "attempt": None}) for each in payments.hook.events()]

    assert await consumed(payments, *published) == {}

    assert (await payments.payment(payment_id))["status"] == "succeeded"


async def test_a_request_is_the_very_same_after_the_key_was_replaced(payments: PaymentService) -> None:
    """Else Stripe would refuse it under its idempotency key."""
    payment_id, metadata = await its_metadata(payments)
    async with payments.worker.worker_tx() as tx:
        payment = await lookups.get_payment(tx, None, payment_id)
    assert payment is not None
    rotated = StripeApi(
        payments.sandbox.secret_key, payments.sandbox.url, signer=Seal("harbour", (b"n" * 32,))
    )
    try:
        again = await rotated.create_intent(new_intent(payment), None)
    finally:
        await rotated.close()
    assert (again.id, again.body["metadata"]) == (payment.intent_id, metadata)


async def test_the_sweeper_finds_no_intent_that_carries_another_seal(payments: PaymentService) -> None:
    payment_id, metadata = await its_metadata(payments)
    async with payments.worker.worker_tx() as tx:
        payment = await lookups.get_payment(tx, None, payment_id)
    assert payment is not None
    invoice = metadata["invoice_1"].split()[0]
    for edited in ({"signature": "0" * 64}, {"invoice_1": f"{invoice} 1 EUR"}):
        await sandbox_post(
            payments.sandbox, f"/v1/payment_intents/{payment.intent_id}", in_form(metadata | edited)
        )
        assert await payments.stripe.find_intent(new_intent(payment)) is None
    await sandbox_post(payments.sandbox, f"/v1/payment_intents/{payment.intent_id}", in_form(metadata))
    found = await payments.stripe.find_intent(new_intent(payment))
    assert found is not None
    assert found.id == payment.intent_id


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({}, "unsigned"),
        (named(refund_id=str(uuid4())), "unsigned"),
        (named(refund_id=str(uuid4()), installation="elm"), "other_installation"),
        (named(refund_id=str(uuid4()), installation="harbour", signature="0" * 64), "forged"),
    ],
)
async def test_refunds_of_others_are_counted_and_not_parked(
    payments: PaymentService, metadata: dict[str, str], reason: str
) -> None:
    charged = await somebody_charges(payments, {})
    await sandbox_post(payments.sandbox, "/v1/refunds", {"payment_intent": charged["id"]} | in_form(metadata))
    await payments.hook.until("refund.created")

    counted = await consumed(payments)

    assert counted - Counter({"unsigned": 2}) == {reason: 1}
    await nothing_happened(payments)


async def test_methods_of_customers_that_are_not_ours_are_counted(payments: PaymentService) -> None:
    customer = await sandbox_post(payments.sandbox, "/v1/customers", {})
    await sandbox_post(
        payments.sandbox, "/v1/payment_methods/pm_card_visa/attach", {"customer": customer["id"]}
    )
    await payments.hook.until("payment_method.attached")

    assert await consumed(payments) == {"unknown_customer": 1}

    await nothing_happened(payments)


async def test_more_invoices_than_metadata_can_name_are_refused_before_anything_is_reserved(
    payments: PaymentService,
) -> None:
    shares = [(await payments.open_invoice(money(100)), money(100)) for _ in range(MOST_INVOICES + 1)]

    refused = await payments.start(*shares)

    assert (refused.status_code, refused.json()["code"]) == (422, "too_many_invoices")
    assert refused.json()["most"] == MOST_INVOICES
    assert await payments.db.admin.fetchval("SELECT count(*) FROM payments") == 0
    assert await payments.intents() == []
    started = await payments.start(*shares[:-1])
    assert started.status_code == 201, started.text
    [intent] = await payments.intents()
    assert SEAL.origin(intent["metadata"]) == "ours"
