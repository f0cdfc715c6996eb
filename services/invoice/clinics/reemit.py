"""How a clinic's row becomes its event again."""

from collections.abc import Iterable

import asyncpg
import msgspec

from contracts.events.clinic import ClinicUpdated
from contracts.events.envelope import Event, event_id
from services.chassis.outbox.reemit import Source

_CLINICS = """
    SELECT id AS clinic_id, version, changed_at, slug, name, currency, time_zone, locale, billing_shown,
        online_payment, methods, contact, accent
    FROM clinics WHERE changed_at >= $1 ORDER BY id
"""


def clinic_events(row: asyncpg.Record) -> Iterable[Event]:
    """The newest settings."""
    fields = dict(row)
    at = fields.pop("changed_at")
    fields["contact"] = msgspec.json.decode(fields["contact"])
    made = event_id(at, ClinicUpdated.topic.name, fields["clinic_id"], fields["version"])
    yield ClinicUpdated(id=made, time=at, **fields)


SOURCE = Source(_CLINICS, clinic_events)
