"""The outbox: an event is a row in the transaction of the change that it reports."""

from collections.abc import Iterable

from contracts.events.envelope import CloudEvent, Event
from services.chassis.db.database import Connection
from services.chassis.db.statements import Statement, execute
from services.chassis.telemetry.traces import current_traceparent

LARGEST_BODY = 256 * 1024


class EventTooLarge(ValueError):
    """An event whose body no reader is prepared for. A bug in its writer."""


async def add(tx: Connection, facts: Iterable[tuple[Event, CloudEvent | None]]) -> None:
    """State facts, in order, as one statement. Call it after the aggregates' row locks are held.

    Rows of one aggregate then have ids in the order of their commits, which is the order they are sent in. With a
    fact goes the event that caused it, whose trace it carries on; without one, the current span's.
    """
    await execute(tx, adding(facts))


def adding(facts: Iterable[tuple[Event, CloudEvent | None]]) -> Statement:
    """The statement that `add` runs, to be run with others that write new rows: nobody can know or lock these yet."""
    stated = list(facts)
    events = [event for event, _ in stated]
    own = current_traceparent()
    bodies = [event.encode(own if cause is None else cause.traceparent) for event, cause in stated]
    if any(len(body) > LARGEST_BODY for body in bodies):
        raise EventTooLarge(f"an event has more than {LARGEST_BODY} bytes")
    return Statement(
        """
        INSERT INTO outbox (id, clinic_id, aggregatetype, aggregateid, payload)
        SELECT id, clinic_id, topic, key, body
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bytea[])
            WITH ORDINALITY AS fact (id, clinic_id, topic, key, body, position)
        ORDER BY position
        """,
        (
            [event.id for event in events],
            [event.clinic_id for event in events],
            [event.topic.name for event in events],
            [str(event.key) for event in events],
            bodies,
        ),
    )
