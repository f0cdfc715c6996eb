"""Invoices that wait for Stripe's word, written straight into the databases: each with a live payment of its own.

They are numbered from 1: `Live(7)` names everything about the seventh, in Python as in SQL.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

from deploy.ops import database
from tests.bench.installation import Bench
from tests.bench.verify.population import populate, tidy

CLINICS = 100
CLIENTS = 5_000
"""A multiple of `CLINICS`: each client is one clinic's."""
AMOUNT = 12_500
CURRENCY = "EUR"
MOST_AT_ONCE = 100_000
Rows: TypeAlias = Mapping[str, tuple[str, ...]]
"""Statements by service."""

_ID = "('0199{kind}000-0000-7000-8000-' || lpad(to_hex({n}), 12, '0'))::uuid"
_KINDS = {
    "invoice": ("a", "n"),
    "payment": ("b", "n"),
    "notice": ("e", "n"),
    "client": ("c", f"n % {CLIENTS}"),
}
_KINDS |= {"clinic": ("d", f"n % {CLINICS}")}
_WORDS = {name: _ID.format(kind=kind, n=n) for name, (kind, n) in _KINDS.items()}
_WORDS |= {
    "all": "generate_series({first}, {last}) AS n",
    "clients": f"generate_series(0, {CLIENTS - 1}) AS n",
    "clinics": f"generate_series(0, {CLINICS - 1}) AS n",
    "intent": "('pi_3Bench' || lpad(n::text, 18, '0'))",
    "number": f"('2026-' || lpad(((n - 1) / {CLINICS} + 1)::text, 6, '0'))",
    "amount": str(AMOUNT),
    "currency": f"'{CURRENCY}'",
}

PEOPLE: Rows = {
    "invoice": (
        """
        INSERT INTO clinics SELECT {clinic}, 'bench-' || n, 'Clinic', {currency}, 'UTC', 'en-IE', true, true,
            ARRAY['card'], '{{"phone": "", "email": "", "address": "", "hours": ""}}', '#0b6e6e', '[]' FROM {clinics}
        """,
        "INSERT INTO clients SELECT {clinic}, {client}, 'Client', '{{}}' FROM {clients}",
    ),
    "payment": ("INSERT INTO clinics SELECT {clinic}, 1, true, ARRAY['card'], {currency} FROM {clinics}",),
    "notification": (
        """
        INSERT INTO clinics SELECT {clinic}, 'bench-' || n, 'Clinic', 'en-IE', 'UTC', '#0b6e6e', true, true,
            '', '', '', '', 1 FROM {clinics}
        """,
        """
        INSERT INTO contacts SELECT {clinic}, {client}, 'client' || n || '@example.com', 'Client', 'en'
        FROM {clients}
        """,
    ),
}

LIVE: Rows = {
    "invoice": (
        """
        INSERT INTO invoice_counters AS held SELECT {clinic}, 2026, count(*) FROM {all} GROUP BY 1
        ON CONFLICT (clinic_id, year) DO UPDATE SET last_number = held.last_number + excluded.last_number
        """,
        """
        INSERT INTO invoices SELECT {clinic}, {invoice}, {client}, {number}, 'unpaid', {currency}, {amount}, 0,
            {amount}, 0, 0, current_date, current_date + 30, 'Visit', '', NULL, 1, now(), now(),
            false, 0, '{{"name": "Clinic"}}', 'en-IE', 'UTC' FROM {all}
        """,
        "INSERT INTO invoice_identities SELECT {clinic}, {invoice}, 'Client', '{{}}' FROM {all}",
        """
        INSERT INTO invoice_lines SELECT {clinic}, {invoice}, 1, 'Visit', 'Dr', NULL, NULL, 1, {amount}, {amount},
            'X', 'X', 0, 0 FROM {all}
        """,
    ),
    "payment": (
        """
        INSERT INTO payables SELECT {clinic}, {invoice}, {client}, 1, {amount}, 0, {currency}, 'unpaid',
            current_date + 30 FROM {all}
        """,
        # Checked tomorrow: Stripe's sandbox knows nothing of these, so the sweeper must not ask about them.
        """
        INSERT INTO payments (clinic_id, id, client_id, account, livemode, status, amount, currency, kind, save,
            idempotency_key, stripe_payment_intent_id, created_at, updated_at, checked_at)
        SELECT {clinic}, {payment}, {client}, '', false, 'created', {amount}, {currency}, 'card', false,
            'payment-' || {payment}, {intent}, now(), now(), now() + interval '1 day' FROM {all}
        """,
        "INSERT INTO allocations SELECT {clinic}, {payment}, {invoice}, {amount}, 0, 'open' FROM {all}",
    ),
    "notification": (
        """
        INSERT INTO invoices SELECT {clinic}, {invoice}, {client}, {number}, 'unpaid', {amount}, {currency},
            current_date + 30, 1 FROM {all}
        """,
        """
        INSERT INTO deliveries (clinic_id, id, client_id, template, event_id, subject_id, facts, created_at, state,
            attempts, sent_at)
        SELECT {clinic}, {notice}, {client}, 'invoice_ready', {notice}, {invoice}, '{{}}', now(), 'sent', 1, now()
        FROM {all}
        """,
        "INSERT INTO inbox SELECT 'notification', {notice} FROM {all}",
    ),
}


@dataclass(frozen=True, slots=True)
class Live:
    """The ids of one seeded invoice and its payment."""

    n: int

    @property
    def invoice_id(self) -> UUID:
        return _uuid("a", self.n)

    @property
    def payment_id(self) -> UUID:
        return _uuid("b", self.n)

    @property
    def client_id(self) -> UUID:
        return _uuid("c", self.n % CLIENTS)

    @property
    def clinic_id(self) -> UUID:
        return _uuid("d", self.n % CLINICS)

    @property
    def intent_id(self) -> str:
        return f"pi_3Bench{self.n:018}"


def _uuid(kind: str, n: int) -> UUID:
    return UUID(f"0199{kind}000-0000-7000-8000-{n:012x}")


async def add_live(bench: Bench, count: int) -> range:
    """Add this many unpaid invoices with live payments to the databases; returns their numbers."""
    if not bench.seeded:
        await _fill(bench, PEOPLE, 1, 1)
    first, last = bench.seeded + 1, bench.seeded + count
    for begin in range(first, last + 1, MOST_AT_ONCE):
        await _fill(bench, LIVE, begin, min(begin + MOST_AT_ONCE - 1, last))
    bench.seeded = last
    return range(first, last + 1)


async def _fill(bench: Bench, rows: Rows, first: int, last: int) -> None:
    await asyncio.gather(*(_fill_one(bench, service, rows[service], first, last) for service in rows))


async def _fill_one(bench: Bench, service: str, statements: tuple[str, ...], first: int, last: int) -> None:
    async with bench.admin(service) as admin:
        await fill(admin, statements, first, last)
        await tidy(admin)


async def fill(admin: Any, statements: tuple[str, ...], first: int, last: int) -> None:
    """Run a service's statements of `PEOPLE` or `LIVE` for these numbers, on a superuser's connection."""
    words = _WORDS | {"all": _WORDS["all"].format(first=first, last=last)}
    # Without foreign keys' and other triggers: what is written fits together by construction.
    await admin.execute("SET session_replication_role = replica")
    for statement in statements:
        await admin.execute(statement.format(**words))
    await admin.execute("RESET session_replication_role")


async def add_history(bench: Bench, count: int) -> None:
    """Bring the databases to this many older invoices, nine of ten paid; existing ones stay."""
    if count > bench.history:
        admins = {service: bench.admin_dsn(service) for service in database.SERVICES}
        await populate(admins, count, bench.history)
        bench.history = count
