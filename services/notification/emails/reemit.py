"""How an e-mail's row becomes its event again."""

from collections.abc import Iterable
from typing import Any

import asyncpg

from contracts.events.envelope import Event, event_id
from contracts.events.notification import NotificationFailed, NotificationSent
from contracts.vocabulary import PUBLISHED_DELIVERIES
from services.chassis.db.sql import literals
from services.chassis.outbox.reemit import Source

_ENDED_AT = "CASE state WHEN 'sent' THEN sent_at ELSE coalesce(failed_at, next_attempt_at) END"
_DELIVERIES = f"""
    SELECT clinic_id, id, client_id, template, attempts, state, last_error, {_ENDED_AT} AS ended_at
    FROM deliveries
    WHERE state IN {literals(PUBLISHED_DELIVERIES)} AND {_ENDED_AT} >= $1
    ORDER BY clinic_id, id
"""


def delivery_events(row: asyncpg.Record) -> Iterable[Event]:
    """That it was sent, or failed."""
    kind = NotificationSent if row["state"] == "sent" else NotificationFailed
    fields: dict[str, Any] = {
        "id": event_id(row["ended_at"], kind.topic.name, row["id"]),
        "time": row["ended_at"],
        "clinic_id": row["clinic_id"],
        "delivery_id": row["id"],
        "client_id": row["client_id"],
        "template": row["template"],
        "attempts": row["attempts"],
    }
    yield kind(**fields, **({"reason": row["last_error"]} if kind is NotificationFailed else {}))


SOURCE = Source(_DELIVERIES, delivery_events)
