"""Load the demo data into a running system: `python -m deploy.local.demo`. Run again, it completes what is missing.

Environment: PUBLIC_URL, OPERATOR_API_KEY; with the sandbox SANDBOX_URL, SANDBOX_SECRET_KEY and
SANDBOX_PUBLISHABLE_KEY, and then past invoices are paid through it, each on its day by the sandbox's clock. With the
real Stripe nothing is paid: the clinics are charged on the platform's own account, and invoices stay unpaid.
"""

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import stamina

from deploy.local.demo.data import CLIENT, CLIENT_EMAIL, CLINICS, PASSWORD, STAFF_EMAIL, Clinic, Invoice, Line
from deploy.local.demo.visitor import Visitor, confirm

TODAY = datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class SandboxAccess:
    url: str
    secret_key: str
    publishable_key: str

    @classmethod
    def of_environment(cls) -> "SandboxAccess | None":
        if "SANDBOX_URL" not in os.environ:
            return None
        names = ("SANDBOX_URL", "SANDBOX_SECRET_KEY", "SANDBOX_PUBLISHABLE_KEY")
        return cls(*(os.environ[name] for name in names))

    async def control(self, method: str, path: str, body: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {self.secret_key}"}
        async with httpx2.AsyncClient(base_url=self.url, headers=headers) as http:
            (await http.request(method, f"/_sandbox{path}", json=body)).raise_for_status()

    async def set_clock(self, days: int) -> None:
        await self.control("POST", "/clock", {"offset_seconds": days * 86_400})


class NotPaidYet(Exception):
    """The webhook is still on its way."""


class Loader:
    """Puts the demo clinics on through the public API, and pays what was paid through the portal."""

    def __init__(self, api: httpx2.AsyncClient, client: Visitor, sandbox: SandboxAccess | None) -> None:
        self._api, self._client, self._sandbox = api, client, sandbox

    async def put_on(self, clinic: Clinic) -> tuple[str, str]:
        """The clinic and its people. Answers the clinic's and the client's id."""
        answer = await self._send("POST", "/clinics", clinic.settings, key=f"demo-{clinic.settings['slug']}")
        path = f"/clinics/{answer['id']}"
        if self._sandbox is not None:
            await self._sandbox.control("PUT", f"/accounts/{clinic.account}", {})
            await self._send("PUT", f"{path}/stripe-account", {"stripe_account_id": clinic.account})
        return str(answer["id"]), await self._add_people(str(answer["id"]))

    async def bill(self, clinic: Clinic, clinic_id: str, client: str) -> None:
        """The clinic's invoices, and the payments of the paid ones."""
        issued = [
            await self._issue(clinic, clinic_id, client, number, invoice)
            for number, invoice in enumerate(clinic.invoices)
        ]
        if self._sandbox is not None:
            for invoice, answer in zip(clinic.invoices, issued, strict=True):
                if invoice.paid is not None:
                    await self._pay(clinic, clinic_id, invoice, answer)
        if clinic.afterwards:
            await self._send("PATCH", f"/clinics/{clinic_id}", clinic.afterwards)

    async def _add_people(self, clinic_id: str) -> str:
        staff = {"email": STAFF_EMAIL, "password": PASSWORD}
        await self._send("POST", f"/clinics/{clinic_id}/staff", staff, key=f"demo-staff-{clinic_id}")
        client = CLIENT | {"login": {"password": PASSWORD}}
        answer = await self._send(
            "POST", f"/clinics/{clinic_id}/clients", client, key=f"demo-client-{clinic_id}"
        )
        return str(answer["id"])

    async def _issue(
        self, clinic: Clinic, clinic_id: str, client_id: str, number: int, invoice: Invoice
    ) -> dict[str, Any]:
        issued_on = TODAY + timedelta(days=invoice.issued)
        zone = ZoneInfo(clinic.settings["time_zone"])
        body = {
            "client_id": client_id,
            "currency": invoice.currency,
            "issued_on": issued_on.isoformat(),
            "due_on": (TODAY + timedelta(days=invoice.due)).isoformat(),
            "lines": [_line(line, issued_on, zone, invoice.currency) for line in invoice.lines],
        }
        # The day is part of the key: loaded again on another day, the same invoice would have another body.
        key = f"demo-{TODAY}-{number}"
        return await self._send("POST", f"/clinics/{clinic_id}/invoices", body, key=key)

    async def _pay(self, clinic: Clinic, clinic_id: str, invoice: Invoice, issued: dict[str, Any]) -> None:
        if (await self._send("GET", f"/clinics/{clinic_id}/invoices/{issued['id']}"))["due"]["minor"] == 0:
            return
        assert self._sandbox is not None and invoice.paid is not None
        slug = clinic.settings["slug"]
        await self._sandbox.set_clock(invoice.paid)
        method = await self._saved_method(slug, issued["id"]) if invoice.paid_with == "saved" else None
        start = await self._client.pay(slug, issued["id"], issued["due"], method, save=invoice.save)
        stripe_method = start["saved_method"] or invoice.paid_with
        back = f"{self._client.http.base_url}/c/{slug}/payments/{start['payment_id']}"
        await confirm(self._sandbox.url, self._sandbox.publishable_key, start, stripe_method, back)
        await self._until_paid(clinic_id, issued["id"])

    async def _saved_method(self, slug: str, invoice_id: str) -> dict[str, Any]:
        """The id of the saved method as the payment page offers it."""
        async for attempt in stamina.retry_context(
            on=NotPaidYet, attempts=50, wait_initial=0.1, wait_max=0.5
        ):
            with attempt:
                page = await self._client.page(f"/c/{slug}/invoices/{invoice_id}/pay")
                _, found, rest = page.partition('name="method" value="saved:')
                if not found:
                    raise NotPaidYet("the saved card is not there yet")
                return {"kind": "saved", "payment_method_id": rest.partition('"')[0]}
        raise AssertionError("stamina raises what it gives up on")

    async def _until_paid(self, clinic_id: str, invoice_id: str) -> None:
        async for attempt in stamina.retry_context(
            on=NotPaidYet, attempts=100, wait_initial=0.05, wait_max=0.5
        ):
            with attempt:
                answer = await self._send("GET", f"/clinics/{clinic_id}/invoices/{invoice_id}")
                if answer["status"] != "paid":
                    raise NotPaidYet(answer["number"])

    async def _send(self, method: str, path: str, body: Any = None, *, key: str = "") -> dict[str, Any]:
        headers = {"Idempotency-Key": key} if key else {}
        answer = await self._api.request(method, f"/api/v1{path}", json=body, headers=headers)
        if answer.is_error:
            raise SystemExit(
                f"demo data: {method} {path} was answered {answer.status_code}: {answer.text[:500]}"
            )
        found: dict[str, Any] = answer.json()
        return found


def _line(line: Line, on: date, zone: ZoneInfo, currency: str) -> dict[str, Any]:
    starts = datetime.combine(on - timedelta(days=1), time(line.hour), zone)
    return {
        "service": line.service,
        "practitioner": line.practitioner,
        "appointment": {"starts_at": starts.isoformat(), "place": line.place} if line.place else None,
        "quantity": line.quantity,
        "unit_price": {"minor": line.price, "currency": currency},
        "tax_code": line.tax,
    }


async def main() -> None:
    url, key = os.environ["PUBLIC_URL"], os.environ["OPERATOR_API_KEY"]
    sandbox = SandboxAccess.of_environment()
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=20) as api, Visitor(url) as client:
        loader = Loader(api, client, sandbox)
        ids = [await loader.put_on(clinic) for clinic in CLINICS]
        async with Visitor(url) as staff:
            await staff.log_in(STAFF_EMAIL, PASSWORD)
            await staff.accept_invitations()
        await client.log_in(CLIENT_EMAIL, PASSWORD)
        await client.accept_invitations()
        for clinic, (clinic_id, client_id) in zip(CLINICS, ids, strict=True):
            await loader.bill(clinic, clinic_id, client_id)
        if sandbox is not None:
            await sandbox.set_clock(0)


if __name__ == "__main__":
    asyncio.run(main())
