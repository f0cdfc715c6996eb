"""What the gateway asks of the services: one method a route, each with the caller it asks for.

How calls are made, and what is retried, stands in `calls.py`. Every method raises `UpstreamError`.
"""

import time
from collections.abc import Mapping
from uuid import UUID, uuid4

from services.chassis.auth import Caller
from services.gateway.calls import STRIPE_TIMEOUT, Calls, UpstreamError
from services.gateway.shapes import (
    Account,
    Client,
    ClientCredit,
    ClientIn,
    Clinic,
    ClinicIn,
    Contact,
    ContactIn,
    InvoiceIn,
    InvoiceOut,
    InvoiceRow,
    InvoicesIn,
    InvoicesOut,
    Money,
    Page,
    PaymentIn,
    PaymentOut,
    PaymentStart,
    RefundIn,
    Refunds,
    SavedMethod,
    SetupStart,
    Summary,
)
from services.gateway.wire import Reply

__all__ = ["SETTINGS_SECONDS", "UpstreamError", "Upstreams"]

SETTINGS_SECONDS = 3.0
"""How old a clinic's settings may be."""


class Upstreams:
    """The three services, as the portal and the public API use them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._clinics: dict[UUID, tuple[float, Clinic]] = {}

    # Clinics and clients

    async def clinic(self, caller: Caller) -> Clinic:
        """The settings of the caller's clinic, at most three seconds old."""
        assert caller.clinic_id is not None
        known = self._clinics.get(caller.clinic_id)
        if known and known[0] > time.monotonic():
            return known[1]
        clinic = await self._calls.get(caller, "invoice", f"/clinics/{caller.clinic_id}", Clinic)
        self._remember(clinic)
        return clinic

    async def clinics(self, caller: Caller, cursor: str | None = None, limit: int = 20) -> Page[Clinic]:
        """Every clinic; operators only."""
        params = {"cursor": cursor, "limit": limit}
        return await self._calls.get(caller, "invoice", "/clinics", Page[Clinic], params)

    async def put_clinic(self, caller: Caller, clinic_id: UUID, body: ClinicIn) -> Clinic:
        """Set a clinic's settings, whole; the same content again changes nothing."""
        clinic = await self._calls.write(caller, "invoice", "PUT", f"/clinics/{clinic_id}", Clinic, body)
        self._remember(clinic)
        return clinic

    async def put_client(self, caller: Caller, client_id: UUID, body: ClientIn) -> Client:
        return await self._calls.write(caller, "invoice", "PUT", f"/clients/{client_id}", Client, body)

    async def client(self, caller: Caller, client_id: UUID) -> Client:
        return await self._calls.get(caller, "invoice", f"/clients/{client_id}", Client)

    async def clients(self, caller: Caller, cursor: str | None = None, limit: int = 20) -> Page[Client]:
        params = {"cursor": cursor, "limit": limit}
        return await self._calls.get(caller, "invoice", "/clients", Page[Client], params)

    async def put_contact(self, caller: Caller, client_id: UUID, body: ContactIn) -> Contact:
        return await self._calls.write(caller, "notification", "PUT", f"/contacts/{client_id}", Contact, body)

    async def contact(self, caller: Caller, client_id: UUID) -> Contact:
        return await self._calls.get(caller, "notification", f"/contacts/{client_id}", Contact)

    # Invoices

    async def issue_invoice(self, caller: Caller, body: InvoiceIn, key: str) -> InvoiceOut:
        """Issue an invoice; the same key answers the same invoice again."""
        return await self._calls.write(caller, "invoice", "POST", "/invoices", InvoiceOut, body, key=key)

    async def issue_invoices(self, caller: Caller, body: InvoicesIn, key: str) -> InvoicesOut:
        """Issue a set of invoices, all or none; the same key answers the same invoices again."""
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
    ) -> Page[InvoiceRow]:
        """Invoices, newest first; a client sees its own alone."""
        params = {"status": status, "cursor": cursor, "limit": limit, "client_id": client_id}
        return await self._calls.get(caller, "invoice", "/invoices", Page[InvoiceRow], params)

    async def summary(self, caller: Caller) -> Summary:
        return await self._calls.get(caller, "invoice", "/summary", Summary)

    # Payments

    async def start_payment(self, caller: Caller, body: PaymentIn, key: str | None = None) -> PaymentStart:
        """Reserve the amounts and make the intent; `key` makes a repeated click the same payment.

        409 `amount_changed` (field `open`), `already_paid`, `online_payment_off`; 503 `payable_unknown` only
        after two seconds of trying.
        """
        key = key or str(uuid4())
        return await self._calls.write(
            caller, "payment", "POST", "/payments", PaymentStart, body, key=key, timeout=STRIPE_TIMEOUT
        )

    async def payment(self, caller: Caller, payment_id: UUID) -> PaymentOut:
        return await self._calls.get(caller, "payment", f"/payments/{payment_id}", PaymentOut)

    async def payments(self, caller: Caller, invoice_id: UUID) -> Page[PaymentOut]:
        params = {"invoice_id": invoice_id}
        return await self._calls.get(caller, "payment", "/payments", Page[PaymentOut], params)

    async def saved_methods(self, caller: Caller) -> list[SavedMethod]:
        page = await self._calls.get(caller, "payment", "/payment-methods", Page[SavedMethod])
        return page.items

    async def remove_method(self, caller: Caller, method_id: UUID) -> None:
        path = f"/payment-methods/{method_id}"
        await self._calls.send(caller, "payment", "DELETE", path, timeout=STRIPE_TIMEOUT)

    async def make_default(self, caller: Caller, method_id: UUID) -> None:
        path = f"/payment-methods/{method_id}/default"
        await self._calls.send(caller, "payment", "PUT", path, timeout=STRIPE_TIMEOUT)

    async def start_setup(self, caller: Caller) -> SetupStart:
        """A SetupIntent, to keep a card without paying."""
        return await self._calls.write(
            caller, "payment", "POST", "/setup-intents", SetupStart, timeout=STRIPE_TIMEOUT
        )

    async def credit(self, caller: Caller) -> list[Money]:
        return await self._calls.get(caller, "payment", "/credit", list[Money])

    async def client_credit(self, caller: Caller, client_id: UUID) -> ClientCredit:
        """Of a client, who may be the caller. 404 `client_not_found` for one who never paid here."""
        return await self._calls.get(caller, "payment", f"/clients/{client_id}/credit", ClientCredit)

    async def refund(self, caller: Caller, body: RefundIn, key: str) -> Refunds:
        """Send a client's credit back; the same key answers the same refunds, as they are by then."""
        return await self._calls.write(
            caller, "payment", "POST", "/refunds", Refunds, body, key=key, timeout=STRIPE_TIMEOUT
        )

    async def account(self, caller: Caller) -> Account:
        return await self._calls.get(caller, "payment", "/account", Account)

    async def put_account(self, caller: Caller, body: Account) -> Account:
        return await self._calls.write(caller, "payment", "PUT", "/account", Account, body)

    async def forward_webhook(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Payment's own answer to a webhook; tried once, since Stripe repeats it. No token: it is signed."""
        return await self._calls.forward("payment", "/webhooks/stripe", body, headers)

    def _remember(self, clinic: Clinic) -> None:
        if len(self._clinics) > 1000:
            self._clinics.clear()
        self._clinics[clinic.id] = (time.monotonic() + SETTINGS_SECONDS, clinic)
