"""Set-based consumers: one batch of records, one transaction, one acknowledgement.

FastStream fetches and acknowledges; decoding, claiming, parking and retrying are done here, since a policy of the
library that loses one event in a million loses money.
"""

from collections import Counter as Numbers
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar
from uuid import UUID

import stamina
import structlog

from contracts.events.catalogue import decode
from contracts.events.envelope import CloudEvent, StateEvent, Undecodable
from services.chassis import audit
from services.chassis.db.database import Connection, Database, Key, is_transient
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.chassis.kafka import inbox, park
from services.chassis.kafka.park import Parked, Record
from services.chassis.telemetry import logs
from services.chassis.telemetry.metrics import Counter
from services.chassis.telemetry.spans import batch_spans
from services.chassis.telemetry.traces import span_context_of

log = structlog.get_logger()

_consumed = Counter(
    "messaging.client.consumed.messages",
    "{message}",
    "Events that a consumer group applied, each once",
    "messaging.consumer.group.name",
    "messaging.destination.name",
)
_parked = Counter(
    "clinicpay.event.parked",
    "{event}",
    "Events that a consumer group parked, by the refusal's code",
    "group",
    "reason",
)

Apply = Callable[[Connection, Any], Awaitable[None]]
ApplyArrived = Callable[[Connection, "list[Arrived]"], Awaitable[tuple[list[CloudEvent], list[Parked]]]]
ApplyT = TypeVar("ApplyT", bound=Apply)
Measure = Callable[[Sequence[Any]], None]
NamesOutside = Callable[[Any], tuple[str, str]]
"""The id and the type that an event from outside has there."""
ParkedHook = Callable[[Connection, Collection[Key]], Awaitable[None]]
ParkedHookT = TypeVar("ParkedHookT", bound=ParkedHook)

RETRY_SECONDS = 60
"""How long a batch is retried in place. Well under Kafka's max.poll.interval, or the group would move on."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that applies a set of decoded, claimed events in the batch's transaction."""

    events: tuple[type[CloudEvent], ...]
    group: str
    apply: Apply
    delay_tolerant: bool = False
    measure: Measure | None = None
    names_outside: NamesOutside | None = None


def consumes(
    *events: type[CloudEvent],
    group: str,
    delay_tolerant: bool = False,
    measure: Measure | None = None,
    names_outside: NamesOutside | None = None,
) -> Callable[[ApplyT], ApplyT]:
    """Mark a function in a service's `consumers` module as the handler of these events in a consumer group.

    It is called with the transaction and the batch's new events, each once, in the order they came. An
    exception refuses the batch, unless it `is_transient`: the batch then runs again event by event, and each event that
    is refused is parked, a `DomainError` under its code and anything else as `unexpected_error`.

    A group whose handlers are all `delay_tolerant` gathers the events of a tenth of a second into one batch, which
    costs a fraction.

    `measure` is called with the events that were applied, once their transaction has committed.

    `names_outside`: the claims of the group's events are kept with the names that they have outside.
    """

    def mark(apply: ApplyT) -> ApplyT:
        apply.__consumes__ = Handler(events, group, apply, delay_tolerant, measure, names_outside)  # type: ignore[attr-defined]
        return apply

    return mark


def on_parked(group: str) -> Callable[[ParkedHookT], ParkedHookT]:
    """Mark a function in a service's `consumers` module that follows which aggregates have a parked movement.

    It is called with the (clinic, aggregate) of each movement that the group parks, replays or discards, in the
    same transaction and after that change, and looks for itself whether one waits (`park.with_waiting`).
    """

    def mark(hook: ParkedHookT) -> ParkedHookT:
        hook.__on_parked__ = group  # type: ignore[attr-defined]
        return hook

    return mark


def consumers_of(module: ModuleType, db: Database) -> "list[Consumer]":
    """The consumers, one a group, that the handlers of a `consumers` module make up."""
    parked_hooks: dict[str, ParkedHook] = {}
    for value in vars(module).values():
        if isinstance(group := getattr(value, "__on_parked__", None), str):
            parked_hooks[group] = value
    return [
        Consumer(db, group, tuple(handlers), parked_hook=parked_hooks.get(group))
        for group, handlers in _handlers_by_group(module).items()
    ]


def topics_by_group(module: ModuleType) -> dict[str, tuple[str, ...]]:
    """The topics that each consumer group of a `consumers` module reads."""
    return {group: _topics(handlers) for group, handlers in _handlers_by_group(module).items()}


def _handlers_by_group(module: ModuleType) -> dict[str, list[Handler]]:
    groups: dict[str, list[Handler]] = {}
    for value in vars(module).values():
        handler = getattr(value, "__consumes__", None)
        if isinstance(handler, Handler):
            groups.setdefault(handler.group, []).append(handler)
    return groups


def _topics(handlers: Iterable[Handler]) -> tuple[str, ...]:
    return tuple(event.topic.name for handler in handlers for event in handler.events)


@dataclass(frozen=True, slots=True)
class Arrived:
    record: Record
    event: CloudEvent


@dataclass(slots=True)
class Consumer:
    """One consumer group: from raw records to a committed transaction."""

    db: Database
    group: str
    handlers: tuple[Handler, ...]
    after_commit: list[Callable[[], None]] = field(default_factory=list)
    parked_hook: ParkedHook | None = None

    @property
    def topics(self) -> tuple[str, ...]:
        return _topics(self.handlers)

    @property
    def delay_tolerant(self) -> bool:
        return all(handler.delay_tolerant for handler in self.handlers)

    async def consume(self, records: Sequence[Record]) -> None:
        """Apply a batch, or park what refuses. Raises, with nothing applied, while the database is unreachable."""
        async for attempt in stamina.retry_context(
            on=is_transient, attempts=None, timeout=RETRY_SECONDS, wait_initial=0.05, wait_max=5.0
        ):
            with attempt:
                await self._consume(records)
        for callback in self.after_commit:
            callback()

    async def replay(self, parked_id: int) -> bool:
        """Apply a parked event. False when it does not wait in this group any more.

        Raises what the handler raises, with nothing changed, when it refuses still.
        """
        async with self.db.worker_tx() as tx:
            row = await self._lock_open(tx, parked_id)
            if row is None:
                return False
            arrived = Arrived(row["record"], decode_record(row["record"]))
            await self._apply_new(tx, [arrived])
            await park.resolve(tx, parked_id)
            await self._call_parked_hook(tx, [(row["record"], park.aggregate_of(row))])
        return True

    async def discard(self, parked_id: int, by: str, reason: str, actor: UUID = audit.INSTALLATION) -> bool:
        """Lay a parked event aside for good, and enter that into the audit log. False when it does not wait any more.

        `by` is the operator's name, `reason` plain words: both are kept with the event. `actor` is the operator in the
        audit log, where it is known.
        """
        async with self.db.worker_tx() as tx:
            row = await self._lock_open(tx, parked_id)
            if row is None:
                return False
            aggregate = park.aggregate_of(row)
            await park.discard(tx, parked_id, by, reason)
            await self._call_parked_hook(tx, [(row["record"], aggregate)])
            clinic_id, subject_id = aggregate or (audit.INSTALLATION, UUID(int=parked_id))
            caller = Caller(actor, "operator", clinic_id)
            await audit.record(
                tx, caller, "discard_parked", subject_id, row["state"], (parked_id, by, reason)
            )
        return True

    async def _lock_open(self, tx: Connection, parked_id: int) -> dict[str, Any] | None:
        row = await park.lock(tx, parked_id)
        return row if row and row["consumer"] == self.group and row["state"] not in park.FINAL else None

    async def _consume(self, records: Sequence[Record]) -> None:
        arrived, undecodable = _decode_all(records)
        with batch_spans(self.group, [each.event for each in arrived]) as traced:
            arrived = [Arrived(each.record, event) for each, event in zip(arrived, traced, strict=True)]
            try:
                await self._in_one_transaction(arrived, undecodable, self._apply_together)
            except Exception as refusal:
                if is_transient(refusal):
                    raise
                log.warning("batch_refused", group=self.group, events=len(arrived), reason=reason_of(refusal))
                await self._in_one_transaction(arrived, undecodable, self._apply_singly)

    async def _in_one_transaction(
        self, arrived: list[Arrived], undecodable: list[Parked], apply: ApplyArrived
    ) -> None:
        async with self.db.worker_tx() as tx:
            states = [each.event for each in arrived if isinstance(each.event, StateEvent)]
            older = await park.lock_older(tx, self.group, states)
            applied, refused = await apply(tx, arrived)
            if parked := [*undecodable, *refused]:
                await park.add(tx, self.group, parked)
                await self._call_parked_hook(tx, [(each.record, each.aggregate) for each in parked])
            await park.supersede(tx, older, [event for event in applied if isinstance(event, StateEvent)])
        self._measure(applied, parked)

    def _measure(self, applied: list[CloudEvent], parked: list[Parked]) -> None:
        for topic, number in Numbers([event.topic.name for event in applied]).items():
            _consumed.add(number, self.group, topic)
        for each in parked:
            _parked.add(1, self.group, each.reason)
        for handler in self.handlers:
            if handler.measure is not None:
                handler.measure([event for event in applied if isinstance(event, handler.events)])

    async def _call_parked_hook(self, tx: Connection, parked: Iterable[tuple[Record, Key | None]]) -> None:
        """Call the service's hook with the aggregates of these movements, which were just parked or resolved."""
        keys = {aggregate for record, aggregate in parked if aggregate and record.is_movement}
        if self.parked_hook is not None and keys:
            await self.parked_hook(tx, sorted(keys))

    async def _apply_together(
        self, tx: Connection, arrived: list[Arrived]
    ) -> tuple[list[CloudEvent], list[Parked]]:
        return await self._apply_new(tx, arrived), []

    async def _apply_singly(
        self, tx: Connection, arrived: list[Arrived]
    ) -> tuple[list[CloudEvent], list[Parked]]:
        applied: list[CloudEvent] = []
        refused: list[Parked] = []
        for each in arrived:
            try:
                async with tx.transaction():
                    applied += await self._apply_new(tx, [each])
            except Exception as refusal:
                if is_transient(refusal):
                    raise
                refused.append(self._refused(each, refusal))
        return applied, refused

    def _refused(self, arrived: Arrived, refusal: Exception) -> Parked:
        reason = reason_of(refusal)
        detail = refusal.detail if isinstance(refusal, DomainError) else type(refusal).__name__
        log.error(
            "event_parked",
            group=self.group,
            topic=arrived.record.topic,
            event_id=str(arrived.event.id),
            reason=reason,
            **_named(arrived.event),
            exc_info=None if isinstance(refusal, DomainError) else refusal,
        )
        return Parked(arrived.record, arrived.event, reason, detail)

    async def _claim(self, tx: Connection, arrived: list[Arrived]) -> set[UUID]:
        names_of = next((each.names_outside for each in self.handlers if each.names_outside), None)
        if names_of is None:
            return await inbox.claim(tx, self.group, [each.event.id for each in arrived])
        sources = {
            each.event.id: inbox.Source(
                *names_of(each.event), (each.record.key or b"").decode(), each.record.timestamp
            )
            for each in arrived
        }
        return await inbox.claim_with_sources(tx, self.group, sources)

    async def _apply_new(self, tx: Connection, arrived: list[Arrived]) -> list[CloudEvent]:
        """Claim events, and call the handlers with the newly claimed ones."""
        fresh = await self._claim(tx, arrived)
        events = [each.event for each in {a.event.id: a for a in reversed(arrived)}.values()][::-1]
        events = [event for event in events if event.id in fresh]
        for handler in self.handlers:
            chosen = [event for event in events if isinstance(event, handler.events)]
            if chosen:
                await handler.apply(tx, chosen)
        return events


def _named(event: CloudEvent) -> dict[str, str]:
    """The ids of an event that is refused, and its trace, for a line of the log."""
    ids = {name: getattr(event, name, None) for name in logs.IDS}
    span = span_context_of(event.traceparent)
    named = {name: str(value) for name, value in ids.items() if value is not None}
    return named | ({"trace_id": f"{span.trace_id:032x}"} if span else {})


def decode_record(record: Record) -> CloudEvent:
    """The event in a record, its key its aggregate's. Raises `Undecodable`: then it never was an event of ours."""
    if record.value is None:
        raise Undecodable("no value")
    event = decode(record.topic, record.value)
    if record.key != str(event.key).encode():
        raise Undecodable("the record's key is not the aggregate's id")
    return event


def _decode_all(records: Iterable[Record]) -> tuple[list[Arrived], list[Parked]]:
    arrived, undecodable = [], []
    for record in records:
        try:
            arrived.append(Arrived(record, decode_record(record)))
        except Undecodable as error:
            log.error(
                "event_undecodable", topic=record.topic, partition=record.partition, offset=record.offset
            )
            undecodable.append(Parked(record, None, "undecodable", str(error)))
    return arrived, undecodable


def reason_of(refusal: Exception) -> str:
    return refusal.code if isinstance(refusal, DomainError) else "unexpected_error"
