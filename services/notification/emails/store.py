"""Every SQL statement on e-mails."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.vocabulary import UNSENT_DELIVERIES
from services.chassis.db.database import Connection, Key
from services.chassis.db.sql import literals
from services.notification.emails.domain import Delivery, EmailData, NewDelivery, Recipient

_UNSENT = literals(UNSENT_DELIVERIES)
_QUIET_AFTER_FAILURE = timedelta(hours=1)
"""Several declines of one payment are one e-mail: a client who tries again at once sees the answer on the page."""


async def add_deliveries(tx: Connection, wanted: Sequence[NewDelivery], delay: timedelta) -> None:
    """Queue one e-mail per (recipient, event, template), to be sent after `delay`; one that is queued already stays.

    One that was sent before a restore is added as sent. A failure is left out when the payment has its receipt, or had
    such an e-mail within the hour.
    """
    await tx.execute(
        """
        INSERT INTO deliveries
            (clinic_id, id, client_id, template, event_id, subject_id, facts, traceparent, next_attempt_at,
            state, attempts, sent_at)
        SELECT clinic_id, id, client_id, template, event_id, subject_id, facts, traceparent, app_now() + $9::interval,
            CASE WHEN sent_at IS NULL THEN 'due' ELSE 'sent' END, coalesce(attempts, 0), sent_at
        FROM unnest(
            $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::jsonb[], $8::text[]
        ) AS wanted (clinic_id, id, client_id, template, event_id, subject_id, facts, traceparent)
        LEFT JOIN sent_before USING (clinic_id, id)
        WHERE template <> 'payment_failed' OR NOT EXISTS (
            SELECT FROM deliveries AS earlier
            WHERE earlier.clinic_id = wanted.clinic_id AND earlier.subject_id = wanted.subject_id
                AND (earlier.template = 'receipt' OR earlier.created_at > app_now() - $10::interval)
        )
        ON CONFLICT DO NOTHING
        """,
        [each.cause.clinic_id for each in wanted],
        [each.id for each in wanted],
        [each.client_id for each in wanted],
        [each.template for each in wanted],
        [each.cause.id for each in wanted],
        [each.subject_id for each in wanted],
        [each.data.model_dump_json() for each in wanted],
        [each.cause.traceparent for each in wanted],
        delay,
        _QUIET_AFTER_FAILURE,
    )


async def drop_failures(tx: Connection, payments: Collection[Key]) -> None:
    """Drop the unsent e-mails about failures of payments that succeeded after all."""
    clinic_ids, payment_ids = zip(*sorted(payments), strict=True)
    await tx.execute(
        f"""
        UPDATE deliveries SET state = 'dropped', last_error = 'paid_since'
        WHERE (clinic_id, subject_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
            AND template = 'payment_failed' AND state IN {_UNSENT}
            AND (claimed_until IS NULL OR claimed_until <= app_now())
        """,
        clinic_ids,
        payment_ids,
    )


async def claim_deliveries(
    tx: Connection, limit: int, lease: timedelta, templates: Collection[str]
) -> list[Delivery]:
    """Claim for `lease` up to `limit` e-mails by these templates that are due and unclaimed, oldest first."""
    rows = await tx.fetch(
        f"""
        WITH next AS (
            SELECT clinic_id, id FROM deliveries
            WHERE state IN {_UNSENT} AND next_attempt_at <= app_now()
                AND (claimed_until IS NULL OR claimed_until <= app_now()) AND template = ANY ($3)
            ORDER BY next_attempt_at
            LIMIT $1
            FOR UPDATE SKIP LOCKED
        )
        UPDATE deliveries AS claimed SET claimed_until = app_now() + $2::interval
        FROM next WHERE claimed.clinic_id = next.clinic_id AND claimed.id = next.id
        RETURNING claimed.clinic_id, claimed.id, client_id, template, event_id, subject_id, facts AS data, traceparent,
            attempts, app_now() - created_at AS age, claimed_until, next_attempt_at
        """,
        limit,
        lease,
        templates,
    )
    claimed = [Delivery(**{**row, "data": EmailData.model_validate_json(row["data"])}) for row in rows]
    return sorted(claimed, key=lambda delivery: delivery.next_attempt_at)


async def save_outcome(
    tx: Connection,
    delivery: Delivery,
    state: str,
    *,
    attempts: int,
    after: timedelta = timedelta(0),
    message_id: str | None = None,
    last_error: str | None = None,
) -> datetime | None:
    """Record the outcome of a claimed e-mail. Return the database's time of it, or None when the lease was lost.

    `waiting` is not recorded over a wake-up that came since the claim: the lease then ends by itself.
    """
    moment: datetime | None = await tx.fetchval(
        """
        UPDATE deliveries SET state = $4, attempts = $5, next_attempt_at = app_now() + $6::interval,
            message_id = $7, last_error = $8, claimed_until = NULL,
            sent_at = CASE WHEN $4 = 'sent' THEN app_now() END
        WHERE clinic_id = $1 AND id = $2 AND claimed_until = $3
            AND ($4 <> 'waiting' OR next_attempt_at = $9)
        RETURNING app_now()
        """,
        delivery.clinic_id,
        delivery.id,
        delivery.claimed_until,
        state,
        attempts,
        after,
        message_id,
        last_error,
        delivery.next_attempt_at,
    )
    return moment


async def release_deliveries(tx: Connection, deliveries: Collection[Delivery]) -> None:
    """Release claimed e-mails that were not tried."""
    await tx.execute(
        """
        UPDATE deliveries AS held SET claimed_until = NULL
        FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS given (clinic_id, id, claimed_until)
        WHERE held.clinic_id = given.clinic_id AND held.id = given.id AND held.claimed_until = given.claimed_until
        """,
        [delivery.clinic_id for delivery in deliveries],
        [delivery.id for delivery in deliveries],
        [delivery.claimed_until for delivery in deliveries],
    )


async def list_deliveries(
    tx: Connection, clinic_id: UUID, client_id: UUID | None, before: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """A clinic's e-mails, newest first, of one client or of all, from after the one named `before`."""
    rows = await tx.fetch(
        f"""
        SELECT id, client_id, template, subject_id, state, attempts, last_error, created_at, sent_at,
            CASE WHEN state IN {_UNSENT} THEN next_attempt_at END AS next_attempt_at
        FROM deliveries
        WHERE clinic_id = $1 AND ($2::uuid IS NULL OR client_id = $2) AND ($3::uuid IS NULL OR id < $3)
        ORDER BY id DESC
        LIMIT $4
        """,
        clinic_id,
        client_id,
        before,
        limit,
    )
    return [dict(row) for row in rows]


async def release_waiting(tx: Connection, clinic_id: UUID, client_id: UUID) -> None:
    """Make the e-mails that waited for this client's contact due now."""
    await tx.execute(
        """
        UPDATE deliveries SET state = 'due', next_attempt_at = app_now()
        WHERE clinic_id = $1 AND client_id = $2 AND state = 'waiting'
        """,
        clinic_id,
        client_id,
    )


async def get_recipients(tx: Connection, keys: Collection[Key]) -> dict[Key, Recipient]:
    """Clients with a contact, by (clinic, client)."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, client_id, email, name FROM contacts
        WHERE (clinic_id, client_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        """,
        [clinic_id for clinic_id, _ in keys],
        [client_id for _, client_id in keys],
    )
    return {(row["clinic_id"], row["client_id"]): Recipient(row["email"], row["name"]) for row in rows}
