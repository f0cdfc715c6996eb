"""Reading what the topics hold since a moment. Databases that were restored may be behind that."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.events import topics
from contracts.events.account import AccountUpdated
from contracts.events.clinic import ClinicUpdated
from contracts.events.envelope import CloudEvent, Undecodable
from contracts.events.invoice import InvoiceState
from contracts.events.notification import NotificationSent
from contracts.events.payment import PaymentState
from services.chassis.ids import Key
from services.chassis.kafka.adapter.any_headers import read_any_headers
from services.chassis.kafka.consume import decode_record
from services.chassis.kafka.park import Record
from services.chassis.settings import KafkaSecurity

AT_ONCE = 2000


@dataclass(slots=True)
class Seen:
    """The newest of each aggregate that was published, and the e-mails that were sent."""

    clinics: dict[UUID, int] = field(default_factory=dict)
    accounts: dict[UUID, int] = field(default_factory=dict)
    invoices: dict[Key, InvoiceState] = field(default_factory=dict)
    payments: dict[Key, int] = field(default_factory=dict)
    sent: dict[Key, NotificationSent] = field(default_factory=dict)
    numbers: dict[tuple[UUID, int], int] = field(default_factory=dict)
    """The largest invoice number of each clinic and year."""

    def add(self, event: CloudEvent) -> None:
        if isinstance(event, InvoiceState):
            self._add_invoice(event)
        elif isinstance(event, PaymentState):
            key = (event.clinic_id, event.payment_id)
            self.payments[key] = max(event.version, self.payments.get(key, 0))
        elif isinstance(event, ClinicUpdated):
            self.clinics[event.clinic_id] = max(event.version, self.clinics.get(event.clinic_id, 0))
        elif isinstance(event, AccountUpdated):
            self.accounts[event.clinic_id] = max(event.version, self.accounts.get(event.clinic_id, 0))
        elif isinstance(event, NotificationSent):
            self.sent[event.clinic_id, event.delivery_id] = event

    def _add_invoice(self, event: InvoiceState) -> None:
        key = (event.clinic_id, event.invoice_id)
        if key not in self.invoices or self.invoices[key].version < event.version:
            self.invoices[key] = event
        year, _, number = event.number.partition("-")
        of_year = (event.clinic_id, int(year))
        self.numbers[of_year] = max(int(number), self.numbers.get(of_year, 0))


def all_partitions(names: Iterable[str] = topics.BY_NAME) -> list[TopicPartition]:
    return [
        TopicPartition(name, number) for name in names for number in range(topics.BY_NAME[name].partitions)
    ]


async def offsets_at(consumer: Any, partitions: list[TopicPartition], moment: datetime) -> dict[Any, int]:
    """Each partition's first offset from that moment on; its end if nothing came since."""
    ends = await consumer.end_offsets(partitions)
    millis = int(moment.timestamp() * 1000)
    found = await consumer.offsets_for_times(dict.fromkeys(partitions, millis))
    return {each: found[each].offset if found.get(each) else ends[each] for each in partitions}


async def read_since(servers: str, security: KafkaSecurity, since: datetime) -> Seen:
    """Read all topics from that moment to where they end now. Records that are no events of ours are passed over."""
    read_any_headers()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers,
        enable_auto_commit=False,
        isolation_level="read_committed",
        **security.options(),
    )
    await consumer.start()
    try:
        seen = Seen()
        async for event in _events(consumer, since):
            seen.add(event)
        return seen
    finally:
        await consumer.stop()


async def _events(consumer: Any, since: datetime) -> AsyncIterator[CloudEvent]:
    partitions = all_partitions()
    begins, ends = await offsets_at(consumer, partitions, since), await consumer.end_offsets(partitions)
    left = {each for each in partitions if begins[each] < ends[each]}
    consumer.assign(partitions)
    for each in partitions:
        consumer.seek(each, begins[each])
    while left:
        batches = await consumer.getmany(*left, timeout_ms=1000, max_records=AT_ONCE)
        for records in batches.values():
            for record in records:
                if (event := _decoded(record)) is not None:
                    yield event
        left -= {each for each in left if await consumer.position(each) >= ends[each]}


def _decoded(record: Any) -> CloudEvent | None:
    try:
        return decode_record(Record(record.topic, record.partition, record.offset, record.key, record.value))
    except Undecodable:
        return None
