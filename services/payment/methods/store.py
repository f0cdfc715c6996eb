"""Clients at Stripe and their saved payment methods."""

from collections.abc import Collection
from dataclasses import astuple, fields
from uuid import UUID

import asyncpg

from services.chassis.db.database import Connection, Key
from services.payment.methods.domain import Customer, ExpiryNotice, SavedMethod

_METHOD = """
    m.clinic_id, m.id, m.client_id, m.account, m.stripe_payment_method_id AS stripe_id, m.kind, m.brand, m.last4,
    m.exp_month, m.exp_year, m.created_at, m.fingerprint, m.seen_at, m.doubtful
"""


_DETAILS = ("brand", "last4", "exp_month", "exp_year", "fingerprint")
_NEWER = "excluded.seen_at > held.seen_at"
_AS_NEW = "excluded.seen_at = held.seen_at AND excluded.last4 IS NOT NULL"
_NEWEST_DETAILS = ", ".join(
    f"{name} = CASE WHEN {_NEWER} THEN coalesce(excluded.{name}, held.{name})"
    f" ELSE coalesce(held.{name}, excluded.{name}) END"
    for name in _DETAILS
)

_WITHDRAW = """
    UPDATE consents SET withdrawn_at = app_now() FROM removed
    WHERE consents.clinic_id = removed.clinic_id AND consents.payment_method_id = removed.id AND withdrawn_at IS NULL
"""


async def claim_customer(tx: Connection, clinic_id: UUID, client_id: UUID, account: str) -> Customer:
    """The client's customer on the account. A new one has no Stripe id yet, but its idempotency key."""
    row = await tx.fetchrow(
        """
        INSERT INTO customers (clinic_id, client_id, account, idempotency_key) VALUES ($1, $2, $3, $4)
        ON CONFLICT (clinic_id, client_id, account) DO UPDATE SET account = excluded.account
        RETURNING clinic_id, client_id, account, idempotency_key, stripe_customer_id AS stripe_id
        """,
        clinic_id,
        client_id,
        account,
        f"customer-{clinic_id}-{client_id}-{account}",
    )
    assert row is not None
    return Customer(**row)


async def keep_customer(tx: Connection, customer: Customer, stripe_id: str) -> None:
    await tx.execute(
        """
        UPDATE customers SET stripe_customer_id = $4
        WHERE clinic_id = $1 AND client_id = $2 AND account = $3 AND stripe_customer_id IS NULL
        """,
        customer.clinic_id,
        customer.client_id,
        customer.account,
        stripe_id,
    )


async def renew_customer_key(tx: Connection, customer: Customer) -> None:
    """Replace the idempotency key of a customer that is not made yet; repeated with the old key it does nothing."""
    await tx.execute(
        """
        UPDATE customers SET idempotency_key = CASE
            WHEN length(idempotency_key) < 240 THEN idempotency_key || '-again'
            ELSE 'customer-' || md5(idempotency_key)
        END
        WHERE clinic_id = $1 AND client_id = $2 AND account = $3 AND stripe_customer_id IS NULL
            AND idempotency_key = $4
        """,
        customer.clinic_id,
        customer.client_id,
        customer.account,
        customer.idempotency_key,
    )


async def forget_customers(tx: Connection, gone: Collection[tuple[str, str]]) -> None:
    """Forget customers, by (account, Stripe id), with their methods. Each gets a new idempotency key."""
    await tx.execute(
        f"""
        WITH forgotten AS (
            UPDATE customers SET stripe_customer_id = NULL, default_method_id = NULL,
                idempotency_key = 'customer-' || gen_random_uuid()
            FROM unnest($1::text[], $2::text[]) AS gone (account, stripe_customer_id)
            WHERE customers.account = gone.account AND customers.stripe_customer_id = gone.stripe_customer_id
            RETURNING clinic_id, client_id, customers.account
        ), removed AS (
            UPDATE payment_methods AS m SET removed_at = app_now(), nickname = '' FROM forgotten
            WHERE (m.clinic_id, m.client_id, m.account)
                = (forgotten.clinic_id, forgotten.client_id, forgotten.account) AND m.removed_at IS NULL
            RETURNING m.clinic_id, m.id
        ) {_WITHDRAW}
        """,
        [account for account, _ in gone],
        [stripe_id for _, stripe_id in gone],
    )


async def find_clients(tx: Connection, customers: Collection[tuple[str, str]]) -> dict[tuple[str, str], Key]:
    """The (clinic, client) of each (account, Stripe customer) that we have."""
    rows = await tx.fetch(
        """
        SELECT account, stripe_customer_id, clinic_id, client_id
        FROM unnest($1::text[], $2::text[]) AS named (account, stripe_customer_id)
        JOIN customers USING (account, stripe_customer_id)
        """,
        [account for account, _ in customers],
        [customer for _, customer in customers],
    )
    return {(row["account"], row["stripe_customer_id"]): (row["clinic_id"], row["client_id"]) for row in rows}


async def lock_customers(tx: Connection, named: Collection[tuple[str, str]]) -> None:
    """Keep others from changing customers, by (account, Stripe id), and from adding methods of them."""
    await tx.execute(
        """
        SELECT client_id FROM customers
        WHERE (account, stripe_customer_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
        ORDER BY account, stripe_customer_id
        FOR UPDATE
        """,
        *zip(*sorted(named), strict=True),
    )


async def list_methods_of(tx: Connection, customers: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """The (account, Stripe id) of the methods of these customers, given by (account, Stripe id)."""
    rows = await tx.fetch(
        """
        SELECT m.account, m.stripe_payment_method_id
        FROM unnest($1::text[], $2::text[]) AS named (account, stripe_customer_id)
        JOIN customers AS c USING (account, stripe_customer_id)
        JOIN payment_methods AS m ON (m.clinic_id, m.client_id, m.account) = (c.clinic_id, c.client_id, c.account)
        WHERE m.removed_at IS NULL
        """,
        *zip(*sorted(customers), strict=True),
    )
    return {(row["account"], row["stripe_payment_method_id"]) for row in rows}


async def lock_methods(tx: Connection, named: Collection[tuple[str, str]]) -> None:
    """Keep others from changing methods, by (account, Stripe id), until the transaction ends."""
    await tx.execute(
        """
        SELECT id FROM payment_methods
        WHERE (account, stripe_payment_method_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
        ORDER BY account, stripe_payment_method_id
        FOR NO KEY UPDATE
        """,
        *zip(*sorted(named), strict=True),
    )


async def upsert_methods(tx: Connection, methods: Collection[SavedMethod]) -> None:
    """Upsert methods by (account, Stripe id). Newer details replace known ones; a removed method stays removed.

    Other details of the same second replace none: the row is in doubt until Stripe was asked.
    """
    rows = sorted(methods, key=lambda method: (method.account, method.stripe_id))
    await tx.execute(
        f"""
        INSERT INTO payment_methods AS held (clinic_id, id, client_id, account, stripe_payment_method_id, kind, brand,
            last4, exp_month, exp_year, created_at, fingerprint, seen_at, doubtful)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::text[], $9::smallint[], $10::smallint[], $11::timestamptz[], $12::text[], $13::timestamptz[],
            $14::boolean[])
        ON CONFLICT (account, stripe_payment_method_id) DO UPDATE
        SET {_NEWEST_DETAILS}, seen_at = greatest(held.seen_at, excluded.seen_at),
            doubtful = CASE WHEN {_NEWER} THEN excluded.doubtful
                ELSE held.doubtful OR ({_AS_NEW} AND (excluded.last4, excluded.exp_month, excluded.exp_year)
                    IS DISTINCT FROM (held.last4, held.exp_month, held.exp_year)) END
        """,
        *(list(column) for column in zip(*(astuple(method) for method in rows), strict=True)),
    )


async def remove_methods(tx: Connection, named: Collection[tuple[str, str]]) -> None:
    """Mark methods, by (account, Stripe id), as no longer usable: the consents to charge them end."""
    await tx.execute(
        f"""
        WITH removed AS (
            UPDATE payment_methods SET removed_at = app_now(), nickname = ''
            FROM unnest($1::text[], $2::text[]) AS gone (account, stripe_payment_method_id)
            WHERE payment_methods.account = gone.account AND removed_at IS NULL
                AND payment_methods.stripe_payment_method_id = gone.stripe_payment_method_id
            RETURNING clinic_id, id
        ) {_WITHDRAW}
        """,
        [account for account, _ in named],
        [stripe_id for _, stripe_id in named],
    )


async def get_method(tx: Connection, client_id: UUID, method_id: UUID) -> SavedMethod | None:
    """A method of the client that is not removed."""
    row = await tx.fetchrow(
        f"SELECT {_METHOD} FROM payment_methods AS m WHERE id = $1 AND client_id = $2 AND removed_at IS NULL",
        method_id,
        client_id,
    )
    return None if row is None else SavedMethod(**row)


async def list_methods(
    tx: Connection, client_id: UUID, account: str
) -> tuple[list[SavedMethod], UUID | None, dict[UUID, str]]:
    """The client's methods on the account that can be shown, the id of the chosen one, and their nicknames."""
    rows = await tx.fetch(
        f"""
        SELECT {_METHOD}, c.default_method_id AS chosen, m.nickname
        FROM payment_methods AS m JOIN customers AS c USING (clinic_id, client_id, account)
        WHERE m.client_id = $1 AND m.account = $2 AND m.removed_at IS NULL AND (m.kind <> 'card' OR m.last4 IS NOT NULL)
        """,
        client_id,
        account,
    )
    nicknames = {row["id"]: row["nickname"] for row in rows}
    return [_method(row) for row in rows], rows[0]["chosen"] if rows else None, nicknames


async def get_customer_with_methods(
    tx: Connection, client_id: UUID, account: str
) -> tuple[str, set[str]] | None:
    """The client's Stripe customer and its methods' Stripe ids; None for a client who has no method."""
    row = await tx.fetchrow(
        """
        SELECT c.stripe_customer_id, array_agg(m.stripe_payment_method_id)
        FROM customers AS c JOIN payment_methods AS m USING (clinic_id, client_id, account)
        WHERE c.client_id = $1 AND c.account = $2 AND m.removed_at IS NULL AND c.stripe_customer_id IS NOT NULL
        GROUP BY c.stripe_customer_id
        """,
        client_id,
        account,
    )
    return None if row is None else (row[0], set(row[1]))


async def list_same(tx: Connection, method: SavedMethod) -> list[SavedMethod]:
    """The method, and the client's others of the same card."""
    rows = await tx.fetch(
        f"""
        SELECT {_METHOD} FROM payment_methods AS m
        WHERE client_id = $1 AND account = $2 AND (id = $3 OR fingerprint = $4) AND removed_at IS NULL
        """,
        method.client_id,
        method.account,
        method.id,
        method.fingerprint,
    )
    return [SavedMethod(**row) for row in rows]


async def claim_undetailed(tx: Connection, limit: int) -> list[SavedMethod]:
    """Saved cards without details, or in doubt, that are due to be asked for at Stripe; marked as asked now.

    Each is asked for at once, and then at the latest after a tenth of its age, so that none holds up another.
    """
    rows = await tx.fetch(
        f"""
        WITH due AS (
            SELECT clinic_id, id FROM payment_methods
            WHERE kind = 'card' AND removed_at IS NULL AND (last4 IS NULL OR fingerprint IS NULL OR doubtful)
                AND checked_at < app_now() - greatest(interval '1 minute', (app_now() - created_at) / 10)
            ORDER BY checked_at LIMIT $1
            FOR UPDATE SKIP LOCKED
        )
        UPDATE payment_methods AS m SET checked_at = app_now() FROM due
        WHERE (m.clinic_id, m.id) = (due.clinic_id, due.id)
        RETURNING {_METHOD}
        """,
        limit,
    )
    return [SavedMethod(**row) for row in rows]


async def list_expiring(
    tx: Connection, months: Collection[tuple[int, int]], after: Key, limit: int
) -> list[SavedMethod]:
    """Saved cards of these (year, month) of expiry, in order of (clinic, id) from after `after`.

    Left out are cards whose clients were told, and cards that could not be charged now: clinic, account or card.
    """
    rows = await tx.fetch(
        f"""
        SELECT {_METHOD} FROM payment_methods AS m
        JOIN clinics AS c USING (clinic_id)
        LEFT JOIN accounts AS chosen USING (clinic_id)
        LEFT JOIN account_states AS s ON s.account = m.account
        WHERE m.kind = 'card' AND m.removed_at IS NULL AND m.last4 IS NOT NULL
            AND (m.exp_year, m.exp_month) IN (SELECT * FROM unnest($1::smallint[], $2::smallint[]))
            AND m.account = coalesce(chosen.stripe_account_id, '') AND s.problem IS NULL
            AND c.online_payment AND 'card' = ANY (c.methods)
            AND (m.clinic_id, m.id) > ($3, $4)
            AND NOT EXISTS (
                SELECT FROM expiry_notices AS n
                WHERE (n.clinic_id, n.client_id, n.account) = (m.clinic_id, m.client_id, m.account)
                    AND n.card = coalesce(m.fingerprint, m.stripe_payment_method_id)
                    AND n.expires_on >= make_date(m.exp_year, m.exp_month, 1)
            )
        ORDER BY m.clinic_id, m.id LIMIT $5
        """,
        [year for year, _ in months],
        [month for _, month in months],
        *after,
        limit,
    )
    return [SavedMethod(**row) for row in rows]


async def add_notice(tx: Connection, notice: ExpiryNotice) -> bool:
    """Keep the notice; False if the card and month had one."""
    added = await tx.fetchval(
        f"""
        INSERT INTO expiry_notices ({", ".join(each.name for each in fields(ExpiryNotice))})
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING true
        """,
        *astuple(notice),
    )
    return bool(added)


async def set_default(tx: Connection, method: SavedMethod) -> None:
    await tx.execute(
        """
        UPDATE customers SET default_method_id = $4
        WHERE clinic_id = $1 AND client_id = $2 AND account = $3
        """,
        method.clinic_id,
        method.client_id,
        method.account,
        method.id,
    )


async def set_nickname(tx: Connection, methods: Collection[SavedMethod], nickname: str) -> None:
    """Give methods, which are one card, the same nickname."""
    await tx.execute(
        """
        UPDATE payment_methods SET nickname = $3
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND removed_at IS NULL
        """,
        [method.clinic_id for method in methods],
        [method.id for method in methods],
        nickname,
    )


def _method(row: asyncpg.Record) -> SavedMethod:
    return SavedMethod(**{name: value for name, value in row.items() if name not in ("chosen", "nickname")})
