"""The operator's choice of a Stripe account for each clinic."""

from uuid import UUID

import asyncpg

from services.chassis.db.database import Connection
from services.payment.accounts.domain import NONE, AccountInUse, ClinicAccount


async def get_account(tx: Connection, clinic_id: UUID) -> ClinicAccount:
    """The operator's choice of a Stripe account for the clinic."""
    row = await tx.fetchrow(
        "SELECT stripe_account_id, platform FROM accounts WHERE clinic_id = $1", clinic_id
    )
    return NONE if row is None else ClinicAccount(row["stripe_account_id"], row["platform"])


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
