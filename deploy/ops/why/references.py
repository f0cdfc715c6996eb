"""The invoices and payments that a reference names, whichever of ours or Stripe's it is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.chassis.ids import Key

SERVICES = ("invoice", "payment", "notification")
Row = Mapping[str, Any]
Databases = dict[str, Any]
"""A connection to the database of each of these services, by its name."""

_RECEIPT = re.compile(r"^R-[0-9A-F]{10}$", re.IGNORECASE)
_TRACE = re.compile(r"^[0-9a-f]{32}$")
_EVENT = re.compile(r"^evt_\w{1,100}$")
_STRIPE = re.compile(r"^(pi|ch|py|re|pyr|du|dp)_\w{1,100}$")
LONGEST = 200
"""No reference has more letters."""
MOST = 10
"""The most journeys of one answer, such as for a client's id: the newest."""

# Indexes begin with the clinic, or with the account, of which an installation has hundreds.
_INVOICES = (
    "SELECT found.clinic_id, found.id FROM clinics JOIN invoices AS found ON found.clinic_id = clinics.id"
)
_PAYMENTS = "SELECT found.clinic_id, found.id FROM clinics JOIN payments AS found USING (clinic_id)"
_OF_INTENT = """
    SELECT found.clinic_id, found.id
    FROM (SELECT stripe_account_id FROM account_choices UNION SELECT account FROM account_states UNION SELECT '')
        AS accounts (account)
    JOIN payments AS found ON found.account = accounts.account AND found.stripe_payment_intent_id = $1
"""
_OF_CHARGE = """
    SELECT clinic_id, payment_id FROM clinics JOIN entries USING (clinic_id) WHERE stripe_object_id = $1
    UNION SELECT clinic_id, payment_id FROM clinics JOIN disputes USING (clinic_id)
        WHERE charge_id = $1 OR stripe_dispute_id = $1
    UNION SELECT clinic_id, payment_id FROM clinics JOIN refunds USING (clinic_id) WHERE stripe_refund_id = $1
    UNION SELECT clinic_id, payment_id FROM clinics JOIN failed_attempts USING (clinic_id) WHERE charge = $1
    UNION SELECT clinic_id, id FROM payments WHERE declined_charge = $1
"""
_OF_TRACE = """
    SELECT clinic_id, id FROM payments WHERE traceparent LIKE '00-' || $1 || '-%'
    UNION SELECT clinic_id, payment_id FROM refunds WHERE traceparent LIKE '00-' || $1 || '-%'
    UNION SELECT payments.clinic_id, id FROM audit
        JOIN payments ON (payments.clinic_id, id) = (audit.clinic_id, subject_id) WHERE trace_id = $1
"""

APPLIED = """
    SELECT source_id AS id, source_type AS type, subject, coalesce(received_at, claimed_at) AS received_at,
        claimed_at AS applied_at
    FROM inbox WHERE consumer = 'payment-stripe' AND
"""
"""Stripe's events that were applied in the last 30 days, by a condition that follows."""
PARKED = """
    SELECT id, consumer, topic, reason, detail, state, parked_at, resolved_at, encode(key, 'escape') AS subject
    FROM parked
    WHERE topic = 'stripe.event' AND EXISTS (
        SELECT FROM unnest($1::text[]) AS named WHERE position(convert_to('"' || named || '"', 'UTF8') IN value) > 0)
"""
"""Stripe's events that were parked and have one of these ids in them: no column has it."""


@dataclass
class Found:
    """The invoices that a reference names, payments that are for none of them, such as a deposit, and Stripe's events
    that are about no payment.
    """

    invoices: list[Key] = field(default_factory=list)
    payments: list[Key] = field(default_factory=list)
    applied: list[Row] = field(default_factory=list)
    parked: list[Row] = field(default_factory=list)


def nothing_known(reference: str) -> str:
    """The advice where a reference names nothing."""
    if _EVENT.match(reference.strip()):
        return (
            "No part acted on this event of Stripe's in the last 30 days. Payment's logs have its id in a line "
            "webhook_ignored or webhook_signature_wrong; else it never came: the endpoint's page at Stripe says why."
        )
    return (
        "Give the number of an invoice, a credit note or a receipt, an id of ours or of Stripe's (pi_…, ch_…, re_…, "
        "du_…, evt_…), a trace's or request's id, or a client's id."
    )


async def find(databases: Databases, reference: str) -> Found:
    """The newest first, at most `MOST` of each."""
    if not reference.isprintable() or len(reference) > LONGEST:
        return Found()
    if _EVENT.match(reference):
        return await _of_event(databases["payment"], reference)
    payments = await _payments(databases["payment"], reference)
    invoices = await _invoices(databases["invoice"], reference)
    return await _journeys(databases["payment"], invoices, payments)


async def _journeys(connection: Any, invoices: list[Key], payments: list[Key]) -> Found:
    """These invoices and those of the payments, and the payments that have none."""
    of_payments = await _invoices_of(connection, payments)
    paying = {key for keys in of_payments.values() for key in keys}
    alone = [key for key in payments if not of_payments.get(key)]
    return Found(
        sorted({*invoices, *paying}, key=lambda key: key[1], reverse=True)[:MOST],
        sorted(set(alone), key=lambda key: key[1], reverse=True)[:MOST],
    )


async def _of_event(connection: Any, event_id: str) -> Found:
    """The invoices or payments of an event of Stripe's; the event itself where it is about none."""
    applied = await connection.fetch(f"{APPLIED} source_id = $1", event_id)
    parked = await connection.fetch(PARKED, [event_id])
    subjects = {row["subject"] for row in (*applied, *parked) if row["subject"]}
    payments = [key for subject in subjects for key in await _payments(connection, subject)]
    if payments:
        return await _journeys(connection, [], payments)
    return Found(applied=applied, parked=[{**row, "event": event_id, "service": "payment"} for row in parked])


async def _invoices(connection: Any, reference: str) -> list[Key]:
    if (named := _uuid(reference)) is not None:
        rows = await connection.fetch(f"{_INVOICES} WHERE found.id = $1", named)
        rows += await connection.fetch(
            f"{_INVOICES} WHERE found.client_id = $1 ORDER BY found.id DESC LIMIT {MOST}", named
        )
    elif _TRACE.match(reference):
        rows = await connection.fetch(
            """
            SELECT invoices.clinic_id, id FROM audit
            JOIN invoices ON (invoices.clinic_id, id) = (audit.clinic_id, subject_id) WHERE trace_id = $1
            """,
            reference,
        )
    else:
        rows = await connection.fetch(f"{_INVOICES} WHERE $1 IN (found.number, found.external_id)", reference)
        rows += await connection.fetch(
            f"""
            {_INVOICES} JOIN clients ON (clients.clinic_id, clients.id) = (found.clinic_id, found.client_id)
            WHERE clients.external_id = $1 ORDER BY found.id DESC LIMIT {MOST}
            """,
            reference,
        )
        rows += await connection.fetch(
            """
            SELECT found.clinic_id, found.invoice_id AS id FROM clinics
            JOIN invoice_documents AS found ON found.clinic_id = clinics.id AND found.number = $1
            """,
            reference,
        )
    return [(row["clinic_id"], row["id"]) for row in rows]


async def _payments(connection: Any, reference: str) -> list[Key]:
    if (named := _uuid(reference)) is not None:
        query = f"""
            {_PAYMENTS} WHERE found.id = $1
            UNION SELECT clinic_id, payment_id FROM clinics JOIN refunds USING (clinic_id) WHERE refunds.id = $1
            UNION SELECT clinic_id, payment_id FROM clinics JOIN disputes USING (clinic_id) WHERE disputes.id = $1
        """
        rows = await connection.fetch(query, named)
    elif _RECEIPT.match(reference):
        ending = reference[2:].lower()
        rows = await connection.fetch(f"{_PAYMENTS} WHERE right(found.id::text, 10) = $1", ending)
    elif _TRACE.match(reference):
        rows = await connection.fetch(_OF_TRACE, reference)
    elif reference.startswith("pi_"):
        rows = await connection.fetch(_OF_INTENT, reference)
    elif _STRIPE.match(reference):
        rows = await connection.fetch(_OF_CHARGE, reference)
    else:
        return []
    return [tuple(row.values()) for row in rows]


async def _invoices_of(connection: Any, payments: list[Key]) -> dict[Key, list[Key]]:
    rows = await connection.fetch(
        """
        SELECT clinic_id, payment_id, payable_id FROM allocations
        WHERE (clinic_id, payment_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        """,
        [clinic for clinic, _ in payments],
        [payment for _, payment in payments],
    )
    found: dict[Key, list[Key]] = {}
    for row in rows:
        found.setdefault((row["clinic_id"], row["payment_id"]), []).append(
            (row["clinic_id"], row["payable_id"])
        )
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) == 36 else None
    except ValueError:
        return None
