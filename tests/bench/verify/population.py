"""Rows of an installation of any size, made with SQL: nine invoices of ten are paid, each by a payment of its own.

One payment in five was in cash or has a second movement: `second_movements`.
"""

import asyncio
from collections.abc import Mapping, Sequence

import asyncpg

from tests.bench.verify import second_movements

CLINICS = 100
_ID = "('01930000-0000-7000-8000-{}' || lpad(to_hex(n), 11, '0'))::uuid"
_CLINIC = f"('01920000-0000-7000-8000-000000000' || lpad(to_hex(n % {CLINICS}), 3, '0'))::uuid"
_N = {
    "i": _ID.format("1"),
    "c": _ID.format("2"),
    "p": _ID.format("3"),
    "m": _ID.format("4"),
    "e": _ID.format("5"),
}
_N |= {"d": _ID.format("6"), "r": _ID.format("7"), "clinic": _CLINIC, "at": "now() - interval '1 day'"}
_N |= {
    name: _ID.format(digit)
    for name, digit in zip(("f", "m2", "e2", "e3", "k", "g", "l"), "89abcde", strict=True)
}
_N |= {"number": f"'2026-' || lpad(((n - 1) / {CLINICS} + 1)::text, 6, '0')"}
_PAID = "n % 10 <> 0"
_ALL, _CLINIC_ROWS = "generate_series({first}, {last}) AS n", f"generate_series(0, {CLINICS - 1}) AS n"

ROWS = {
    "invoice": (
        """
        INSERT INTO clinics SELECT {clinic}, 'clinic-' || n, 'Clinic', 'EUR', 'UTC', 'en-IE', true, true,
            ARRAY['card'], '{{"phone": "", "email": "", "address": "", "hours": ""}}', '#0b6e6e', '[]' FROM {clinics}
        ON CONFLICT DO NOTHING
        """,
        "INSERT INTO clients SELECT {clinic}, {c}, 'Client', '{{}}' FROM {all}",
        """
        INSERT INTO invoice_counters AS held SELECT {clinic}, 2026, count(*) FROM {all} GROUP BY 1
        ON CONFLICT (clinic_id, year) DO UPDATE SET last_number = held.last_number + excluded.last_number
        """,
        """
        INSERT INTO invoices SELECT {clinic}, {i}, {c},
            {number},
            CASE WHEN {paid} THEN 'paid' ELSE 'unpaid' END, 'EUR', 100, 0, 100,
            CASE WHEN {paid} THEN 100 ELSE 0 END, 0, '2026-01-01', '2026-02-01', 'Visit', '',
            CASE WHEN {paid} THEN {at} END, CASE WHEN {paid} THEN 2 ELSE 1 END, {at}, {at},
            false, 0, '{{"name": "Clinic"}}', 'en-IE', 'UTC' FROM {all}
        """,
        "INSERT INTO invoice_identities SELECT {clinic}, {i}, 'Client', '{{}}' FROM {all}",
        """
        INSERT INTO invoice_lines SELECT {clinic}, {i}, 1, 'Visit', 'Dr', NULL, NULL, 1, 100, 100, 'X', 'X', 0, 0
        FROM {all}
        """,
        """
        INSERT INTO movements SELECT {clinic}, {m}, {i}, {p}, 'payment', 100, 'EUR', 'card', 'visa', '4242', {at}
        FROM {all} WHERE {paid}
        """,
        "INSERT INTO invoice_payments SELECT {clinic}, {i}, {p}, 'settled', 0 FROM {all} WHERE {paid}",
        "INSERT INTO inbox SELECT 'invoice', {m} FROM {all} WHERE {paid}",
    ),
    "payment": (
        "INSERT INTO clinics SELECT {clinic}, 1, true, ARRAY['card'], 'EUR' FROM {clinics} ON CONFLICT DO NOTHING",
        """
        INSERT INTO payables SELECT {clinic}, {i}, {c}, CASE WHEN {paid} THEN 2 ELSE 1 END, 100,
            CASE WHEN {paid} THEN 100 ELSE 0 END, 'EUR', CASE WHEN {paid} THEN 'paid' ELSE 'unpaid' END, '2026-02-01'
        FROM {all}
        """,
        """
        INSERT INTO payments (clinic_id, id, client_id, account, livemode, status, version, amount, currency, kind,
            save, idempotency_key, stripe_payment_intent_id, created_at, updated_at, succeeded_at, checked_at,
            method_kind, method_brand, method_last4)
        SELECT {clinic}, {p}, {c}, '', false, 'succeeded', 1, 100, 'EUR', 'card', false, 'k' || n, 'pi_' || n,
            {at}, {at}, {at}, {at}, 'card', 'visa', '4242' FROM {all} WHERE {paid}
        """,
        "INSERT INTO allocations SELECT {clinic}, {p}, {i}, 100, 100, 'settled' FROM {all} WHERE {paid}",
        "INSERT INTO entries SELECT {clinic}, {e}, {p}, 'pi_' || n, 'capture', {at} FROM {all} WHERE {paid}",
        """
        INSERT INTO inbox (consumer, event_id, source_id, source_type, subject)
        SELECT 'payment-stripe', {e}, 'evt_' || n, 'payment_intent.succeeded', 'pi_' || n FROM {all} WHERE {paid}
        """,
        """
        INSERT INTO postings
        SELECT {clinic}, {e}, side, CASE side WHEN 0 THEN 'stripe' ELSE 'receivable' END, NULL,
            CASE side WHEN 1 THEN {i} END, CASE side WHEN 0 THEN 100 ELSE -100 END, 'EUR'
        FROM {all}, generate_series(0, 1) AS side WHERE {paid}
        """,
        """
        INSERT INTO movements SELECT {clinic}, {m}, {p}, {i}, 'payment', 100, 'EUR', 'card', 'visa', '4242', {at}
        FROM {all} WHERE {paid}
        """,
    ),
    "notification": (
        """
        INSERT INTO clinics SELECT {clinic}, 'clinic-' || n, 'Clinic', 'en-IE', 'UTC', '#0b6e6e', true, true,
            '', '', '', '', 1 FROM {clinics}
        ON CONFLICT DO NOTHING
        """,
        """
        INSERT INTO invoices SELECT {clinic}, {i}, {c},
            {number},
            CASE WHEN {paid} THEN 'paid' ELSE 'unpaid' END, CASE WHEN {paid} THEN 0 ELSE 100 END, 'EUR',
            '2026-02-01', CASE WHEN {paid} THEN 2 ELSE 1 END FROM {all}
        """,
        """
        INSERT INTO deliveries (clinic_id, id, client_id, template, event_id, subject_id, facts, created_at,
            state, attempts, sent_at)
        SELECT {clinic}, {d}, {c}, 'invoice_ready', {d}, {i}, '{{}}', {at}, 'sent', 1, {at} FROM {all}
        """,
        """
        INSERT INTO deliveries (clinic_id, id, client_id, template, event_id, subject_id, facts, created_at,
            state, attempts, sent_at)
        SELECT {clinic}, {r}, {c}, 'receipt', {r}, {p}, '{{}}', {at}, 'sent', 1, {at} FROM {all} WHERE {paid}
        """,
        "INSERT INTO inbox SELECT 'notification', {d} FROM {all}",
        "INSERT INTO inbox SELECT 'notification', {r} FROM {all} WHERE {paid}",
    ),
    "gateway": (
        "INSERT INTO portals SELECT {clinic}, 'clinic-' || n FROM {clinics} ON CONFLICT DO NOTHING",
        "INSERT INTO memberships SELECT {clinic}, {d}, {c}, 'client', true FROM {all} WHERE {paid}",
    ),
}


async def populate(admins: Mapping[str, str], count: int, held: int = 0) -> None:
    """Fill the databases up to this many invoices, and what belongs to them.

    admins  a superuser's DSN by service name
    held    how many they have from earlier calls
    """
    rows = {service: (*ROWS[service], *second_movements.ROWS.get(service, ())) for service in admins}
    await asyncio.gather(*(_fill(dsn, rows[service], held + 1, count) for service, dsn in admins.items()))


async def _fill(admin_dsn: str, rows: Sequence[str], first: int, last: int) -> None:
    admin = await asyncpg.connect(admin_dsn)
    await admin.execute("SET session_replication_role = replica")
    for sql in rows:
        words = {**_N, "paid": _PAID, "all": _ALL.format(first=first, last=last), "clinics": _CLINIC_ROWS}
        more = {name: text.format(**_N) for name, text in second_movements.WORDS.items()}
        await admin.execute(sql.format(**words, **more))
    await tidy(admin)
    await admin.close()


async def tidy(admin: asyncpg.Connection) -> None:
    """Leave neither stale statistics nor unwritten pages to what is measured next.

    Empty tables are left alone: of one that was vacuumed when it was empty PostgreSQL believes that it stays so, and
    who is connected keeps plans that read it whole, however large it has become.
    """
    await admin.execute("SELECT pg_stat_force_next_flush()")
    tables = await admin.fetch(
        "SELECT relname FROM pg_stat_user_tables WHERE n_live_tup > 0 AND relname <> 'outbox'"
    )
    for table in tables:
        await admin.execute(f"VACUUM ANALYZE {table['relname']}")
    await admin.execute("CHECKPOINT")
