"""Every SQL statement on e-mails."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from contracts.vocabulary import UNSENT_DELIVERIES, DeliveryState
from services.chassis.db.database import Connection, Key
from services.chassis.db.sql import literals
from services.chassis.db.statements import Statement
from services.chassis.ids import columns
from services.chassis.queue.domain import Task
from services.notification.emails.domain import Delivery, EmailData, NewDelivery, Recipient

_UNSENT = literals(UNSENT_DELIVERIES)
_QUIET_AFTER_FAILURE = timedelta(hours=1)
"""Several declines of one payment are one e-mail: a client who tries again at once sees the answer on the page."""


async def add_deliveries(tx: Connection, wanted: Sequence[NewDelivery]) -> set[Key]:
    """Add one e-mail per (recipient, event, template); one that is known already stays. Returns those to be sent.

    One that was sent before a restore is added as sent. A failure is left out when the payment has its receipt, or had
    such an e-mail within the hour.
    """
    rows = await tx.fetch(
        """
        INSERT INTO deliveries
            (clinic_id, id, client_id, template, event_id, subject_id, facts, state, attempts, sent_at)
        SELECT clinic_id, id, client_id, template, event_id, subject_id, facts,
            CASE WHEN sent_at IS NULL THEN 'due' ELSE 'sent' END, coalesce(attempts, 0), sent_at
        FROM unnest(
            $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::jsonb[]
        ) AS wanted (clinic_id, id, client_id, template, event_id, subject_id, facts)
        LEFT JOIN sent_before USING (clinic_id, id)
        WHERE template <> 'payment_failed' OR NOT EXISTS (
            SELECT FROM deliveries AS earlier
            WHERE earlier.clinic_id = wanted.clinic_id AND earlier.subject_id = wanted.subject_id
                AND (earlier.template = 'receipt' OR earlier.created_at > app_now() - $8::interval)
        )
        ON CONFLICT DO NOTHING
        RETURNING clinic_id, id, state
        """,
        [each.clinic_id for each in wanted],
        [each.id for each in wanted],
        [each.client_id for each in wanted],
        [each.template for each in wanted],
        [each.event_id for each in wanted],
        [each.subject_id for each in wanted],
        [each.data.model_dump_json() for each in wanted],
        _QUIET_AFTER_FAILURE,
    )
    return {(row["clinic_id"], row["id"]) for row in rows if row["state"] == "due"}


async def list_failures(tx: Connection, payments: Collection[Key]) -> set[Key]:
    """The unsent e-mails about failures of these payments."""
    clinic_ids, payment_ids = zip(*sorted(payments), strict=True)
    rows = await tx.fetch(
        f"""
        SELECT clinic_id, id FROM deliveries
        WHERE (clinic_id, subject_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
            AND template = 'payment_failed' AND state IN {_UNSENT}
        """,
        clinic_ids,
        payment_ids,
    )
    return {(row["clinic_id"], row["id"]) for row in rows}


async def drop_deliveries(tx: Connection, keys: Collection[Key], reason: str) -> None:
    """Drop e-mails whose tasks were canceled."""
    if keys:
        await tx.execute(
            """
            UPDATE deliveries SET state = 'dropped', last_error = $3
            WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
            """,
            *columns(keys),
            reason,
        )


async def get_deliveries(tx: Connection, tasks: Sequence[Task]) -> dict[Key, Delivery]:
    """The e-mails of claimed tasks that are to be sent still, by (clinic, id)."""
    if not tasks:
        return {}
    # Which are unsent is not asked of the database: it would read them all, by their own index.
    rows = await tx.fetch(
        """
        SELECT clinic_id, id, client_id, template, event_id, subject_id, facts AS data, state FROM deliveries
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        """,
        *columns([task.row for task in tasks]),
    )
    by_key = {task.row: task for task in tasks}
    found = {}
    for row in rows:
        values: dict[str, Any] = dict(row)
        if values.pop("state") in UNSENT_DELIVERIES:
            values["data"] = EmailData.model_validate_json(values["data"])
            key = (row["clinic_id"], row["id"])
            found[key] = Delivery(**values, task=by_key[key])
    return found


async def list_about(
    tx: Connection, wanted: Collection[tuple[UUID, UUID, str]]
) -> set[tuple[UUID, UUID, str]]:
    """The (clinic, subject, template) of which there is an e-mail, sent or not."""
    clinic_ids, subject_ids, templates = zip(*sorted(wanted), strict=True)
    rows = await tx.fetch(
        """
        SELECT DISTINCT clinic_id, subject_id, template
        FROM deliveries JOIN unnest($1::uuid[], $2::uuid[], $3::text[]) AS wanted (clinic_id, subject_id, template)
            USING (clinic_id, subject_id, template)
        """,
        clinic_ids,
        subject_ids,
        templates,
    )
    return {(row["clinic_id"], row["subject_id"], row["template"]) for row in rows}


def saving(
    delivery: Delivery,
    state: DeliveryState,
    *,
    attempts: int,
    message_id: str | None = None,
    last_error: str | None = None,
) -> Statement:
    """The statement that saves the state of an e-mail whose task is held by the caller."""
    return Statement(
        """
        UPDATE deliveries SET state = $3, attempts = $4, message_id = $5, last_error = $6,
            sent_at = CASE WHEN $3 = 'sent' THEN app_now() END, failed_at = CASE WHEN $3 = 'failed' THEN app_now() END
        WHERE clinic_id = $1 AND id = $2
        """,
        (delivery.clinic_id, delivery.id, state, attempts, message_id, last_error),
    )


async def revive(tx: Connection, clinic_id: UUID, delivery_id: UUID) -> str | None:
    """Save that an e-mail which was given up is due again; answers its template, None for any other."""
    template: str | None = await tx.fetchval(
        """
        UPDATE deliveries SET state = 'due', attempts = 0, failed_at = NULL
        WHERE clinic_id = $1 AND id = $2 AND state = 'failed' RETURNING template
        """,
        clinic_id,
        delivery_id,
    )
    return template


async def list_deliveries(
    tx: Connection, clinic_id: UUID, client_id: UUID | None, before: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """A clinic's e-mails, newest first, of one client or of all, from after the one named `before`."""
    rows = await tx.fetch(
        f"""
        SELECT id, client_id, template, subject_id, mail.state, mail.attempts, last_error, mail.created_at, sent_at,
            CASE WHEN mail.state IN {_UNSENT} THEN due_at END AS next_attempt_at
        FROM deliveries AS mail
        LEFT JOIN tasks AS task
            ON (task.clinic_id, task.kind, task.key) = (mail.clinic_id, 'email.' || mail.template, mail.id)
        WHERE mail.clinic_id = $1 AND ($2::uuid IS NULL OR client_id = $2) AND ($3::uuid IS NULL OR id < $3)
        ORDER BY id DESC
        LIMIT $4
        """,
        clinic_id,
        client_id,
        before,
        limit,
    )
    return [dict(row) for row in rows]


async def get_receipt(
    tx: Connection, clinic_id: UUID, client_id: UUID | None, payment_id: UUID
) -> dict[str, Any] | None:
    """The receipt of a payment: of the client, or of anyone in the clinic when `client_id` is None."""
    row = await tx.fetchrow(
        """
        SELECT subject_id AS payment_id, state, sent_at FROM deliveries
        WHERE clinic_id = $1 AND subject_id = $2 AND template = 'receipt' AND ($3::uuid IS NULL OR client_id = $3)
        """,
        clinic_id,
        payment_id,
        client_id,
    )
    return None if row is None else dict(row)


async def list_waiting(tx: Connection, clinic_id: UUID, client_id: UUID) -> set[Key]:
    """The e-mails to this client that wait for something."""
    rows = await tx.fetch(
        "SELECT id FROM deliveries WHERE clinic_id = $1 AND client_id = $2 AND state = 'waiting'",
        clinic_id,
        client_id,
    )
    return {(clinic_id, row["id"]) for row in rows}


async def end_waiting(tx: Connection, keys: Collection[Key]) -> None:
    """Save that e-mails wait no more."""
    await tx.execute(
        """
        UPDATE deliveries SET state = 'due'
        WHERE (clinic_id, id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[])) AND state = 'waiting'
        """,
        *columns(keys),
    )


async def get_recipients(tx: Connection, keys: Collection[Key]) -> dict[Key, Recipient]:
    """Clients with a contact, by (clinic, client)."""
    rows = await tx.fetch(
        """
        SELECT clinic_id, client_id, email, name, refused_at IS NOT NULL AS is_refused, ARRAY(
            SELECT template FROM unwanted_mail AS u
            WHERE (u.clinic_id, u.client_id) = (contacts.clinic_id, contacts.client_id)
        ) AS unwanted
        FROM contacts
        WHERE (clinic_id, client_id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
        """,
        [clinic_id for clinic_id, _ in keys],
        [client_id for _, client_id in keys],
    )
    return {
        (row["clinic_id"], row["client_id"]): Recipient(
            row["email"], row["name"], frozenset(row["unwanted"]), row["is_refused"]
        )
        for row in rows
    }


async def save_refused(tx: Connection, client: Key, email: str, reason: str | None) -> None:
    """Save why an e-mail to this client was refused for good, or with None that one was taken.

    A client that has another address by now stays as it is.
    """
    await tx.execute(
        """
        UPDATE contacts SET refused_reason = $4::text, refused_at = CASE WHEN $4::text IS NOT NULL THEN app_now() END
        WHERE clinic_id = $1 AND client_id = $2 AND email = $3
        """,
        *client,
        email,
        reason,
    )
