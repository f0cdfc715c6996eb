"""The gateway's calls to the services: one method for each route, on behalf of a caller.

`calls.py` makes the calls and retries them. Every method raises `UpstreamError`.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID, uuid4

from litestar.di import NamedDependency

from contracts.http.accounts import AccountIn, AccountOut
from contracts.http.clients import ClientIn, ClientOut
from contracts.http.clinics import ClinicIn, ClinicOut
from contracts.http.common import Money, Page
from contracts.http.contacts import ContactIn, ContactOut
from contracts.http.credit import CreditOut, RefundIn, RefundsOut
from contracts.http.invoices import InvoiceIn, InvoiceItem, InvoiceOut, InvoicesIn, InvoicesOut, Summary
from contracts.http.methods import SavedMethodOut, SetupStart
from contracts.http.payments import OnItsWay, PaymentIn, PaymentOut, PaymentStart
from services.chassis.http.auth import Caller
from services.gateway.upstream.calls import STRIPE_TIMEOUT, Calls, UpstreamError
from services.gateway.upstream.transport import Reply

__all__ = ["SETTINGS_SECONDS", "UpstreamError", "Upstreams"]

T = TypeVar("T")

SETTINGS_SECONDS = 3.0
"""The highest age of a clinic's settings."""


def _checking(check: bool) -> dict[str, str]:
    """The parameter that asks the service to check a write without changing anything."""
    return {"check": "true"} if check else {}


PAYMENT_SECONDS = 2.0
"""How long a page waits for payment. After that it shows what others know: payment refuses to take money twice."""


class Recent(Generic[T]):
    """Clinics' settings of one kind, kept for `SETTINGS_SECONDS`."""

    def __init__(self) -> None:
        self._kept: dict[UUID, tuple[float, T]] = {}

    def get(self, clinic_id: UUID) -> T | None:
        until, kept = self._kept.get(clinic_id, (0.0, None))
        return kept if until > time.monotonic() else None

    def clear(self) -> None:
        self._kept.clear()

    def put(self, clinic_id: UUID, settings: T) -> None:
        if len(self._kept) > 1000:
            self._kept.clear()
        self._kept[clinic_id] = (time.monotonic() + SETTINGS_SECONDS, settings)


class Upstreams:
    """The three services, as the portal and the public API use them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.recent_clinics: Recent[ClinicOut] = Recent()
        self._accounts: Recent[AccountOut] = Recent()

    # Clinics and clients

    async def clinic(self, caller: Caller, *, fresh: bool = False) -> ClinicOut:
        """The settings of the caller's clinic: as they are now, or at most three seconds old."""
        known = None if fresh else self.recent_clinics.get(caller.clinic)
        if known is None:
            known = await self._calls.get(caller, "invoice", f"/clinics/{caller.clinic}", ClinicOut)
            self.recent_clinics.put(known.id, known)
        return known

    async def clinics(self, caller: Caller, cursor: str | None = None, limit: int = 20) -> Page[ClinicOut]:
        """Every clinic; operators only."""
        params = {"cursor": cursor, "limit": limit}
        return await self._calls.get(caller, "invoice", "/clinics", Page[ClinicOut], params)

    async def create_clinic(
        self, caller: Caller, clinic_id: UUID, body: ClinicIn, *, check: bool = False
    ) -> tuple[ClinicOut, bool]:
        """Add a clinic; returns it, and whether it is new. An existing one stays as it is."""
        clinic, is_new = await self._calls.create(
            caller, "invoice", f"/clinics/{clinic_id}", ClinicOut, body, _checking(check)
        )
        if not check:
            self.recent_clinics.put(clinic.id, clinic)
        return clinic, is_new

    async def change_clinic(
        self, caller: Caller, method: Literal["PUT", "PATCH"], body: Mapping[str, Any], *, check: bool = False
    ) -> ClinicOut:
        """Replace all settings of the caller's clinic (PUT), or change some of them (PATCH)."""
        clinic = await self._calls.write(
            caller, "invoice", method, f"/clinics/{caller.clinic}", ClinicOut, body, params=_checking(check)
        )
        if not check:
            self.recent_clinics.put(clinic.id, clinic)
        return clinic

    async def create_client(
        self, caller: Caller, client_id: UUID, body: ClientIn, *, check: bool = False
    ) -> tuple[ClientOut, bool]:
        """Add a client; returns it, and whether it is new. An existing one stays as it is."""
        return await self._calls.create(
            caller, "invoice", f"/clients/{client_id}", ClientOut, body, _checking(check)
        )

    async def change_client(
        self, caller: Caller, client_id: UUID, body: Mapping[str, Any], *, check: bool = False
    ) -> ClientOut:
        return await self._calls.write(
            caller, "invoice", "PATCH", f"/clients/{client_id}", ClientOut, body, params=_checking(check)
        )

    async def client(self, caller: Caller, client_id: UUID) -> ClientOut:
        return await self._calls.get(caller, "invoice", f"/clients/{client_id}", ClientOut)

    async def clients(self, caller: Caller, cursor: str | None = None, limit: int = 20) -> Page[ClientOut]:
        params = {"cursor": cursor, "limit": limit}
        return await self._calls.get(caller, "invoice", "/clients", Page[ClientOut], params)

    async def clients_by_email(
        self, caller: Caller, email: str, cursor: str | None = None, limit: int = 20
    ) -> Page[ClientOut]:
        """The clients whom an address reaches, such as a family's."""
        params = {"email": email, "cursor": cursor, "limit": limit}
        found = await self._calls.get(caller, "notification", "/contacts", Page[ContactOut], params)
        if not found.items:
            return Page(items=[])
        ids = {"ids": ",".join(str(each.client_id) for each in found.items)}
        clients = await self._calls.get(caller, "invoice", "/clients", Page[ClientOut], ids)
        return Page(items=clients.items, next=found.next)

    async def create_contact(
        self, caller: Caller, client_id: UUID, body: ContactIn, *, check: bool = False
    ) -> tuple[ContactOut, bool]:
        """Add a client's contact; returns it, and whether it is new. An existing one stays as it is."""
        return await self._calls.create(
            caller, "notification", f"/contacts/{client_id}", ContactOut, body, _checking(check)
        )

    async def change_contact(
        self, caller: Caller, client_id: UUID, body: Mapping[str, Any], *, check: bool = False
    ) -> ContactOut:
        return await self._calls.write(
            caller,
            "notification",
            "PATCH",
            f"/contacts/{client_id}",
            ContactOut,
            body,
            params=_checking(check),
        )

    async def delete_contact(self, caller: Caller, client_id: UUID) -> None:
        await self._calls.send(caller, "notification", "DELETE", f"/contacts/{client_id}")

    async def contact(self, caller: Caller, client_id: UUID) -> ContactOut:
        return await self._calls.get(caller, "notification", f"/contacts/{client_id}", ContactOut)

    # Invoices

    async def issue_invoice(self, caller: Caller, body: InvoiceIn, key: str) -> InvoiceOut:
        """Issue an invoice; the same key returns the same invoice again."""
        return await self._calls.write(caller, "invoice", "POST", "/invoices", InvoiceOut, body, key=key)

    async def issue_invoices(self, caller: Caller, body: InvoicesIn, key: str) -> InvoicesOut:
        """Issue a set of invoices, all or none; the same key returns the same invoices again."""
        return await self._calls.write(
            caller, "invoice", "POST", "/invoices/bulk", InvoicesOut, body, key=key
        )

    async def invoice(self, caller: Caller, invoice_id: UUID) -> InvoiceOut:
        return await self._calls.get(caller, "invoice", f"/invoices/{invoice_id}", InvoiceOut)

    async def invoices(
        self,
        caller: Caller,
        status: str | None = None,
        cursor: str | None = None,
        limit: int = 20,
        client_id: UUID | None = None,
    ) -> Page[InvoiceItem]:
        """Invoices, newest first; a client sees only its own."""
        params = {"status": status, "cursor": cursor, "limit": limit, "client_id": client_id}
        return await self._calls.get(caller, "invoice", "/invoices", Page[InvoiceItem], params)

    async def changed_invoices(
        self,
        caller: Caller,
        since: datetime,
        cursor: str | None = None,
        limit: int = 20,
        client_id: UUID | None = None,
    ) -> Page[InvoiceItem]:
        """Invoices that changed since then, in the order of their last change."""
        params = {"since": since.isoformat(), "cursor": cursor, "limit": limit, "client_id": client_id}
        return await self._calls.get(caller, "invoice", "/invoices/changed", Page[InvoiceItem], params)

    async def summary(self, caller: Caller) -> Summary:
        return await self._calls.get(caller, "invoice", "/summary", Summary)

    # Payments

    async def start_payment(self, caller: Caller, body: PaymentIn, key: str | None = None) -> PaymentStart:
        """Reserve the amounts and make the intent; a second call with the same `key` returns the same payment.

        409 `amount_changed` (field `open`), `already_paid`, `online_payment_off`; 503 `payable_unknown` only
        after two seconds of trying.
        """
        key = key or str(uuid4())
        return await self._calls.write(
            caller, "payment", "POST", "/payments", PaymentStart, body, key=key, timeout=STRIPE_TIMEOUT
        )

    async def payment(self, caller: Caller, payment_id: UUID) -> PaymentOut:
        return await self._calls.get(caller, "payment", f"/payments/{payment_id}", PaymentOut)

    async def payment_at_stripe(self, caller: Caller, payment_id: UUID) -> PaymentOut:
        """The payment, once Stripe was asked about it if it is not over."""
        return await self._calls.get(
            caller, "payment", f"/payments/{payment_id}", PaymentOut, {"ask": "true"}
        )

    async def on_its_way(self, caller: Caller) -> list[OnItsWay]:
        """The client's open invoices with money on its way that the invoice service may not know about."""
        return await self._calls.get(caller, "payment", "/payments/on-its-way", list[OnItsWay])

    async def payments(self, caller: Caller, invoice_id: UUID) -> Page[PaymentOut]:
        params = {"invoice_id": invoice_id}
        return await self._calls.get(caller, "payment", "/payments", Page[PaymentOut], params)

    async def saved_methods(self, caller: Caller) -> list[SavedMethodOut]:
        page = await self._calls.get(caller, "payment", "/payment-methods", Page[SavedMethodOut])
        return page.items

    async def remove_method(self, caller: Caller, method_id: UUID) -> None:
        path = f"/payment-methods/{method_id}"
        await self._calls.send(caller, "payment", "DELETE", path, timeout=STRIPE_TIMEOUT)

    async def make_default(self, caller: Caller, method_id: UUID) -> None:
        path = f"/payment-methods/{method_id}/default"
        await self._calls.send(caller, "payment", "PUT", path, timeout=STRIPE_TIMEOUT)

    async def start_setup(self, caller: Caller) -> SetupStart:
        """A SetupIntent, to save a card without paying."""
        return await self._calls.write(
            caller, "payment", "POST", "/setup-intents", SetupStart, timeout=STRIPE_TIMEOUT
        )

    async def credit(self, caller: Caller) -> list[Money]:
        return await self._calls.get(caller, "payment", "/credit", list[Money])

    async def client_credit(self, caller: Caller, client_id: UUID) -> CreditOut:
        """A client's credit; the client may be the caller. 404 `client_not_found` for one who never paid here."""
        return await self._calls.get(caller, "payment", f"/clients/{client_id}/credit", CreditOut)

    async def refund(self, caller: Caller, body: RefundIn, key: str) -> RefundsOut:
        """Refund a client's credit; the same key returns the same refunds, in their current state."""
        return await self._calls.write(
            caller, "payment", "POST", "/refunds", RefundsOut, body, key=key, timeout=STRIPE_TIMEOUT
        )

    async def account(self, caller: Caller) -> AccountOut:
        """The Stripe account of the caller's clinic."""
        account = await self._calls.get(caller, "payment", "/account", AccountOut)
        self._accounts.put(caller.clinic, account)
        return account

    async def recent_account(self, caller: Caller) -> AccountOut:
        """The same, at most three seconds old."""
        return self._accounts.get(caller.clinic) or await self.account(caller)

    async def account_if_known(self, caller: Caller) -> AccountOut | None:
        """The same; None while payment does not answer soon: it refuses later itself."""
        try:
            async with asyncio.timeout(PAYMENT_SECONDS):
                return await self.recent_account(caller)
        except (UpstreamError, TimeoutError):
            return None

    async def put_account(self, caller: Caller, body: AccountIn) -> AccountOut:
        """Choose the clinic's Stripe account. 409 `stripe_account_in_use`."""
        chosen = await self._calls.write(caller, "payment", "PUT", "/account", AccountOut, body)
        self._accounts.put(caller.clinic, chosen)
        return chosen

    async def forward_webhook(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Payment's own answer to a webhook. Tried once: Stripe repeats it. Without a token: it is signed."""
        return await self._calls.forward("payment", "/webhooks/stripe", body, headers)


InjectedUpstreams = NamedDependency[Upstreams]
