"""One story from a clinic's first day to a debit that failed later: every call at Stripe, event and e-mail."""

import json
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from contracts.events.catalogue import decode
from contracts.events.envelope import event_id
from contracts.events.invoice import InvoiceCreated, InvoiceUpdated
from deploy.sandbox.recorder import Recorded
from services.chassis.kafka.park import Record
from tests.frozen.picture import Dbs
from tests.frozen.placeholders import Placeholders
from tests.frozen.system import WholeSystem, a_whole_system
from tests.running.gateway import PASSWORD, put_account
from tests.running.notification import make_due

ACCOUNT = "acct_1FrozenStory"
CLINIC = {
    "slug": "story",
    "name": "Story Street Clinic",
    "currency": "EUR",
    "time_zone": "Europe/Dublin",
    "locale": "en-IE",
    "methods": ["card", "redirect", "debit"],
    "contact": {
        "phone": "+353 1 555 0100",
        "email": "desk@story.example",
        "address": "1 Story Street",
        "hours": "",
    },
    "tax_rates": [{"code": "reduced", "name": "VAT", "percent": "13.5"}],
}
EMAIL = "una@story.example"
CLIENT = {"name": "Una Story", "email": EMAIL, "login": {"password": PASSWORD}}
BACK = "https://pay.example/back"
PAYPAL = {"payment_method_data[type]": "paypal"}
DEBIT = {
    "payment_method_data[type]": "sepa_debit",
    "payment_method_data[sepa_debit][iban]": "DE89370400440532013000",
}


async def draw(dbs: Dbs) -> Any:
    async with a_whole_system(dbs, ACCOUNT) as system:
        story = Story(system)
        await story.tell()
    return story.steps


@dataclass
class Story:
    """`steps` holds the observations of each step so far."""

    system: WholeSystem
    steps: dict[str, Any] = field(default_factory=dict)
    clinic: str = ""
    client: str = ""
    _placeholders: Placeholders = field(default_factory=Placeholders)

    async def tell(self) -> None:
        await self._put_on()
        first, second = await self._issue(10_000), await self._issue(5_000)
        await self._keep("two invoices are issued")
        await self._pay_by_card(first)
        await self._pay_by_redirect(second)
        await self._leave_credit(await self._issue(4_000))
        await self._refund()
        await self._fail_later(await self._issue(3_000))

    async def _put_on(self) -> None:
        clinic = await self._post("/clinics", CLINIC)
        self.clinic = clinic["id"]
        chosen = await put_account(self.system.site, clinic, ACCOUNT)
        assert chosen.status_code == 200, chosen.text
        self.client = (await self._post(f"/clinics/{self.clinic}/clients", CLIENT))["id"]
        await self.system.visitor.log_in(EMAIL, PASSWORD)
        await self._keep("a clinic and a client are put on")

    async def _pay_by_card(self, invoice: Any) -> None:
        start = await self._start(invoice, {"kind": "card"}, save=True)
        await self._confirm(start, {"payment_method": "pm_card_chargeDeclinedInsufficientFunds"})
        await self._keep("a card is declined")
        await self._confirm(start, {"payment_method": "pm_card_visa"})
        await self._keep("another card pays and is saved")

    async def _pay_by_redirect(self, invoice: Any) -> None:
        start = await self._start(invoice, {"kind": "redirect"})
        intent = await self._confirm(start, PAYPAL)
        await self.system.browser.post(
            intent["next_action"]["redirect_to_url"]["url"], data={"outcome": "succeeded"}
        )
        await self._keep("the second invoice is paid by redirect")

    async def _leave_credit(self, invoice: Any) -> None:
        """The invoice is voided in the other tab, between the start and the card."""
        await self._keep("a third invoice is issued")
        start = await self._start(invoice, {"kind": "card"})
        await self.system.publish(self._void(UUID(invoice["id"])))
        await self._confirm(start, {"payment_method": "pm_card_visa"})
        await self._keep("the third invoice is voided while it is paid: credit is left")

    def _void(self, invoice_id: UUID) -> InvoiceUpdated:
        issued = [decode(each.topic, each.value) for each in self.system.events if each.value]
        [created] = [
            each for each in issued if isinstance(each, InvoiceCreated) and each.invoice_id == invoice_id
        ]
        new_id = event_id(created.time, InvoiceUpdated.topic.name, invoice_id, 2)
        changed = {"id": new_id, "version": 2, "status": "void"}
        return InvoiceUpdated.model_validate(created.model_dump() | changed)

    async def _refund(self) -> None:
        await self._post(f"/clinics/{self.clinic}/refunds", {"client_id": self.client, "currency": "EUR"})
        await self._keep("the credit is refunded")

    async def _fail_later(self, invoice: Any) -> None:
        start = await self._start(invoice, {"kind": "debit"})
        intent = await self._confirm(start, DEBIT)
        await self._keep("a fourth invoice is issued, and a debit is on its way")
        await self.system.sandbox.control("POST", "/clock", {"offset_seconds": 2})
        path = f"/accounts/{ACCOUNT}/payment_intents/{intent['id']}/settle"
        await self.system.sandbox.control("POST", path, {"outcome": "failed"})
        await self._keep("the bank refuses the debit")
        await make_due(self.system.dbs["notification"])
        await self._keep("the time has passed in which the client might have paid by other means")

    async def _issue(self, minor: int) -> Any:
        """Issue an invoice dated long ago, so that nothing depends on today."""
        price = {"minor": minor, "currency": "EUR"}
        lines = [{"service": "Physiotherapy", "practitioner": "", "unit_price": price, "tax_code": "reduced"}]
        body = {"client_id": self.client, "issued_on": "2025-01-06", "due_on": "2025-01-20", "lines": lines}
        issued = await self._post(f"/clinics/{self.clinic}/invoices", body)
        await self.system.settle()
        return issued

    async def _post(self, path: str, body: Any) -> Any:
        answer = await self.system.site.api("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def _start(self, invoice: Any, method: dict[str, Any], *, save: bool = False) -> Any:
        return await self.system.visitor.pay("story", invoice["id"], invoice["total"], method, save=save)

    async def _confirm(self, start: Any, chosen: dict[str, str]) -> Any:
        """Confirm as the page's script does; returns Stripe's answer, also a refusal."""
        secret = start["client_secret"]
        form = {
            "client_secret": secret,
            "key": self.system.sandbox.publishable_key,
            "_stripe_account": ACCOUNT,
            "return_url": BACK,
        }
        path = f"/v1/payment_intents/{secret.split('_secret_')[0]}/confirm"
        return (await self.system.browser.post(path, data=form | chosen)).json()

    async def _keep(self, name: str) -> None:
        await self.system.settle()
        calls, events, mails = self.system.new()
        seen = {
            "calls at Stripe": [_call(each) for each in calls],
            "events": [_event(each) for each in events],
            "e-mails": [_mail(each) for each in mails],
        }
        self.steps[f"{len(self.steps) + 1:02} {name}"] = self._placeholders.replace(seen)


def _call(call: Recorded) -> dict[str, Any]:
    return {
        "call": f"{call.method} {call.path}{'?' if call.query else ''}{call.query}",
        "parameters": dict(parse_qsl(call.body)),
        "Stripe-Account": call.account,
        "Idempotency-Key": call.idempotency_key,
        "Stripe-Version": call.version,
    }


def _event(event: Record) -> dict[str, Any]:
    assert event.key is not None and event.value is not None
    return {"topic": event.topic, "key": event.key.decode(), "value": json.loads(event.value)}


_NEW = {"date": "{time}", "message-id": "{message id}", "content-type": "{content type}"}


def _mail(mail: EmailMessage) -> dict[str, Any]:
    plain = mail.get_body(("plain",))
    assert plain is not None
    headers = {name: _NEW.get(name.lower(), str(value)) for name, value in mail.items()}
    return {"headers": headers, "text": plain.get_content().splitlines()}
