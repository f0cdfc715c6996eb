"""Consents: to a debit, and to later charges of a saved method. They are added, linked and withdrawn, never changed."""

from collections.abc import Collection
from uuid import UUID

from contracts.consents import Consent
from services.chassis.db.database import Connection
from services.chassis.ids import new_id
from services.payment.consents.domain import Agreed


async def add_consent(
    tx: Connection,
    clinic_id: UUID,
    client_id: UUID,
    account: str,
    consent: Consent,
    payment_id: UUID | None = None,
) -> None:
    """Keep what the client agreed to, at the time of this transaction. `payment_id`: with which payment, if any."""
    await tx.execute(
        """
        INSERT INTO consents (clinic_id, id, client_id, account, kind, version, locale, text, agreed_at, payment_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, app_now(), $9)
        """,
        clinic_id,
        new_id(),
        client_id,
        account,
        consent.kind,
        consent.version,
        consent.locale,
        consent.text,
        payment_id,
    )


async def link_consents(tx: Connection, methods: Collection[tuple[str, str]]) -> None:
    """Link consents to the methods that were saved with them, given by (account, Stripe id).

    A client who tried several cards agreed for the one that is kept, so all of the client's that are not linked are.
    """
    await tx.execute(
        """
        WITH saved AS (
            SELECT DISTINCT ON (m.clinic_id, m.client_id, m.account) m.clinic_id, m.client_id, m.account, m.id
            FROM unnest($1::text[], $2::text[]) AS named (account, stripe_payment_method_id)
            JOIN payment_methods AS m USING (account, stripe_payment_method_id)
            WHERE m.removed_at IS NULL
            ORDER BY m.clinic_id, m.client_id, m.account, m.created_at DESC, m.id
        )
        UPDATE consents SET payment_method_id = saved.id FROM saved
        WHERE (consents.clinic_id, consents.client_id, consents.account)
                = (saved.clinic_id, saved.client_id, saved.account)
            AND consents.kind = 'off_session' AND consents.payment_method_id IS NULL
        """,
        [account for account, _ in methods],
        [stripe_id for _, stripe_id in methods],
    )


async def list_agreed(tx: Connection, methods: Collection[UUID]) -> dict[UUID, Agreed]:
    """The newest consent of each of these methods that has one."""
    rows = await tx.fetch(
        """
        SELECT DISTINCT ON (payment_method_id) payment_method_id, version, locale, text, agreed_at
        FROM consents WHERE payment_method_id = ANY($1::uuid[]) AND withdrawn_at IS NULL
        ORDER BY payment_method_id, agreed_at DESC
        """,
        methods,
    )
    return {row["payment_method_id"]: Agreed(*row[1:]) for row in rows}
