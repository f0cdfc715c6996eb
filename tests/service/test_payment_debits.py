"""Bank debits: agreed to before the press, on their way for days, payable again only when they failed."""

from typing import Any

import httpx2
import pytest

from contracts import consents
from services.chassis.clock import now
from services.payment.accounts.domain import AccountState
from tests.builders.events import outbox_events
from tests.builders.values import eur, money
from tests.running.payment import PaymentService

GOOD, FAILS = "AT611904300234573201", "AT861904300235473202"


@pytest.fixture
async def debits(payments: PaymentService) -> PaymentService:
    await payments.update_clinic(2, methods=("card", "redirect", "debit"))
    return payments


def mandate(currency: str = "EUR") -> dict[str, str]:
    text = consents.debit(currency, "Harbour Clinic")
    return {"kind": text.kind, "version": text.version, "locale": text.locale, "text": text.text}


async def start(payments: PaymentService, *shares: Any, **more: Any) -> Any:
    body = {
        "invoices": [
            {"invoice_id": str(invoice), "amount": amount.model_dump()} for invoice, amount in shares
        ],
        "method": {"kind": "debit"},
        "consent": mandate(),
    } | more
    return await payments.api.call("POST", "/payments", payments.client, json=body)


async def confirm(payments: PaymentService, started: Any, iban: str) -> str:
    """Confirm with this account; answers the intent's id."""
    form = {"key": payments.sandbox.publishable_key, "type": "sepa_debit", "sepa_debit[iban]": iban}
    async with httpx2.AsyncClient(base_url=payments.sandbox.url, trust_env=False) as browser:
        method = (await browser.post("/v1/payment_methods", data=form)).json()["id"]
    intent = await payments.confirm(started, method)
    assert intent["status"] == "processing", intent
    await payments.hook.until("payment_intent.processing")
    await payments.consume()
    return str(intent["id"])


async def settle(payments: PaymentService, intent: str, outcome: str, event: str) -> None:
    await payments.sandbox.control("POST", "/clock", {"offset_seconds": 4 * 24 * 3600})
    path = f"/accounts/{payments.sandbox.platform}/payment_intents/{intent}/settle"
    await payments.sandbox.control("POST", path, {"outcome": outcome})
    await payments.hook.until(event)
    await payments.consume()


async def test_a_debit_is_on_its_way_for_days_and_then_paid(debits: PaymentService) -> None:
    first, second = await debits.open_invoice(eur(125)), await debits.open_invoice(eur(20))
    started = await start(debits, (first, eur(125)), (second, eur(20)))
    assert started.status_code == 201, started.text
    intent = await confirm(debits, started, GOOD)

    assert [each["payment_method_types"] for each in await debits.intents()] == [["sepa_debit"]]
    for again in (await start(debits, (first, eur(125))), await debits.start((second, eur(20)))):
        assert (again.status_code, again.json()["code"]) == (409, "payment_in_progress")
    await settle(debits, intent, "succeeded", "payment_intent.succeeded")

    paid = await debits.payment(started.json()["payment_id"])
    assert (paid["status"], paid["method"]["kind"]) == ("succeeded", "sepa_debit")
    assert await debits.books() == [("receivable", -14_500), ("stripe", 14_500)]


async def test_a_debit_that_fails_late_is_payable_again_with_its_reason(debits: PaymentService) -> None:
    invoice = await debits.open_invoice(eur(125))
    started = await start(debits, (invoice, eur(125)))
    intent = await confirm(debits, started, FAILS)
    await settle(debits, intent, "failed", "payment_intent.payment_failed")

    failed = await debits.payment(started.json()["payment_id"])
    assert failed["status"] == "failed"
    assert failed["failure"]["message"] == "Your bank did not pay the debit."
    topics = [event.topic.name for event in await outbox_events(debits.db)]
    assert topics == ["payment.processing", "payment.failed"]
    again = await debits.start((invoice, eur(125)))
    assert again.status_code == 201
    assert (await debits.payment(started.json()["payment_id"]))["status"] == "canceled"


async def test_the_mandate_is_kept_as_it_was_shown(debits: PaymentService) -> None:
    invoice = await debits.open_invoice(eur(125))
    started = await start(debits, (invoice, eur(125)))
    assert (await start(debits, (invoice, eur(125)))).status_code == 200

    [kept] = await debits.db.admin.fetch("SELECT * FROM consents")
    assert str(kept["payment_id"]) == started.json()["payment_id"]
    assert (kept["kind"], kept["version"], kept["locale"]) == ("debit", "sepa_debit/1", "en")
    assert "Harbour Clinic and Stripe" in kept["text"]
    assert abs((now() - kept["agreed_at"]).total_seconds()) < 60


@pytest.mark.parametrize(
    ("minor", "currency", "more", "status", "code"),
    [
        (12_500, "EUR", {"consent": None}, 422, "consent_missing"),
        (12_500, "EUR", {"consent": mandate() | {"kind": "off_session"}}, 422, "consent_missing"),
        (12_500, "GBP", {"consent": mandate()}, 409, "method_not_accepted"),
        (1_000_100, "EUR", {}, 422, "amount_too_large"),
    ],
)
async def test_a_debit_that_cannot_be_reserves_nothing(
    debits: PaymentService, minor: int, currency: str, more: dict[str, Any], status: int, code: str
) -> None:
    invoice = await debits.open_invoice(money(minor, currency))
    more = more or {"consent": mandate()}
    answer = await start(debits, (invoice, money(minor, currency)), **more)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await debits.intents() == []
    for table in ("payments", "consents"):
        assert await debits.db.admin.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_debit_needs_the_clinics_will_and_the_accounts_capability(payments: PaymentService) -> None:
    invoice = await payments.open_invoice(eur(125))
    unwanted = await start(payments, (invoice, eur(125)))
    await payments.update_clinic(2, methods=("card", "debit"))
    await payments.db.admin.execute(
        "INSERT INTO account_states (account, ways) VALUES ('', '{card,debit,us_bank_account}')"
    )
    unable = await start(payments, (invoice, eur(125)))

    for refused in (unwanted, unable):
        assert (refused.status_code, refused.json()["code"]) == (409, "method_not_accepted")


def test_each_currency_has_its_own_capability() -> None:
    state = AccountState(account="", ways=frozenset({"card", "debit", "us_bank_account"}))

    assert state.takes("debit", "USD") and state.takes("card", "EUR")
    assert not state.takes("debit", "EUR") and not state.takes("redirect", "EUR")


async def test_the_consent_to_later_charges_lives_as_long_as_the_saved_card(debits: PaymentService) -> None:
    agreed = consents.saving("Harbour Clinic")
    body = {"kind": agreed.kind, "version": agreed.version, "locale": agreed.locale, "text": agreed.text}
    started = await debits.api.call("POST", "/setup-intents", debits.client, json={"consent": body})
    secret = started.json()["client_secret"]
    form = {"client_secret": secret, "payment_method": "pm_card_visa", "key": debits.sandbox.publishable_key}
    async with httpx2.AsyncClient(base_url=debits.sandbox.url, trust_env=False) as browser:
        await browser.post(f"/v1/setup_intents/{secret.split('_secret_')[0]}/confirm", data=form)
    await debits.hook.until("payment_method.attached")
    await debits.hook.until("setup_intent.succeeded")
    await debits.consume()
    await debits.consume()

    [card] = (await debits.api.call("GET", "/payment-methods", debits.client)).json()["items"]
    assert (card["agreed"]["version"], card["agreed"]["text"]) == ("off_session/1", agreed.text)
    await debits.api.call("DELETE", f"/payment-methods/{card['id']}", debits.client)
    [kept] = await debits.db.admin.fetch("SELECT * FROM consents")
    assert (str(kept["payment_method_id"]), kept["text"]) == (card["id"], agreed.text)
    assert kept["withdrawn_at"] > kept["agreed_at"]


async def test_a_card_saved_with_a_payment_keeps_its_consent(debits: PaymentService) -> None:
    agreed = consents.saving("Harbour Clinic")
    body = {"kind": agreed.kind, "version": agreed.version, "locale": agreed.locale, "text": agreed.text}
    invoice = await debits.open_invoice(eur(125))
    started = await start(debits, (invoice, eur(125)), method={"kind": "card"}, save=True, consent=body)
    await debits.confirm(started)
    await debits.hook.until("payment_method.attached")
    await debits.consume()

    [kept] = await debits.db.admin.fetch("SELECT * FROM consents")
    assert str(kept["payment_id"]) == started.json()["payment_id"]
    assert kept["payment_method_id"] is not None and kept["withdrawn_at"] is None
