"""Where something personal of a client may be, in every service, and a check that nothing of it outlives an erasure.

A new column of texts fails `tests/service/test_personal_columns.py` until it is in one of the lists.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.ops.verify.databases import Databases
from deploy.ops.verify.report import MOST_ROWS, Breach, Result

NAME = "erased_clients_are_erased"
SAYS = "Of a client who is erased, no service keeps a name, an address, a contact, a login, a card or an id at Stripe"
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """A table whose rows of a client are blank, or gone, once the client is erased.

    owner   the column with the client's id
    left    holds for a row that still has something personal
    newer   holds for a row that came after the erasure (`gone_at`): the person is a client again
    """

    service: str
    table: str
    columns: tuple[str, ...]
    owner: str
    left: str
    newer: str


ERASED = (
    Kept(
        "payment",
        "customers",
        ("stripe_customer_id",),
        "client_id",
        "stripe_customer_id IS NOT NULL",
        """
        EXISTS (
            SELECT FROM payments AS p WHERE (p.clinic_id, p.client_id, p.account) = (clinic, client, held.account)
                AND p.created_at > gone_at
        ) OR EXISTS (
            SELECT FROM payment_methods AS m
            WHERE (m.clinic_id, m.client_id, m.account) = (clinic, client, held.account) AND m.created_at > gone_at
        )
        """,
    ),
    Kept(
        "payment",
        "payment_methods",
        ("stripe_payment_method_id", "brand", "last4", "exp_month", "exp_year", "fingerprint", "nickname"),
        "client_id",
        """
        stripe_payment_method_id NOT LIKE 'erased-%' OR nickname <> ''
        OR coalesce(brand, last4, exp_month::text, exp_year::text, fingerprint) IS NOT NULL
        """,
        "created_at > gone_at",
    ),
    Kept(
        "payment",
        "expiry_notices",
        ("card", "brand", "last4"),
        "client_id",
        "true",
        "published_at > gone_at",
    ),
    Kept(
        "notification",
        "contacts",
        ("email", "email_lower", "name", "language", "refused_reason"),
        "client_id",
        "true",
        "updated_at > gone_at",
    ),
    *(
        Kept("gateway", table, (), "client_id", "true", "gone_at > now() - interval '1 day'")
        for table in ("memberships", "invitations")
    ),
)
"""The event `client.erased` takes these with it; the gateway, which asks invoice, follows within the day."""

_PAYMENT_WAITS = """
    AND NOT EXISTS (
        SELECT FROM tasks WHERE (clinic_id, kind, state) = (gone.clinic, 'erase_client', 'due')
            AND payload->>'client_id' = gone.client::text
    )
"""
"""Its task is due still, and the alert about tasks that wait names it."""

BY_CONSTRAINT: Mapping[str, str] = {
    "invoice.clients": "name billing_address tax_number external_id metadata",
    "invoice.invoice_identities": "name billing_address tax_number insurer_reference metadata",
}
"""Invoice's own columns: its database takes no erased row that has something in them."""

WITH_THE_NAME: Mapping[str, str] = {
    "invoice.invoices": "note",
    "invoice.invoice_documents": "explanation",
    "payment.recorded_payments": "reference reversal_reason",
}
"""Texts that clinics write, which may name the client: they are erased in the same statement, or transaction."""

BY_TIME: Mapping[str, str] = {
    "invoice.idempotency_keys": "answer",
    "invoice.held_acts": "request preview",
    "payment.idempotency_keys": "answer",
    "payment.held_acts": "request preview",
    "payment.evidence": "texts",
    "payment.evidence_submissions": "texts",
    "notification.letters": "email path code",
    "notification.idempotency_keys": "answer",
    "gateway.login_steps": "email",
    "gateway.letters": "email path",
    "gateway.links": "email",
    "gateway.reset_requests": "email target",
    "gateway.sessions": "data",
    "gateway.idempotency_keys": "answer",
}
"""These go by time, as the rules of retention say."""

OF_PERSONS: Mapping[str, str] = {
    "gateway.logins": "email password_hash",
    "gateway.passkeys": "name credential_id public_key",
}
"""These are of a person, who may be a client of several clinics: they go with the login's last membership."""

OF_BOOKS: Mapping[str, str] = {
    "invoice.invoices": "summary external_id location",
    "invoice.invoice_lines": "service practitioner place",
    "invoice.invoice_payments": "method_brand method_last4",
    "invoice.movements": "method_brand method_last4",
    "payment.payments": "method_brand method_last4 stripe_customer_id",
    "payment.failed_attempts": "method_brand",
    "payment.movements": "method_brand method_last4",
    "payment.consents": "text",
}
"""The law wants these kept. They are of nobody once the name is erased: no row leads to a person any more."""


async def check(databases: Databases) -> Result:
    """Look for what is left of each erased client, a thousand at a time."""
    began, found = time.monotonic(), list[Breach]()
    cursor = await databases["invoice"].cursor(
        "SELECT clinic_id, id AS client_id, erased_at FROM clients WHERE erased_at IS NOT NULL ORDER BY 1, 2"
    )
    while len(found) < MOST_ROWS and (clients := await cursor.fetch(_AT_ONCE)):
        for kept in ERASED:
            rows = await _left(databases[kept.service], kept, clients)
            found += [Breach(NAME, {**row, "service": kept.service, "table": kept.table}) for row in rows]
    return Result(NAME, "all services", SAYS, tuple(found[:MOST_ROWS]), time.monotonic() - began)


async def _left(connection: Any, kept: Kept, clients: Sequence[Any]) -> Sequence[Any]:
    rows: Sequence[Any] = await connection.fetch(
        f"""
        SELECT DISTINCT clinic AS clinic_id, client AS client_id, gone_at AS erased_at
        FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS gone (clinic, client, gone_at)
        JOIN {kept.table} AS held ON (held.clinic_id, held.{kept.owner}) = (clinic, client)
        WHERE ({kept.left}) AND NOT ({kept.newer})
        {_PAYMENT_WAITS if kept.service == "payment" else ""}
        ORDER BY 1, 2 LIMIT {MOST_ROWS}
        """,
        [row["clinic_id"] for row in clients],
        [row["client_id"] for row in clients],
        [row["erased_at"] for row in clients],
    )
    return rows
