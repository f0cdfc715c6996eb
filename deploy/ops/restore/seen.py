"""Reading what the topics hold since a moment. Databases that were restored may be behind that."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts.events.account import AccountUpdated
from contracts.events.clinic import ClinicUpdated
from contracts.events.envelope import CloudEvent, Undecodable
from contracts.events.invoice import InvoiceCorrected, InvoiceCreated, InvoiceState, Sums
from contracts.events.notification import NotificationSent
from contracts.events.payment import PaymentRefunded, PaymentSettled, PaymentState
from deploy.ops import topic_records
from services.chassis.ids import Key
from services.chassis.settings import KafkaSecurity


@dataclass(slots=True)
class Seen:
    """The newest of each aggregate that was published, and the e-mails that were sent."""

    clinics: dict[UUID, int] = field(default_factory=dict)
    accounts: dict[UUID, int] = field(default_factory=dict)
    invoices: dict[Key, InvoiceState] = field(default_factory=dict)
    issues: dict[Key, Sums] = field(default_factory=dict)
    """The sums of invoices as they were issued, as far as they were published."""
    payments: dict[Key, PaymentState] = field(default_factory=dict)
    movements: dict[Key, PaymentSettled] = field(default_factory=dict)
    refunds: dict[Key, PaymentRefunded] = field(default_factory=dict)
    sent: dict[Key, NotificationSent] = field(default_factory=dict)
    numbers: dict[tuple[UUID, int], tuple[int, int]] = field(default_factory=dict)
    """The smallest and the largest invoice number of each clinic and year."""
    credit_notes: dict[tuple[UUID, int], int] = field(default_factory=dict)
    """The largest number of a credit note of each clinic and year."""
    documents: dict[Key, InvoiceCorrected] = field(default_factory=dict)

    def add(self, event: CloudEvent) -> None:
        if isinstance(event, InvoiceState):
            self._add_invoice(event)
            if isinstance(event, InvoiceCorrected):
                self._add_document(event)
        elif isinstance(event, PaymentState):
            self._add_payment(event)
        elif isinstance(event, PaymentSettled):
            self.movements[event.clinic_id, event.movement_id] = event
        elif isinstance(event, PaymentRefunded):
            self.refunds[event.clinic_id, event.refund_id] = event
        elif isinstance(event, ClinicUpdated):
            self.clinics[event.clinic_id] = max(event.version, self.clinics.get(event.clinic_id, 0))
        elif isinstance(event, AccountUpdated):
            self.accounts[event.clinic_id] = max(event.version, self.accounts.get(event.clinic_id, 0))
        elif isinstance(event, NotificationSent):
            self.sent[event.clinic_id, event.delivery_id] = event

    def _add_payment(self, event: PaymentState) -> None:
        key = (event.clinic_id, event.payment_id)
        if key not in self.payments or self.payments[key].version < event.version:
            self.payments[key] = event

    def _add_invoice(self, event: InvoiceState) -> None:
        key = (event.clinic_id, event.invoice_id)
        if key not in self.invoices or self.invoices[key].version < event.version:
            self.invoices[key] = event
        if isinstance(event, InvoiceCreated) and event.sums is not None:
            self.issues[key] = event.sums
        before, _, sequence = event.number.rpartition("-")
        number, of_year = int(sequence), (event.clinic_id, int(before[-4:]))
        first, last = self.numbers.get(of_year, (number, number))
        self.numbers[of_year] = min(number, first), max(number, last)

    def _add_document(self, event: InvoiceCorrected) -> None:
        self.documents[event.clinic_id, event.document.id] = event
        if event.document.number is not None:
            _, year, number = event.document.number.split("-")
            of_year = (event.clinic_id, int(year))
            self.credit_notes[of_year] = max(int(number), self.credit_notes.get(of_year, 0))


async def read_since(servers: str, security: KafkaSecurity, since: datetime) -> Seen:
    """Read all topics from that moment to where they end now. Records that are no events of ours are passed over."""
    seen = Seen()
    async with topic_records.consumer(servers, security) as reading:
        async for records in topic_records.read(reading, await topic_records.spans(reading, since)):
            for record in records:
                with suppress(Undecodable):
                    seen.add(topic_records.decoded(record))
    return seen
