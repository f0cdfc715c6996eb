"""The gateway's calls to the services: one method for each route, on behalf of a caller.

`calls.py` makes the calls and retries them. Every method raises `UpstreamError`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Generic, Literal, TypeVar, get_args
from uuid import UUID, uuid4

from litestar.di import NamedDependency

from contracts.http.accounts import AccountIn, AccountOut
from contracts.http.clients import ClientIn, ClientOut
from contracts.http.clinics import ClinicIn, ClinicOut
from contracts.http.common import Money, Page, Request
from contracts.http.contacts import ContactIn, ContactOut, MailChoiceIn, MailChoicesOut, ReceiptOut
from contracts.http.credit import ApprovalIn, CreditOut, RefundIn, RefundRulesBody, RefundsOut
from contracts.http.disputes import DisputeOut, EvidenceIn, EvidenceOut, EvidencePreview, HeldIn, SubmitIn
from contracts.http.documents import (
    CorrectedOut,
    CorrectionIn,
    CreditNoteIn,
    ReplacedOut,
    VoidIn,
    WriteOffIn,
)
from contracts.http.exceptions import ExceptionOut, SettleIn
from contracts.http.held import HeldActOut, HeldActsOut, PreviewOut
from contracts.http.invoices import (
    InvoiceIn,
    InvoiceItem,
    InvoiceOut,
    InvoicesIn,
    InvoicesOut,
    PayLinkOut,
    Summary,
)
from contracts.http.letters import LetterIn, LetterOut
from contracts.http.methods import NicknameIn, NicknameOut, SavedMethodOut, SetupIn, SetupStart
from contracts.http.outside import ClosingIn, ClosingOut, RecordIn, ReverseIn, UseCreditIn
from contracts.http.payments import OnItsWay, PaymentIn, PaymentOut, PaymentStart
from contracts.vocabulary import ChosenMail, DisputeStatus
from services.chassis import clock
from services.chassis.http.auth import Caller
from services.gateway.upstream.calls import STRIPE_TIMEOUT, Calls, UpstreamError
from services.gateway.upstream.transport import Reply

__all__ = ["SETTINGS_SECONDS", "UpstreamError", "Upstreams"]

T = TypeVar("T")
C = TypeVar("C", bound=CorrectedOut)

SETTINGS_SECONDS = 3.0
"""The highest age of a clinic's settings."""

LATELY = timedelta(hours=1)
"""How long ago a client's invoice may have changed and still be on its way to payment: far beyond the usual lag."""


Booking = Literal["invoice", "payment"]
BOOKING: tuple[Booking, ...] = get_args(Booking)
"""The services that have exceptions and held acts."""


async def in_its_service(ask: Callable[[Booking], Awaitable[T]], unknown: str) -> T:
    """The answer of the service that has the thing. `unknown`: the code of a service that does not have it.

    A service that is away keeps nobody from what the other one has. It is raised only where it may have the thing.
    """
    errors: list[UpstreamError] = []
    for service in BOOKING:
        try:
            return await ask(service)
        except UpstreamError as error:
            if error.code != unknown and not error.temporary:
                raise
            errors.append(error)
    raise next((error for error in errors if error.temporary), errors[-1])


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

    async def clinics(
        self, caller: Caller, cursor: str | None = None, limit: int = 20, external_id: str | None = None
    ) -> Page[ClinicOut]:
        """Every clinic, or the one with the external id; operators only."""
        params = {"cursor": cursor, "limit": limit, "external_id": external_id}
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

    async def clients_by_external_id(self, caller: Caller, external_id: str) -> Page[ClientOut]:
        params = {"external_id": external_id}
        return await self._calls.get(caller, "invoice", "/clients", Page[ClientOut], params)

    async def clients_of(self, caller: Caller, client_ids: Iterable[UUID]) -> list[ClientOut]:
        """These clients, at most a hundred; an unknown id is left out."""
        ids = {"ids": ",".join(map(str, client_ids))}
        return (await self._calls.get(caller, "invoice", "/clients", Page[ClientOut], ids)).items

    async def clients_by_email(
        self, caller: Caller, email: str, cursor: str | None = None, limit: int = 20
    ) -> Page[ClientOut]:
        """The clients whom an address reaches, such as a family's."""
        params = {"email": email, "cursor": cursor, "limit": limit}
        found = await self._calls.get(caller, "notification", "/contacts", Page[ContactOut], params)
        if not found.items:
            return Page(items=[])
        clients = await self.clients_of(caller, (each.client_id for each in found.items))
        return Page(items=clients, next=found.next)

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

    async def mail_choices(self, caller: Caller, client_id: UUID) -> MailChoicesOut:
        path = f"/contacts/{client_id}/mail"
        return await self._calls.get(caller, "notification", path, MailChoicesOut)

    async def choose_mail(
        self, caller: Caller, client_id: UUID, kind: ChosenMail, *, wanted: bool
    ) -> MailChoicesOut:
        """Save whether a client wants e-mails of a kind."""
        path, body = f"/contacts/{client_id}/mail/{kind}", MailChoiceIn(wanted=wanted)
        return await self._calls.write(caller, "notification", "PUT", path, MailChoicesOut, body)

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

    async def void_invoice(
        self, caller: Caller, invoice_id: UUID, body: VoidIn, key: str
    ) -> CorrectedOut | HeldActOut:
        """Cancel an invoice that nobody has paid, or hold that."""
        return await self._take_off(caller, invoice_id, "void", body, key, CorrectedOut)

    async def credit_invoice(
        self, caller: Caller, invoice_id: UUID, body: CreditNoteIn, key: str
    ) -> CorrectedOut | HeldActOut:
        """Issue a credit note, or hold it; the same key returns the same one again."""
        return await self._take_off(caller, invoice_id, "credit-notes", body, key, CorrectedOut)

    async def write_off_invoice(
        self, caller: Caller, invoice_id: UUID, body: WriteOffIn, key: str
    ) -> CorrectedOut | HeldActOut:
        return await self._take_off(caller, invoice_id, "write-off", body, key, CorrectedOut)

    async def preview_document(
        self,
        caller: Caller,
        invoice_id: UUID,
        verb: Literal["void", "credit-notes", "write-off", "correct"],
        body: VoidIn | CreditNoteIn | WriteOffIn | CorrectionIn,
    ) -> PreviewOut:
        """The effect that a correction would have now. It changes nothing."""
        path = f"/invoices/{invoice_id}/{verb}/preview"
        return await self._calls.ask(caller, "invoice", path, PreviewOut, body)

    async def correct_invoice(
        self, caller: Caller, invoice_id: UUID, body: CorrectionIn, key: str
    ) -> ReplacedOut | HeldActOut:
        """Credit the rest of an invoice and issue another one, both or neither, or hold that."""
        return await self._take_off(caller, invoice_id, "correct", body, key, ReplacedOut)

    async def _take_off(
        self, caller: Caller, invoice_id: UUID, verb: str, body: Request, key: str, answer: type[C]
    ) -> C | HeldActOut:
        path = f"/invoices/{invoice_id}/{verb}"
        return await self._calls.write_or_hold(caller, "invoice", path, answer, HeldActOut, body, key)

    async def invoice(self, caller: Caller, invoice_id: UUID) -> InvoiceOut:
        return await self._calls.get(caller, "invoice", f"/invoices/{invoice_id}", InvoiceOut)

    async def invoice_pdf(self, caller: Caller, invoice_id: UUID, known: str | None) -> Reply:
        """The invoice as PDF; 304 for a reader that knows it, by its `If-None-Match`."""
        return await self._calls.file(caller, "invoice", f"/invoices/{invoice_id}/pdf", known)

    async def invoice_xml(self, caller: Caller, invoice_id: UUID, known: str | None) -> Reply:
        """The invoice as an e-invoice, in the same way. 409 `no_e_invoice`."""
        return await self._calls.file(caller, "invoice", f"/invoices/{invoice_id}/xml", known)

    async def credit_note_xml(
        self, caller: Caller, invoice_id: UUID, document_id: UUID, known: str | None
    ) -> Reply:
        """A credit note as an e-invoice, in the same way."""
        path = f"/invoices/{invoice_id}/credit-notes/{document_id}/xml"
        return await self._calls.file(caller, "invoice", path, known)

    async def receipt_pdf(self, caller: Caller, invoice_id: UUID, known: str | None) -> Reply:
        """The payments of an invoice, in the same way. 409 `nothing_paid`."""
        return await self._calls.file(caller, "invoice", f"/invoices/{invoice_id}/receipt", known)

    async def credit_note_pdf(
        self, caller: Caller, invoice_id: UUID, document_id: UUID, known: str | None
    ) -> Reply:
        """A credit note of an invoice, in the same way. 404 `credit_note_not_found`."""
        path = f"/invoices/{invoice_id}/credit-notes/{document_id}/pdf"
        return await self._calls.file(caller, "invoice", path, known)

    async def statement(
        self, caller: Caller, client_id: UUID, since: date | None, until: date | None, known: str | None
    ) -> Reply:
        """A client's statement as PDF, in the same way. 422 `days_out_of_order`, `statement_too_long`."""
        days = {"since": since, "until": until}
        return await self._calls.file(caller, "invoice", f"/clients/{client_id}/statement", known, days)

    async def invoices(
        self,
        caller: Caller,
        status: str | None = None,
        cursor: str | None = None,
        limit: int = 20,
        client_id: UUID | None = None,
        **narrowed: object,
    ) -> Page[InvoiceItem]:
        """Invoices, newest first; a client sees only its own. `narrowed`: invoice's further parameters of the list."""
        params = {"status": status, "cursor": cursor, "limit": limit, "client_id": client_id, **narrowed}
        return await self._calls.get(caller, "invoice", "/invoices", Page[InvoiceItem], params)

    async def invoice_locations(self, caller: Caller) -> list[str]:
        """The places that stand on the client's invoices."""
        return await self._calls.get(caller, "invoice", "/invoices/locations", list[str])

    async def invoices_by_external_id(self, caller: Caller, external_id: str) -> Page[InvoiceItem]:
        params = {"external_id": external_id}
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

    async def pay_link(self, caller: Caller, invoice_id: UUID) -> PayLinkOut:
        """The generation of the invoice's pay links that work now; the service records that it was asked for."""
        return await self._calls.get(caller, "invoice", f"/invoices/{invoice_id}/pay-link", PayLinkOut)

    async def revoke_pay_links(self, caller: Caller, invoice_id: UUID, key: str) -> PayLinkOut:
        """End the invoice's pay links that were made so far; the same key ends them once."""
        path = f"/invoices/{invoice_id}/pay-link/revoke"
        return await self._calls.write(caller, "invoice", "POST", path, PayLinkOut, key=key)

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

    async def payments(
        self,
        caller: Caller,
        invoice_id: UUID | None = None,
        *,
        reference: str | None = None,
        cursor: str | None = None,
        limit: int = 20,
    ) -> Page[PaymentOut]:
        """Payments, newest first: of an invoice, or the one with a reference."""
        given = {"invoice_id": invoice_id, "reference": reference, "cursor": cursor, "limit": limit}
        params = {name: value for name, value in given.items() if value is not None}
        return await self._calls.get(caller, "payment", "/payments", Page[PaymentOut], params)

    async def receipt(self, caller: Caller, payment_id: UUID) -> ReceiptOut:
        """The state of the e-mail that is the payment's receipt. 404 `receipt_not_found`."""
        return await self._calls.get(caller, "notification", f"/receipts/{payment_id}", ReceiptOut)

    async def saved_methods(self, caller: Caller) -> list[SavedMethodOut]:
        page = await self._calls.get(caller, "payment", "/payment-methods", Page[SavedMethodOut])
        return page.items

    async def remove_method(self, caller: Caller, method_id: UUID) -> None:
        path = f"/payment-methods/{method_id}"
        await self._calls.send(caller, "payment", "DELETE", path, timeout=STRIPE_TIMEOUT)

    async def make_default(self, caller: Caller, method_id: UUID) -> None:
        path = f"/payment-methods/{method_id}/default"
        await self._calls.send(caller, "payment", "PUT", path, timeout=STRIPE_TIMEOUT)

    async def set_nickname(self, caller: Caller, method_id: UUID, nickname: str) -> None:
        """422 `invalid_text`, `card_number_refused`."""
        path = f"/payment-methods/{method_id}/nickname"
        body = NicknameIn(nickname=nickname)
        await self._calls.write(caller, "payment", "PUT", path, NicknameOut, body)

    async def start_setup(self, caller: Caller, body: SetupIn) -> SetupStart:
        """A SetupIntent, to save a card without paying."""
        return await self._calls.write(
            caller, "payment", "POST", "/setup-intents", SetupStart, body, timeout=STRIPE_TIMEOUT
        )

    async def credit(self, caller: Caller) -> list[Money]:
        return await self._calls.get(caller, "payment", "/credit", list[Money])

    async def client_credit(self, caller: Caller, client_id: UUID) -> CreditOut:
        """A client's credit; the client may be the caller. 404 `client_not_found` for one who never paid here."""
        return await self._calls.get(caller, "payment", f"/clients/{client_id}/credit", CreditOut)

    async def refund(self, caller: Caller, body: RefundIn, key: str) -> RefundsOut | HeldActsOut:
        """Refund a payment or a client's credit, or hold that; the same key returns the same, in its current state."""
        return await self._calls.write_or_hold(
            caller, "payment", "/refunds", RefundsOut, HeldActsOut, body, key, STRIPE_TIMEOUT
        )

    async def preview_refund(self, caller: Caller, body: RefundIn) -> PreviewOut:
        """The effect that a refund would have now. It changes nothing."""
        return await self._calls.ask(
            caller, "payment", "/refunds/preview", PreviewOut, body, timeout=STRIPE_TIMEOUT
        )

    async def decide_refund(self, caller: Caller, refund_id: UUID, body: ApprovalIn) -> RefundsOut:
        """Approve a refund that waits, or cancel it."""
        path = f"/refunds/{refund_id}/approval"
        return await self._calls.write(
            caller, "payment", "PUT", path, RefundsOut, body, timeout=STRIPE_TIMEOUT
        )

    async def refund_rules(self, caller: Caller) -> RefundRulesBody:
        return await self._calls.get(caller, "payment", "/refund-rules", RefundRulesBody)

    async def put_refund_rules(self, caller: Caller, body: RefundRulesBody) -> RefundRulesBody:
        return await self._calls.write(caller, "payment", "PUT", "/refund-rules", RefundRulesBody, body)

    async def record_payment(self, caller: Caller, body: RecordIn, key: str) -> PaymentOut:
        """Book money that the clinic took outside Stripe; the same key returns the same payment."""
        params = await self._issued_lately(caller, body)
        return await self._calls.write(
            caller, "payment", "POST", "/payments/recorded", PaymentOut, body, params=params, key=key
        )

    async def _issued_lately(self, caller: Caller, body: RecordIn | UseCreditIn) -> dict[str, str] | None:
        """The invoices that payment must know before it chooses which are due first. The client was looked up."""
        if body.invoices is not None:
            return None
        since = clock.now() - LATELY
        found = await self.changed_invoices(caller, since, limit=100, client_id=body.client_id)
        return {"issued": ",".join(str(each.id) for each in found.items), "client_known": "true"}

    async def reverse_payment(
        self, caller: Caller, payment_id: UUID, body: ReverseIn, key: str
    ) -> PaymentOut:
        path = f"/payments/{payment_id}/reverse"
        return await self._calls.write(caller, "payment", "POST", path, PaymentOut, body, key=key)

    async def use_credit(self, caller: Caller, body: UseCreditIn, key: str) -> PaymentOut:
        params = await self._issued_lately(caller, body)
        return await self._calls.write(
            caller, "payment", "POST", "/credit/uses", PaymentOut, body, params=params, key=key
        )

    async def close_cash(self, caller: Caller, body: ClosingIn, key: str) -> ClosingOut:
        return await self._calls.write(caller, "payment", "POST", "/cash-closings", ClosingOut, body, key=key)

    async def cash_closings(self, caller: Caller, cursor: str | None, limit: int) -> Page[ClosingOut]:
        params = {"cursor": cursor, "limit": str(limit)}
        return await self._calls.get(caller, "payment", "/cash-closings", Page[ClosingOut], params)

    # Exceptions

    async def disputes(
        self,
        caller: Caller,
        status: DisputeStatus | None,
        due_before: datetime | None,
        cursor: UUID | None,
        limit: int,
    ) -> Page[DisputeOut]:
        """The clinic's disputes, the nearest deadline first."""
        due = due_before.isoformat() if due_before else None
        params = {"status": status, "due_before": due, "cursor": cursor, "limit": limit}
        return await self._calls.get(caller, "payment", "/disputes", Page[DisputeOut], params)

    async def dispute(self, caller: Caller, dispute_id: UUID) -> DisputeOut:
        """A dispute of the clinic's. 404 `dispute_not_found`."""
        return await self._calls.get(caller, "payment", f"/disputes/{dispute_id}", DisputeOut)

    async def evidence(self, caller: Caller, dispute_id: UUID) -> EvidenceOut:
        return await self._calls.get(caller, "payment", f"/disputes/{dispute_id}/evidence", EvidenceOut)

    async def put_evidence(self, caller: Caller, dispute_id: UUID, body: EvidenceIn) -> EvidenceOut:
        path = f"/disputes/{dispute_id}/evidence"
        return await self._calls.write(caller, "payment", "PUT", path, EvidenceOut, body)

    async def preview_evidence(self, caller: Caller, dispute_id: UUID, body: HeldIn) -> EvidencePreview:
        path = f"/disputes/{dispute_id}/evidence/preview"
        return await self._calls.ask(caller, "payment", path, EvidencePreview, body)

    async def submit_evidence(
        self, caller: Caller, dispute_id: UUID, body: SubmitIn, key: str
    ) -> EvidenceOut:
        """Send a dispute's evidence to Stripe. To repeat it is harmless: the same digest is sent once."""
        path = f"/disputes/{dispute_id}/evidence/submission"
        return await self._calls.write(
            caller, "payment", "POST", path, EvidenceOut, body, key=key, timeout=STRIPE_TIMEOUT
        )

    async def exceptions(
        self, caller: Caller, service: Booking, settled: bool, cursor: UUID | None, limit: int
    ) -> Page[ExceptionOut]:
        """A service's exceptions, newest first."""
        params = {"settled": "true" if settled else None, "cursor": cursor, "limit": limit}
        return await self._calls.get(caller, service, "/exceptions", Page[ExceptionOut], params)

    async def settle_exception(
        self, caller: Caller, service: Booking, exception_id: UUID, body: SettleIn, key: str
    ) -> ExceptionOut:
        """Settle a service's exception. 404 `exception_not_found`. To repeat it is harmless."""
        path = f"/exceptions/{exception_id}/settle"
        return await self._calls.write(caller, service, "POST", path, ExceptionOut, body, key=key)

    async def held_acts(
        self, caller: Caller, service: Booking, ended: bool, cursor: UUID | None, limit: int
    ) -> Page[HeldActOut]:
        """A service's held acts, newest first: the ones to undo, or the ended."""
        params = {"ended": "true" if ended else None, "cursor": cursor, "limit": limit}
        return await self._calls.get(caller, service, "/held-acts", Page[HeldActOut], params)

    async def undo_held_act(self, caller: Caller, service: Booking, act_id: UUID) -> HeldActOut:
        """Undo a service's held act. 404 `held_act_not_found`. To repeat it is harmless."""
        path = f"/held-acts/{act_id}/undo"
        return await self._calls.write(caller, service, "POST", path, HeldActOut, key=str(uuid4()))

    # Accounts

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

    async def queue_letter(self, caller: Caller, letter_id: UUID, body: LetterIn) -> LetterOut:
        """Have a letter about a login sent, once for its id. 422 `email_not_valid`."""
        path = f"/letters/{letter_id}"
        return (await self._calls.create(caller, "notification", path, LetterOut, body))[0]

    async def forward_webhook(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Payment's own answer to a webhook. Tried once: Stripe repeats it. Without a token: it is signed."""
        return await self._calls.forward("payment", "/webhooks/stripe", body, headers)


InjectedUpstreams = NamedDependency[Upstreams]
