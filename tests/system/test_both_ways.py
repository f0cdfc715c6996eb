"""Money in every way on the whole system: documents, cash, credit, parts, debits, refunds and disputes.

Each test ends in `clinicpay verify --topics`, which must find nothing.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.ops.verify.access import Access
from deploy.ops.verify.run import verify
from services.chassis.ids import new_id
from tests.running.system import Running, until
from tests.system.portal import Portal

SLUG, EMAIL, PASSWORD = "both-ways", "ada@both-ways.example", "a-long-passphrase"
DEBIT = {
    "payment_method_data[type]": "sepa_debit",
    "payment_method_data[sepa_debit][iban]": "DE89370400440532013000",
    "payment_method_data[billing_details][email]": EMAIL,
    "payment_method_data[billing_details][name]": "Ada Byrne",
}
Json = dict[str, Any]


def eur(minor: int) -> Json:
    return {"minor": minor, "currency": "EUR"}


def minor_of(amount: Json | None) -> int:
    return amount["minor"] if amount else 0


@dataclass
class Practice:
    """A clinic with one client who has a login."""

    system: Running
    id: str
    client: str

    async def post(self, path: str, **body: Any) -> Any:
        return await self.system.api("POST", f"/clinics/{self.id}/{path}", body, key=str(new_id()))

    async def issue(self, minor: int) -> str:
        """A new invoice over this sum: its id, once it can be paid."""
        line = {
            "service": "Session",
            "practitioner": "N. Kelly",
            "unit_price": eur(minor),
            "tax_code": "exempt",
        }
        due_on = (datetime.now(UTC) + timedelta(days=14)).date().isoformat()
        issued = await self.post("invoices", client_id=self.client, due_on=due_on, lines=[line])
        return str(issued["id"])

    async def until(self, invoice: str, status: str, **sums: int) -> Json:
        """The invoice, once it has this status and these sums."""

        async def there() -> Json | None:
            found: Json = await self.system.api("GET", f"/clinics/{self.id}/invoices/{invoice}")
            have = {name: minor_of(found[name]) for name in sums}
            return found if (found["status"], have) == (status, sums) else None

        found: Json = await until(there)
        return found

    async def until_credit(self, minor: int) -> Json:
        async def there() -> Json | None:
            found: Json = await self.system.api("GET", f"/clinics/{self.id}/clients/{self.client}/credit")
            have = sum(balance["minor"] for balance in found["balances"])
            return found if have == minor else None

        found: Json = await until(there)
        return found

    async def pay(self, amounts: Mapping[str, int], card: str = "pm_card_visa", deposit: int = 0) -> str:
        """Pay invoices, or a deposit, with a new card: the payment's id."""
        shares = {invoice: eur(minor) for invoice, minor in amounts.items()}
        async with self.portal() as client:
            if deposit:
                begun = await client.pay_deposit(SLUG, eur(deposit))
            elif len(shares) == 1:
                [(invoice, amount)] = shares.items()
                begun = await client.pay(SLUG, invoice, amount)
            else:
                begun = await client.pay_several(SLUG, shares)
        await self.system.confirm(begun, card)
        return str(begun["payment_id"])

    def portal(self) -> "_LoggedIn":
        return _LoggedIn(self.system.url)

    async def stripe(self, method: str, path: str, key: str = "sandbox_secret_key", **form: str) -> Json:
        """A call to Stripe's own API, as the dashboard or a browser makes it."""
        headers = {"Authorization": f"Bearer {self.system.secrets[key]}"}
        async with httpx2.AsyncClient(base_url=self.system.sandbox_url, headers=headers, timeout=20) as http:
            data = {"data": form} if method == "POST" else {"params": form}
            answer = await http.request(method, f"/v1/{path}", **data)  # type: ignore[arg-type]
        answer.raise_for_status()
        found: Json = answer.json()
        return found

    async def charge_of(self, payment: str) -> Json:
        charges = (await self.stripe("GET", "charges", limit="100"))["data"]
        found: Json = next(each for each in charges if each["metadata"].get("payment_id") == payment)
        return found


class _LoggedIn(Portal):
    async def __aenter__(self) -> "_LoggedIn":
        await self.log_in(EMAIL, PASSWORD)
        return self


@pytest.fixture(scope="module")
async def practice(system: Running) -> AsyncIterator[Practice]:
    body = {
        "slug": SLUG,
        "name": "Both Ways",
        "currency": "EUR",
        "time_zone": "Europe/Dublin",
        "locale": "en-IE",
        "contact": {"phone": "+353 91 555 0199"},
        "tax_rates": [{"code": "exempt", "name": "VAT", "percent": "0"}],
        "methods": ["card", "debit"],
        "least_part": 100,
        "deposits": True,
    }
    clinic = (await system.api("POST", "/clinics", body, key=str(new_id())))["id"]
    await system.api("PUT", f"/clinics/{clinic}/stripe-account", {"platform_account": True})
    client = {
        "name": "Ada Byrne",
        "email": EMAIL,
        "billing_address": {"lines": ["2 Quay Street"], "city": "Galway", "country": "IE"},
        "login": {"password": PASSWORD},
    }
    added = await system.api("POST", f"/clinics/{clinic}/clients", client, key=str(new_id()))
    yield Practice(system, clinic, added["id"])


async def check(data: Path) -> None:
    report = await verify(Access.of_data(data), topics=True)
    assert not report.breaches, str(report)
    assert not report.unread, report.unread


async def test_what_was_issued_is_corrected_and_what_was_taken_at_the_desk_is_booked(
    practice: Practice, data: Path
) -> None:
    voided, credited, given_up, wrong, cash = [
        await practice.issue(minor) for minor in (5_000, 10_000, 8_000, 6_000, 4_000)
    ]
    await practice.post(f"invoices/{voided}/void", reason="duplicate")
    await practice.until(voided, "void")
    await practice.pay({credited: 10_000})
    await practice.until(credited, "paid")
    await practice.post(f"invoices/{credited}/credit-notes", reason="goodwill", amount=eur(3_000))
    await practice.until(credited, "paid", settled=7_000, due=0)
    await practice.until_credit(3_000)
    await practice.post(f"invoices/{given_up}/write-off", reason="uncollectible")
    await practice.until(given_up, "written_off")
    replaced = await practice.post(f"invoices/{wrong}/correct", reason="wrong_amount", invoice=new(practice))
    newer = replaced["new_invoice"]["id"]
    await practice.until(wrong, "credited")
    taken = {"client_id": practice.client, "kind": "cash", "currency": "EUR", "location": "Quay Street"}

    async def at_the_desk() -> str:
        share = [{"invoice_id": cash, "amount": 4_000}]
        recorded = await practice.post("payments", **taken, amount=4_000, invoices=share)
        await practice.until(cash, "paid")
        return str(recorded["id"])

    first = await at_the_desk()
    await practice.post(f"payments/{first}/reverse", reason="false note")
    await practice.until(cash, "unpaid", due=4_000)
    await at_the_desk()
    counted = await practice.post("cash-closings", counted=3_900, currency="EUR", location="Quay Street")
    await practice.post("credit-uses", client_id=practice.client, currency="EUR")
    await practice.until(newer, "part_paid", settled=3_000)
    await practice.until_credit(0)

    assert (counted["expected"]["minor"], counted["difference"]["minor"]) == (4_000, -100)
    await check(data)


def new(practice: Practice) -> Json:
    """An invoice over 55.00 in the place of another."""
    line = {"service": "Session", "practitioner": "N. Kelly", "unit_price": eur(5_500), "tax_code": "exempt"}
    due_on = (datetime.now(UTC) + timedelta(days=14)).date().isoformat()
    return {"client_id": practice.client, "due_on": due_on, "lines": [line]}


async def test_money_in_parts_goes_back_to_the_card_to_credit_and_to_the_bank(
    practice: Practice, data: Path
) -> None:
    parted, other, debited = [await practice.issue(minor) for minor in (10_000, 2_000, 7_000)]
    had = (await practice.system.api("GET", f"/clinics/{practice.id}/clients/{practice.client}/credit"))[
        "balances"
    ]
    before = sum(balance["minor"] for balance in had)
    part = await practice.pay({parted: 4_000})
    await practice.until(parted, "part_paid", due=6_000)
    both = await practice.pay({parted: 6_000, other: 2_000})
    await practice.until(parted, "paid")
    await practice.until(other, "paid")
    await practice.pay({}, deposit=2_500)
    await practice.until_credit(before + 2_500)

    await fail_late(practice, debited)
    await practice.pay({debited: 7_000})
    await practice.until(debited, "paid")

    await practice.post("refunds", payment_id=part, amount=1_500)
    await practice.post("refunds", payment_id=part, amount=500, to="credit")
    charge = await practice.charge_of(both)
    await practice.stripe("POST", "refunds", charge=charge["id"], amount="700")
    await practice.until_credit(before + 3_000)

    async def all_went_back() -> bool:
        found = [await practice.until(each, "paid") for each in (parted, other)]
        return sum(minor_of(each["refunded"]) for each in found) == 2_700

    await until(all_went_back)
    control, account = practice.system.control, "/accounts/platform"
    dispute = await control("POST", f"{account}/charges/{charge['id']}/dispute", {"amount": 3_000})

    async def disputed(minor: int) -> bool:
        found = [await practice.until(each, "paid") for each in (parted, other)]
        moved = [move for each in found for move in each["movements"] if move["kind"] == "dispute"]
        return -sum(move["amount"]["minor"] for move in moved) == minor and bool(moved)

    await until(lambda: disputed(3_000))
    await control("POST", f"{account}/disputes/{dispute['id']}/end", {"outcome": "won"})
    await until(lambda: disputed(0))

    await check(data)


async def test_credit_pays_with_a_card_and_alone(practice: Practice, data: Path) -> None:
    had = (await practice.system.api("GET", f"/clinics/{practice.id}/clients/{practice.client}/credit"))[
        "balances"
    ]
    before = sum(balance["minor"] for balance in had)
    await practice.pay({}, deposit=1_200)
    await practice.until_credit(before + 1_200)
    first, second, small = [await practice.issue(minor) for minor in (6_000, 4_000, 300)]

    async with practice.portal() as client:
        begun = await client.pay_with_credit(SLUG, {first: eur(6_000), second: eur(4_000)}, eur(900))
        reserved = await practice.until_credit(before + 300)
        await practice.system.confirm(begun)
        alone = await client.pay_with_credit(SLUG, {small: eur(300)}, eur(300), alone=True)
    paid = [await practice.until(each, "paid", due=0) for each in (first, second, small)]
    await practice.until_credit(before)

    assert [each["minor"] for each in reserved["reserved"]] == [900]
    assert alone["status"] == "succeeded" and alone["client_secret"] is None
    kinds = [sorted(move["kind"] for move in each["movements"]) for each in paid]
    assert kinds[2] == ["credit"] and sum(each.count("credit") for each in kinds) == 2
    await check(data)


async def fail_late(practice: Practice, invoice: str) -> None:
    """The client pays by bank debit, which the bank refuses while it is on its way."""
    async with practice.portal() as client:
        begun = await client.pay(SLUG, invoice, eur(7_000), {"kind": "debit"})
    intent, _, _ = begun["client_secret"].partition("_secret_")
    await practice.stripe(
        "POST",
        f"payment_intents/{intent}/confirm",
        "sandbox_publishable_key",
        client_secret=begun["client_secret"],
        return_url=practice.system.url,
        **DEBIT,
    )
    await practice.until(invoice, "processing")
    path = f"/accounts/platform/payment_intents/{intent}/settle"
    await practice.system.control("POST", path, {"outcome": "failed"})
    await practice.until(invoice, "unpaid", due=7_000)
