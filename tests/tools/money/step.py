"""A step of a walk: what caused it, the state before and after, and its effects."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from contracts.events.envelope import CloudEvent
from services.payment.ledger.domain import Entry

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
CLINIC, CLIENT = UUID(int=1), UUID(int=2)
NEW = "—"


@dataclass(frozen=True, slots=True)
class Step:
    """`who`: the one who may cause it. `entries` are booked, and `events` published, in the same transaction."""

    before: str
    cause: str
    who: str
    after: str
    entries: tuple[Entry, ...] = ()
    events: tuple[CloudEvent, ...] = ()

    @property
    def effects(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(entry.effect for entry in self.entries))

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(event.topic.name for event in self.events))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def coded(names: Iterable[str]) -> str:
    """Names as code, `nothing` where there is none."""
    return ", ".join(f"`{name}`" for name in names) or "nothing"


def steps_table(steps: Iterable[Step]) -> str:
    """One row for all steps that differ only in where they begin."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for step in steps:
        after = step.after if step.after == NEW else f"`{step.after}`"
        rest = step.cause, step.who, after, coded(step.effects), coded(step.topics)
        begins = rows.setdefault(rest, [])
        before = step.before if step.before == NEW else f"`{step.before}`"
        if before not in begins:
            begins.append(before)
    head = "from", "cause", "who", "to", "books", "publishes"
    return table(head, ([", ".join(begins), *rest] for rest, begins in rows.items()))
