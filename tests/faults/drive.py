"""Actions of people while things fail: issue, pay, be declined, pass 3-D Secure. They try again, as people do."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2

from deploy.local.demo.visitor import Refused, Visitor, confirm
from services.chassis.ids import new_id
from tests.faults.lab import Lab

EMAIL, PASSWORD = "payer@example.com", "clinicpay-faults"
ACCOUNT = "acct_faults"
ADDRESS = {"lines": ["1 Quay"], "postcode": "D01", "city": "Dublin", "country": "IE"}
PATIENCE = 150.0
"""Seconds that a client goes on trying: longer than a killed or frozen process needs to recover."""
T = TypeVar("T")


class TryAgain(Exception):
    """The answer asks for another try: temporarily unreachable, or not known yet."""


@dataclass
class Bill:
    """An invoice, and its payments."""

    id: str
    number: str
    total: int
    clinic_id: str = ""
    payment_id: str = ""
    intent_id: str = ""


async def persist(work: Callable[[], Awaitable[T]], within: float = PATIENCE) -> T:
    """Repeat the work until it succeeds, within the client's patience. A permanent refusal is raised."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        try:
            async with asyncio.timeout(15):
                return await work()
        except (httpx2.HTTPError, TryAgain, TimeoutError, Refused) as error:
            final = isinstance(error, Refused) and not _may_pass(error)
            if final or loop.time() > deadline:
                raise
            await asyncio.sleep(0.15)


def _may_pass(refused: Refused) -> bool:
    text = str(refused)
    return any(f": {code} " in text for code in (429, 500, 502, 503, 504)) or "payment_in_progress" in text


async def api(lab: Lab, method: str, path: str, body: Any = None, key: str = "") -> Any:
    headers = {
        "Authorization": f"Bearer {lab.system.operator_key}",
        **({"Idempotency-Key": key} if key else {}),
    }
    base = f"{lab.system.public_url}/api/v1"
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=15) as http:
        answer = await http.request(method, path, json=body)
    if answer.status_code in (429, 500, 502, 503, 504):
        raise TryAgain(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
    if answer.is_error:
        raise Refused(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
    return answer.json()


async def put_on(lab: Lab) -> None:
    """Create one clinic with a Stripe account, and one client who can log in."""
    await lab.control("PUT", f"/accounts/{ACCOUNT}", {})
    settings = {
        "slug": "faults",
        "name": "Fault Clinic",
        "currency": "EUR",
        "time_zone": "Europe/Dublin",
        "locale": "en-IE",
        "methods": ["card", "redirect"],
        "accent": "#0b6e6e",
        "contact": {
            "phone": "+353 1 555 0100",
            "email": "billing@faults.example",
            "address": "1 Quay",
            "hours": "always",
        },
        "tax_rates": [{"code": "exempt", "name": "VAT exempt", "percent": "0"}],
    }
    made = await persist(lambda: api(lab, "POST", "/clinics", settings, key="clinic"))
    account = {"stripe_account_id": ACCOUNT}
    await persist(lambda: api(lab, "PUT", f"/clinics/{made['id']}/stripe-account", account))
    lab.clinic = {**made, **account}
    client = {
        "name": "Pat Payer",
        "email": EMAIL,
        "billing_address": ADDRESS,
        "login": {"password": PASSWORD},
    }
    path = f"/clinics/{lab.clinic['id']}/clients"
    made = await persist(lambda: api(lab, "POST", path, client, key="client"))
    lab.client_id = str(made["id"])


def invoice_body(lab: Lab, price: int, **more: Any) -> dict[str, Any]:
    """The body of a request for an invoice to the client, due in two weeks."""
    line = {
        "service": "Session",
        "practitioner": "N. Kelly",
        "unit_price": {"minor": price, "currency": "EUR"},
        "tax_code": "exempt",
    }
    due_on = (datetime.now(UTC) + timedelta(days=14)).date().isoformat()
    return {"client_id": lab.client_id, "due_on": due_on, "lines": [line], **more}


@dataclass
class Client:
    """The client's session at the portal, and how payments are confirmed."""

    lab: Lab
    visitor: Visitor

    async def log_in(self) -> None:
        await persist(lambda: self.visitor.log_in(EMAIL, PASSWORD))

    async def correct(self, bill: Bill, verb: str, **body: Any) -> None:
        """Void, credit or write off an invoice through the API; all tries have one idempotency key."""
        key = str(new_id())
        path = f"/clinics/{self.lab.clinic['id']}/invoices/{bill.id}/{verb}"
        reason = {"reason": "goodwill"}
        await persist(lambda: api(self.lab, "POST", path, reason | body, key=key))

    async def issue(self, price: int = 10_000, **more: Any) -> Bill:
        """Issue an invoice through the API; all tries have one idempotency key."""
        key, body = str(new_id()), invoice_body(self.lab, price, **more)
        path = f"/clinics/{self.lab.clinic['id']}/invoices"
        made = await persist(lambda: api(self.lab, "POST", path, body, key=key))
        return Bill(made["id"], made["number"], made["total"]["minor"], self.lab.clinic["id"])

    async def start(self, bill: Bill, kind: str = "card") -> dict[str, Any]:
        """Press Pay until the page has a client secret."""
        amount = {"minor": bill.total, "currency": "EUR"}
        start = await persist(lambda: self.visitor.pay("faults", bill.id, amount, {"kind": kind}))
        bill.payment_id = start["payment_id"]
        bill.intent_id = start["client_secret"].split("_secret_")[0]
        return start

    async def confirm(self, start: dict[str, Any], card: str = "pm_card_visa") -> dict[str, Any]:
        system = self.lab.system
        key, back = system.stripe.publishable_key, f"{system.public_url}/"
        return await persist(lambda: confirm(system.sandbox_url, key, start, card, back))

    async def pay(self, bill: Bill, card: str = "pm_card_visa") -> None:
        """Start and confirm, and pass the bank's page if it asks."""
        start = await self.start(bill)
        intent = await self.confirm(start, card)
        if intent["status"] == "requires_action":
            await self.prove(intent)

    async def prove(self, intent: dict[str, Any], outcome: str = "succeeded") -> None:
        """Answer the bank's 3-D Secure page."""
        action = intent["next_action"]
        address = (action.get("redirect_to_url") or {}).get("url") or self._challenge_of(action)
        async with httpx2.AsyncClient(base_url=self.lab.system.sandbox_url, timeout=20) as http:
            (
                await http.post(urlsplit(address).path, data={"outcome": outcome, "framed": "1"})
            ).raise_for_status()

    @staticmethod
    def _challenge_of(action: dict[str, Any]) -> str:
        """The address that the sandbox's script would open in its frame."""
        texts = [value for value in _strings(action) if "/challenge/" in value or "/redirect/" in value]
        return texts[0]

    async def decline(self, bill: Bill) -> None:
        """Try a card that the bank declines."""
        start = await self.start(bill)
        try:
            await self.confirm(start, "pm_card_chargeDeclined")
        except Refused as refused:
            if "card_declined" not in str(refused):
                raise


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in _strings(each)]
