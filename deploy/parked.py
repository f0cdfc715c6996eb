"""`clinicpay parked`: what consumers could not apply, to look at and to apply again once it is mended."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.verify.settle import CONSUMERS
from services.chassis import park
from services.chassis.consume import consumers_of
from services.chassis.db import Database
from services.chassis.errors import DomainError

MOST = 500


async def waiting(dsns: Mapping[str, str]) -> list[dict[str, Any]]:
    """What waits for somebody in each service, oldest first, with its service."""
    found = []
    for service, dsn in dsns.items():
        async with _opened(dsn) as db, db.worker_tx() as tx:
            found += [{"service": service, **row} for row in await park.list_waiting(tx, MOST)]
    return found


async def get(dsn: str, parked_id: int) -> dict[str, Any] | None:
    async with _opened(dsn) as db, db.worker_tx() as tx:
        return await park.get(tx, parked_id)


async def replay(service: str, dsn: str, parked_id: int) -> list[int]:
    """Apply a parked event, and before it those of its key that came earlier; their ids.

    Empty when it does not wait any more. Raises what its handler raises when it refuses still.
    """
    async with _opened(dsn) as db:
        for consumer in consumers_of(CONSUMERS[service], db):
            if replayed := await consumer.replay(parked_id):
                return replayed
    return []


@asynccontextmanager
async def _opened(dsn: str) -> AsyncIterator[Database]:
    db = Database(dsn, size=2)
    try:
        yield db
    finally:
        await db.close()


def print_waiting(dsns: Mapping[str, str]) -> None:
    rows = asyncio.run(waiting(dsns))
    table = Table("service", "id", "consumer", "topic", "partition/offset", "reason", "detail", "parked at")
    for row in rows:
        place, at = f"{row['partition']}/{row['offset']}", f"{row['parked_at']:%Y-%m-%d %H:%M:%S}"
        words = (
            row["service"],
            row["id"],
            row["consumer"],
            row["topic"],
            place,
            row["reason"],
            row["detail"],
            at,
        )
        table.add_row(*(escape(str(word)) for word in words))
    Console().print(table if rows else "Nothing is parked.")


def print_one(dsn: str, parked_id: int) -> int:
    """The whole of a parked event; 1 when there is none of this id."""
    row = asyncio.run(get(dsn, parked_id))
    if row is None:
        sys.stderr.write(f"clinicpay: nothing is parked under {parked_id}\n")
        return 1
    record = row.pop("record")
    shown: dict[str, Any] = {
        name: str(value) for name, value in row.items() if name not in ("key", "value", "headers")
    }
    shown |= {"key": _readable(record.key), "value": _readable(record.value)}
    shown["headers"] = {name: _readable(value) for name, value in record.headers}
    sys.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False) + "\n")
    return 0


def print_replay(service: str, dsn: str, parked_id: int) -> int:
    """Replay, and say what became of it; 1 when nothing was applied."""
    try:
        replayed = asyncio.run(replay(service, dsn, parked_id))
    except DomainError as refusal:
        sys.stderr.write(f"clinicpay: still refused: {refusal.code}: {refusal.detail}\n")
        return 1
    except ValueError as error:  # undecodable: it will never be an event
        sys.stderr.write(f"clinicpay: still refused: {error}\n")
        return 1
    if not replayed:
        sys.stderr.write(f"clinicpay: {parked_id} does not wait in {service}\n")
        return 1
    sys.stdout.write(f"applied: {', '.join(map(str, replayed))}\n")
    return 0


def _readable(raw: bytes | None) -> Any:
    """JSON if it is, else text, else hexadecimal."""
    if raw is None:
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw.hex()
    try:
        return json.loads(text)
    except ValueError:
        return text
