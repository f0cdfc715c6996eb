"""All that the services know of one invoice and its payments. Nothing personal is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts.vocabulary import OPEN_INVOICES
from deploy.ops.why.references import APPLIED, PARKED, SERVICES, Databases, Row
from services.chassis.ids import Key


@dataclass
class Books:
    """Rows about an invoice (None: a payment for none), read at `now`, the database's time."""

    now: Any
    invoice: Row | None = None
    clinic: Row | None = None
    documents: Sequence[Row] = ()
    booked: Sequence[Row] = ()
    """Movements on the invoice, as the invoice service has them. Its inbox knows when it applied them, for 30 days."""
    payments: Sequence[Row] = ()
    failed_attempts: Sequence[Row] = ()
    """Attempts of these payments that failed in the last 400 days, in the order of Stripe's time."""
    entries: Sequence[Row] = ()
    moved: Sequence[Row] = ()
    """The same movements as payment's ledger has them."""
    events: Sequence[Row] = ()
    """Stripe's events about these payments that were applied in the last 30 days."""
    refunds: Sequence[Row] = ()
    disputes: Sequence[Row] = ()
    deliveries: Sequence[Row] = ()
    parked: Sequence[Row] = ()
    """Parked events of any service, each with `service`."""
    unsent: Sequence[Row] = ()
    """Events that an outbox still holds, each with `service`."""
    takes_payments: bool = True
    read_by_payment: bool = True
    """Whether payment has read the invoice's newest state."""
    at_stripe: dict[str, str] = field(default_factory=dict)
    """By intent: its status at Stripe, or `unknown` where Stripe did not answer."""
    behind: dict[str, int] = field(default_factory=dict)
    """By consumer group: events that it has not applied. Empty where Kafka was not asked, or did not answer."""
    kafka_away: bool = False
    """Whether Kafka was asked, and did not answer."""

    @property
    def is_open(self) -> bool:
        return self.invoice is not None and self.invoice["status"] in OPEN_INVOICES


async def read(databases: Databases, key: Key, payment: Key | None = None) -> Books:
    """Of an invoice, or with `payment` of a payment alone. `key` has the clinic in both cases."""
    books = Books(now=await databases["payment"].fetchval("SELECT app_now()"))
    if payment is None:
        await _read_invoice(databases["invoice"], key, books)
    await _read_payments(databases["payment"], key, payment, books)
    await _read_mail(databases["notification"], key, books)
    await _read_waiting(databases, key, books)
    return books


async def read_consumed(databases: Databases, key: Key, payment: Key | None, books: Books) -> None:
    """Read again what consumers write, after Kafka was asked.

    An event was in the outbox when that was read, or waited when Kafka was asked, or was consumed before this reading:
    so none that is on its way looks lost.
    """
    await _read_payments(databases["payment"], key, payment, books)
    if payment is None:
        await _read_invoice(databases["invoice"], key, books)
    await _read_mail(databases["notification"], key, books)


async def _read_invoice(connection: Any, key: Key, books: Books) -> None:
    books.invoice = await connection.fetchrow(
        """
        SELECT id, number, status, currency, total_amount, due_on, created_at, changed_at, paid_at, version,
            total_amount - settled_amount - credited_amount - written_off_amount AS due
        FROM invoices WHERE clinic_id = $1 AND id = $2
        """,
        *key,
    )
    books.clinic = await connection.fetchrow(
        "SELECT id, slug, online_payment FROM clinics WHERE id = $1", key[0]
    )
    books.documents = await connection.fetch(
        "SELECT id, kind, number, issued_at FROM invoice_documents WHERE clinic_id = $1 AND invoice_id = $2",
        *key,
    )
    books.booked = await connection.fetch(
        """
        SELECT id, payment_id, kind, amount, currency, coalesce(claimed_at, booked_at) AS applied_at
        FROM movements LEFT JOIN inbox ON consumer = 'invoice' AND event_id = id
        WHERE clinic_id = $1 AND invoice_id = $2
        """,
        *key,
    )


async def _read_payments(connection: Any, key: Key, payment: Key | None, books: Books) -> None:
    books.payments = await connection.fetch(
        """
        SELECT id, status, amount, currency, kind, method_kind, method_brand, account,
            stripe_payment_intent_id AS intent, failure_code, declines, created_at, updated_at, succeeded_at,
            traceparent, (
                SELECT coalesce(sum(settled_amount), 0)::bigint FROM allocations
                WHERE allocations.clinic_id = payments.clinic_id AND payment_id = payments.id
            ) AS settled
        FROM payments WHERE clinic_id = $1 AND id IN (
            SELECT payment_id FROM allocations WHERE clinic_id = $1 AND payable_id = $2 UNION SELECT $3::uuid)
        """,
        *key,
        payment[1] if payment else None,
    )
    ids = [row["id"] for row in books.payments]
    of_payments = "WHERE clinic_id = $1 AND payment_id = ANY ($2)"
    books.failed_attempts = await connection.fetch(
        f"""
        SELECT payment_id, failed_at, code, charge, method_kind, method_brand, observed_by
        FROM failed_attempts {of_payments} ORDER BY failed_at
        """,
        key[0],
        ids,
    )
    books.entries = await connection.fetch(
        f"SELECT payment_id, effect, booked_at, observed_by FROM entries {of_payments}", key[0], ids
    )
    intents = [row["intent"] for row in books.payments if row["intent"]]
    books.events = await connection.fetch(f"{APPLIED} subject = ANY ($1)", intents)
    books.moved = await connection.fetch(
        f"SELECT id, payment_id, kind, amount, booked_at FROM movements {of_payments} AND payable_id = $3",
        key[0],
        ids,
        key[1],
    )
    books.refunds = await connection.fetch(
        f"""
        SELECT id, payment_id, status, amount, currency, failure_reason, created_at, updated_at, refunded_at,
            destination
        FROM refunds {of_payments}
        """,
        key[0],
        ids,
    )
    books.disputes = await connection.fetch(
        f"""
        SELECT id, payment_id, status, reason, amount, currency, opened_at, updated_at, due_by
        FROM disputes {of_payments}
        """,
        key[0],
        ids,
    )
    takes = await connection.fetchval("SELECT takes_payments FROM accounts WHERE clinic_id = $1", key[0])
    books.takes_payments = takes is not False
    read = await connection.fetchval("SELECT version FROM payables WHERE clinic_id = $1 AND id = $2", *key)
    books.read_by_payment = books.invoice is None or (read or 0) >= books.invoice["version"]


async def _read_mail(connection: Any, key: Key, books: Books) -> None:
    about = (*books.documents, *books.payments, *books.refunds, *books.disputes)
    books.deliveries = await connection.fetch(
        """
        SELECT template, subject_id, state, attempts, last_error, created_at, sent_at, failed_at FROM deliveries
        WHERE clinic_id = $1 AND subject_id = ANY ($2)
        """,
        key[0],
        [key[1], *(row["id"] for row in about)],
    )


async def _read_waiting(databases: Databases, key: Key, books: Books) -> None:
    ids = [str(key[1]), *(str(row["id"]) for row in (*books.payments, *books.refunds, *books.disputes))]
    parked, unsent = [], []
    for service in SERVICES:
        rows = await databases[service].fetch(
            """
            SELECT id, event_id, consumer, topic, reason, detail, state, parked_at, resolved_at FROM parked
            WHERE clinic_id = $1 AND aggregate_id = ANY ($2::uuid[])
            """,
            key[0],
            ids,
        )
        parked += [{**row, "service": service} for row in rows]
        rows = await databases[service].fetch(
            "SELECT aggregatetype AS topic, created_at FROM outbox WHERE aggregateid = ANY ($1)", ids
        )
        unsent += [{**row, "service": service} for row in rows]
    books.parked = [*parked, *await _parked_of_stripe(databases["payment"], books)]
    books.unsent = unsent


async def _parked_of_stripe(connection: Any, books: Books) -> list[Row]:
    """Events of Stripe's about these payments: their key is Stripe's id, which no column has."""
    intents = [row["intent"] for row in books.payments if row["intent"]]
    if not intents:
        return []
    rows = await connection.fetch(f"{PARKED} AND state = 'waiting'", intents)
    return [{**row, "service": "payment"} for row in rows]
