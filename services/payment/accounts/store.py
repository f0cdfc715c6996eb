"""The operator's choice of a Stripe account for each clinic, and what each account can do."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import asyncpg

from services.chassis.db.database import Connection
from services.payment.accounts.domain import NONE, AccountInUse, AccountState, ClinicAccount

_STATE = "account, problem, disabled_reason, ways, seen_at"


async def get_account(tx: Connection, clinic_id: UUID) -> ClinicAccount:
    """The operator's choice of a Stripe account for the clinic."""
    row = await tx.fetchrow(
        "SELECT stripe_account_id, platform FROM accounts WHERE clinic_id = $1", clinic_id
    )
    return NONE if row is None else ClinicAccount(row["stripe_account_id"], row["platform"])


async def get_account_and_state(tx: Connection, clinic_id: UUID) -> tuple[ClinicAccount, AccountState]:
    """The operator's choice for the clinic, and what the account that it is charged on can do."""
    row = await tx.fetchrow(
        f"""
        SELECT a.stripe_account_id, a.platform, {_STATE}
        FROM (SELECT $1::uuid AS clinic_id) AS asked LEFT JOIN accounts AS a USING (clinic_id)
        LEFT JOIN account_states ON account = coalesce(a.stripe_account_id, '')
        """,
        clinic_id,
    )
    assert row is not None
    chosen = ClinicAccount(row["stripe_account_id"], bool(row["platform"]))
    return chosen, _state(row) if row["account"] is not None else AccountState(account=chosen.account)


async def lock_account(tx: Connection, clinic_id: UUID) -> None:
    """Keep others from changing the clinic's choice."""
    await tx.execute("SELECT clinic_id FROM accounts WHERE clinic_id = $1 FOR UPDATE", clinic_id)


async def put_account(tx: Connection, clinic_id: UUID, chosen: ClinicAccount) -> ClinicAccount | None:
    """Keep the choice; answers with the one before, None when there was none. Raises `AccountInUse`."""
    try:
        row = await tx.fetchrow(
            """
            INSERT INTO accounts (clinic_id, stripe_account_id, platform) VALUES ($1, $2, $3)
            ON CONFLICT (clinic_id) DO UPDATE
            SET stripe_account_id = excluded.stripe_account_id, platform = excluded.platform
            RETURNING old.clinic_id, old.stripe_account_id, old.platform
            """,
            clinic_id,
            chosen.own,
            chosen.platform,
        )
    except asyncpg.UniqueViolationError:
        raise AccountInUse("Another clinic has this Stripe account.") from None
    assert row is not None, "it was written"
    return ClinicAccount(row["stripe_account_id"], row["platform"]) if row["clinic_id"] else None


async def add_state(tx: Connection, account: str) -> None:
    """The row of an account, if it has none yet: Stripe is asked about a new one at once."""
    await tx.execute("INSERT INTO account_states (account) VALUES ($1) ON CONFLICT DO NOTHING", account)


async def lock_states(tx: Connection, accounts: Collection[str]) -> dict[str, AccountState]:
    """The states of these accounts, as far as a clinic is charged on them. Others wait to change them."""
    rows = await tx.fetch(
        f"SELECT {_STATE} FROM account_states WHERE account = ANY($1::text[]) ORDER BY account FOR UPDATE",
        list(accounts),
    )
    return {row["account"]: _state(row) for row in rows}


async def save_states(tx: Connection, states: Collection[AccountState]) -> None:
    """Keep states of locked rows. One that is in doubt is asked about at once."""
    await tx.execute(
        """
        UPDATE account_states AS s
        SET problem = new.problem, disabled_reason = new.disabled_reason, ways = string_to_array(new.ways, ','),
            seen_at = new.seen_at,
            checked_at = CASE WHEN new.doubtful THEN '-infinity' ELSE s.checked_at END,
            changed_at = CASE WHEN s.problem IS DISTINCT FROM new.problem THEN app_now() ELSE s.changed_at END
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::boolean[])
            AS new (account, problem, disabled_reason, ways, seen_at, doubtful)
        WHERE s.account = new.account
        """,
        [state.account for state in states],
        [state.problem for state in states],
        [state.disabled_reason for state in states],
        [",".join(sorted(state.ways)) for state in states],
        [state.seen_at for state in states],
        [state.is_doubtful for state in states],
    )


async def ask_at_once(tx: Connection, accounts: Collection[str]) -> None:
    """Let the sweep ask Stripe about these accounts at its next run."""
    await tx.execute(
        """
        WITH locked AS (
            SELECT account FROM account_states WHERE account = ANY($1::text[]) ORDER BY account FOR UPDATE
        )
        UPDATE account_states AS s SET checked_at = '-infinity' FROM locked WHERE s.account = locked.account
        """,
        sorted(accounts),
    )


async def claim_due(tx: Connection, limit: int) -> list[str]:
    """Accounts of clinics that it is time to ask Stripe about, marked as asked now.

    One that can charge is asked about once a day, in case an event was lost; one that cannot, at most after a tenth
    of the time for which it could not.
    """
    await tx.execute(
        """
        INSERT INTO account_states (account)
        SELECT DISTINCT coalesce(a.stripe_account_id, '') FROM clinics LEFT JOIN accounts AS a USING (clinic_id)
        ON CONFLICT DO NOTHING
        """
    )
    rows = await tx.fetch(
        """
        WITH due AS (
            SELECT account FROM account_states AS s
            WHERE checked_at < app_now() - CASE WHEN problem IS NULL THEN interval '1 day'
                    ELSE greatest(interval '1 minute', least(interval '1 hour', (app_now() - changed_at) / 10)) END
                AND (account = '' OR EXISTS (SELECT FROM accounts WHERE stripe_account_id = s.account))
            ORDER BY checked_at, account LIMIT $1
            FOR UPDATE SKIP LOCKED
        )
        UPDATE account_states AS s SET checked_at = app_now() FROM due WHERE s.account = due.account
        RETURNING s.account
        """,
        limit,
    )
    return [row["account"] for row in rows]


async def publishable(tx: Connection, livemode: bool) -> list[tuple[UUID, bool, int, datetime]]:
    """Clinics of which something else than the last published is true: (id, takes payments, version, now).

    Their rows are changed as if it had been published.
    """
    rows = await tx.fetch(
        """
        WITH now AS (
            SELECT c.clinic_id, a.takes_payments AS published,
                (a.stripe_account_id IS NOT NULL OR coalesce(a.platform, false) OR NOT $1)
                    AND coalesce(s.ways, '{card,redirect,debit}') && c.methods AS takes
            FROM clinics AS c LEFT JOIN accounts AS a USING (clinic_id)
            LEFT JOIN account_states AS s ON s.account = coalesce(a.stripe_account_id, '')
        )
        INSERT INTO accounts AS kept (clinic_id, takes_payments, version, published_at)
        SELECT clinic_id, takes, 1, app_now() FROM now WHERE takes <> coalesce(published, true) ORDER BY clinic_id
        ON CONFLICT (clinic_id) DO UPDATE
        SET takes_payments = excluded.takes_payments, version = kept.version + 1, published_at = app_now()
        RETURNING clinic_id, takes_payments, version, published_at
        """,
        livemode,
    )
    return [tuple(row) for row in rows]


def _state(row: asyncpg.Record) -> AccountState:
    return AccountState(
        account=row["account"],
        problem=row["problem"],
        disabled_reason=row["disabled_reason"],
        ways=frozenset(row["ways"]),
        seen_at=row["seen_at"],
    )


Listed = Literal["disputes", "refunds"]
"""Stripe's objects that are listed once a day for each account: the time is in `account_states.<name>_listed_at`."""


async def claim_listing(
    tx: Connection, listed: Listed, again: timedelta, limit: int
) -> Mapping[str, datetime | None]:
    """Accounts whose objects are due to be listed, with the time of the list before; marked as listed now."""
    rows = await tx.fetch(
        f"""
        WITH due AS (
            SELECT account, {listed}_listed_at FROM account_states
            WHERE {listed}_listed_at < app_now() - $1::interval AND problem IS DISTINCT FROM 'no_access'
            ORDER BY {listed}_listed_at LIMIT $2
            FOR UPDATE SKIP LOCKED
        )
        UPDATE account_states AS s SET {listed}_listed_at = app_now() FROM due WHERE s.account = due.account
        RETURNING s.account, nullif(due.{listed}_listed_at, '-infinity') AS since
        """,
        again,
        limit,
    )
    return {row["account"]: row["since"] for row in rows}


async def list_again(tx: Connection, listed: Listed, account: str, since: datetime | None) -> None:
    """Take the mark back: the account's list did not come."""
    await tx.execute(
        f"UPDATE account_states SET {listed}_listed_at = coalesce($2::timestamptz, '-infinity') WHERE account = $1",
        account,
        since,
    )
