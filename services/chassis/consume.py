"""Set-based consumers: one batch of records, one transaction, one acknowledgement.

FastStream fetches and acknowledges; decoding, claiming, parking and retrying are done here, since a policy of the
library that loses one event in a million loses money.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

import stamina
import structlog

from contracts.catalogue import EVENTS
from contracts.events import CloudEvent, Event, StateEvent, Undecodable
from services.chassis import inbox, park
from services.chassis.db import TRANSIENT, Connection, Database
from services.chassis.errors import DomainError
from services.chassis.park import Line, Parked, Record
from services.chassis.tracing import batch_spans

log = structlog.get_logger()

Apply = Callable[[Connection, Any], Awaitable[None]]
ApplyArrived = Callable[[Connection, "list[Arrived]"], Awaitable[list[CloudEvent]]]
ApplyT = TypeVar("ApplyT", bound=Apply)

RETRY_SECONDS = 60
"""How long a batch is retried in place. Well under Kafka's max.poll.interval, or the group would move on."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that applies a set of decoded, claimed events in the batch's transaction."""

    events: tuple[type[CloudEvent], ...]
    group: str
    apply: Apply
    unhurried: bool = False


def consumes(*events: type[CloudEvent], group: str, unhurried: bool = False) -> Callable[[ApplyT], ApplyT]:
    """Mark a function in a service's `consumers` module as the handler of these events in a consumer group.

    It is called with the transaction and the batch's new events, each once, in the order they came. What it
    raises refuses, unless it is `TRANSIENT`: the batch then runs again event by event, and those that refuse are
    parked, a `DomainError` under its code and anything else as `unexpected_error`.

    A group of `unhurried` handlers takes what comes within a tenth of a second at once, for a fraction of the cost.
    """

    def mark(apply: ApplyT) -> ApplyT:
        apply.__consumes__ = Handler(events, group, apply, unhurried)  # type: ignore[attr-defined]
        return apply

    return mark


def consumers_of(module: ModuleType, db: Database) -> "list[Consumer]":
    """The consumers, one a group, that the handlers of a `consumers` module make up."""
    groups: dict[str, list[Handler]] = {}
    for value in vars(module).values():
        handler = getattr(value, "__consumes__", None)
        if isinstance(handler, Handler):
            groups.setdefault(handler.group, []).append(handler)
    return [Consumer(db, group, tuple(handlers)) for group, handlers in groups.items()]


@dataclass(frozen=True, slots=True)
class Arrived:
    record: Record
    event: CloudEvent

    @property
    def line(self) -> Line | None:
        """What it must not be overtaken in; None for what has no order."""
        if not isinstance(self.event, Event) or not self.record.is_movement or self.record.key is None:
            return None
        return self.event.clinic_id, self.record.key


@dataclass(slots=True)
class Consumer:
    """One consumer group: from raw records to a committed transaction."""

    db: Database
    group: str
    handlers: tuple[Handler, ...]
    after_commit: list[Callable[[], None]] = field(default_factory=list)

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(event.topic.name for handler in self.handlers for event in handler.events)

    @property
    def unhurried(self) -> bool:
        return all(handler.unhurried for handler in self.handlers)

    async def consume(self, records: Sequence[Record]) -> None:
        """Apply a batch, or park what refuses. Raises, with nothing applied, while the database is away."""
        async for attempt in stamina.retry_context(
            on=TRANSIENT, attempts=None, timeout=RETRY_SECONDS, wait_initial=0.05, wait_max=5.0
        ):
            with attempt:
                await self._consume(records)
        for told in self.after_commit:
            told()

    async def replay(self, parked_id: int) -> list[int]:
        """Apply a parked event, and before it those of its key that came earlier. Returns the ids replayed.

        Raises what the handler raises, with nothing changed, when it refuses still.
        """
        async with self.db.worker_tx() as tx:
            row = await park.get(tx, parked_id)
            if row is None or row["consumer"] != self.group or row["state"] == "replayed":
                return []
            replayed = await self._replay_order(tx, row)
            for each in replayed:
                event = _decode(each["record"])
                await self._claim_and_apply(tx, [Arrived(each["record"], event)])
                await park.resolve(tx, each["id"])
        return [each["id"] for each in replayed]

    async def _replay_order(self, tx: Connection, row: dict[str, Any]) -> list[dict[str, Any]]:
        if not row["record"].is_movement or row["key"] is None:
            return [row]
        await park.lock_keys(tx, self.group, [row["key"]])
        waiting = await park.waiting_of_line(tx, self.group, row["clinic_id"], row["key"])
        return [each for each in waiting if each["id"] <= row["id"]]

    async def _consume(self, records: Sequence[Record]) -> None:
        arrived, undecodable = _decode_all(records)
        with batch_spans(self.group, [each.event for each in arrived]) as traced:
            arrived = [Arrived(each.record, event) for each, event in zip(arrived, traced, strict=True)]
            try:
                await self._in_one_transaction(arrived, undecodable, self._claim_and_apply)
            except TRANSIENT:
                raise
            except Exception as refusal:
                log.warning("batch_refused", group=self.group, events=len(arrived), reason=_reason(refusal))
                await self._in_one_transaction(arrived, undecodable, self._apply_singly)

    async def _in_one_transaction(
        self, arrived: list[Arrived], undecodable: list[Parked], apply: ApplyArrived
    ) -> None:
        async with self.db.worker_tx() as tx:
            await park.add(tx, self.group, undecodable)
            ready = await self._hold_back(tx, arrived, undecodable)
            applied = await apply(tx, ready)
            await park.supersede(
                tx, self.group, [event for event in applied if isinstance(event, StateEvent)]
            )

    async def _hold_back(
        self, tx: Connection, arrived: list[Arrived], undecodable: list[Parked]
    ) -> list[Arrived]:
        """Park movements that come behind a parked one of their line; return the rest."""
        lines = {each.line for each in arrived if each.line}
        if not lines:
            return arrived
        held = await park.held_lines(tx, self.group, lines)
        unread = {each.record.key for each in undecodable if each.record.is_movement and each.record.key}
        held |= {line for line in lines if line[1] in unread}
        if not held:
            return arrived
        await park.add(tx, self.group, [_behind(each) for each in arrived if each.line in held])
        return [each for each in arrived if each.line not in held]

    async def _apply_singly(self, tx: Connection, arrived: list[Arrived]) -> list[CloudEvent]:
        applied: list[CloudEvent] = []
        held: set[Line] = set()
        for each in arrived:
            if each.line in held:
                await park.add(tx, self.group, [_behind(each)])
                continue
            try:
                async with tx.transaction():
                    applied += await self._claim_and_apply(tx, [each])
            except TRANSIENT:
                raise
            except Exception as refusal:
                held |= {each.line} if each.line else set()
                await self._park_refused(tx, each, refusal)
        return applied

    async def _park_refused(self, tx: Connection, arrived: Arrived, refusal: Exception) -> None:
        reason = _reason(refusal)
        detail = refusal.detail if isinstance(refusal, DomainError) else type(refusal).__name__
        log.error(
            "event_parked",
            group=self.group,
            topic=arrived.record.topic,
            event_id=str(arrived.event.id),
            reason=reason,
            exc_info=None if isinstance(refusal, DomainError) else refusal,
        )
        await park.add(tx, self.group, [Parked(arrived.record, arrived.event, reason, detail)])

    async def _claim_and_apply(self, tx: Connection, arrived: list[Arrived]) -> list[CloudEvent]:
        fresh = await inbox.claim(tx, self.group, [each.event.id for each in arrived])
        events = [each.event for each in {a.event.id: a for a in reversed(arrived)}.values()][::-1]
        events = [event for event in events if event.id in fresh]
        for handler in self.handlers:
            chosen = [event for event in events if isinstance(event, handler.events)]
            if chosen:
                await handler.apply(tx, chosen)
        return events


def _decode(record: Record) -> CloudEvent:
    if record.value is None:
        raise Undecodable("no value")
    event = EVENTS[record.topic].decode(record.value)
    if record.key is not None and record.key != str(event.key).encode():
        raise Undecodable("the record's key is not the aggregate's id")
    return event


def _decode_all(records: Iterable[Record]) -> tuple[list[Arrived], list[Parked]]:
    arrived, undecodable = [], []
    for record in records:
        try:
            arrived.append(Arrived(record, _decode(record)))
        except Undecodable as error:
            log.error(
                "event_undecodable", topic=record.topic, partition=record.partition, offset=record.offset
            )
            undecodable.append(Parked(record, None, "undecodable", str(error)))
    return arrived, undecodable


def _behind(arrived: Arrived) -> Parked:
    return Parked(
        arrived.record, arrived.event, "behind_parked", "An earlier movement of its line is parked."
    )


def _reason(refusal: Exception) -> str:
    return refusal.code if isinstance(refusal, DomainError) else "unexpected_error"
