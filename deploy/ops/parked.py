"""`clinicpay parked`: opens the services' databases, and prints parked events and what became of them."""

import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.ops import database, settlements
from deploy.ops.commands import DOES_NOT_ANSWER, words_of
from deploy.ops.consumers import CONSUMERS
from deploy.ops.workers import opened
from services.chassis.errors import DomainError
from services.chassis.kafka import park, parked
from services.chassis.kafka.consume import consumers_of
from services.chassis.kafka.parked import Listing

LONGEST_REASON = 500


async def listed(dsns: Mapping[str, str], listing: Listing) -> dict[str, list[dict[str, Any]] | str]:
    """Rows by service, each with its service; an error's words where its database does not answer."""
    found = await asyncio.gather(*(_of_a_service(*each, listing) for each in dsns.items()))
    return dict(zip(dsns, found, strict=True))


async def _of_a_service(service: str, dsn: str, listing: Listing) -> list[dict[str, Any]] | str:
    try:
        async with opened(dsn, database.LOOKS, database.LOOKS) as db:
            return [{"service": service, **row} for row in await parked.list_parked(db, listing)]
    except database.UNREACHABLE as error:
        return words_of(error)


async def get(dsn: str, parked_id: int) -> dict[str, Any] | None:
    async with opened(dsn) as db:
        return await parked.get(db, parked_id)


async def replay(service: str, dsn: str, parked_id: int, payment_dsn: str | None = None) -> bool:
    """With `payment_dsn`, a settlement must be in payment's ledger."""
    async with opened(dsn) as db:
        row = await parked.get(db, parked_id)
        if payment_dsn and row and row["state"] == "waiting" and settlements.is_settlement(row):
            async with database.looked_at(payment_dsn) as payment:
                if not await settlements.is_real(payment, row):
                    raise settlements.NotInLedger
        return await parked.replay(consumers_of(CONSUMERS[service], db), parked_id)


async def replay_held_back(service: str, dsn: str) -> tuple[int, list[int]]:
    async with opened(dsn) as db:
        return await parked.replay_held_back(db, consumers_of(CONSUMERS[service], db))


async def discard(service: str, dsn: str, parked_id: int, by: str, reason: str) -> bool:
    async with opened(dsn) as db:
        return await parked.discard(consumers_of(CONSUMERS[service], db), parked_id, by, reason)


def print_waiting(dsns: Mapping[str, str], as_json: bool = False) -> int:
    """Print what waits; 2 when a database does not answer."""
    found = asyncio.run(listed(dsns, park.list_waiting))
    return _print(found, ("reason", "detail", "parked_at"), "Nothing is parked.", as_json)


def print_discarded(dsns: Mapping[str, str], as_json: bool = False) -> int:
    """Print what was discarded; 2 when a database does not answer."""
    found = asyncio.run(listed(dsns, park.list_discarded))
    shown = ("reason", "discarded_by", "discard_reason", "resolved_at")
    return _print(found, shown, "Nothing was discarded.", as_json)


def _print(
    found: Mapping[str, list[dict[str, Any]] | str], shown: tuple[str, ...], nothing: str, as_json: bool
) -> int:
    away = [f"{service}: {words}" for service, words in found.items() if isinstance(words, str)]
    rows = [row for rows in found.values() if not isinstance(rows, str) for row in rows]
    _print_rows(rows, shown, "" if away else nothing, as_json)
    if away:
        sys.stderr.write(f"clinicpay: {DOES_NOT_ANSWER}: {'; '.join(away)}\n")
    return 2 if away else 0


def _print_rows(rows: list[dict[str, Any]], shown: tuple[str, ...], nothing: str, as_json: bool) -> None:
    if as_json:
        # To the stream itself: a pipe's reader wants lines that nothing has wrapped.
        sys.stdout.writelines(json.dumps(row, default=_words, ensure_ascii=False) + "\n" for row in rows)
    elif not rows:
        sys.stdout.write(f"{nothing}\n" if nothing else "")
    else:
        for row in rows:
            _print_block(row, shown)


def _print_block(row: Mapping[str, Any], shown: tuple[str, ...]) -> None:
    """A line with the words that `show`, `replay` and `discard` take, and below it the facts, within any width."""
    place = f"{row['topic']} {row['partition']}/{row['offset']}, read by {row['consumer']}"
    facts = {"record": place, **{name: _words(row[name]) for name in shown}}
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value:
            table.add_row(f"  {name.replace('_', ' ')}", escape(_on_one_line(value)))
    console = Console(highlight=False)
    console.print(f"{row['service']} {row['id']}", style="bold")
    console.print(table)


def _on_one_line(text: str) -> str:
    """A producer's text, without characters that move a terminal's cursor."""
    return "".join(char if char.isprintable() else " " for char in text)


def _words(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)


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


def print_replay(service: str, dsn: str, parked_id: int, payment_dsn: str | None = None) -> int:
    """Replay one and print the result; 1 when nothing was applied."""
    try:
        replayed = asyncio.run(replay(service, dsn, parked_id, payment_dsn))
    except DomainError as refusal:
        sys.stderr.write(f"clinicpay: still refused: {refusal.code}: {refusal.detail}\n")
        return 1
    except ValueError as error:  # undecodable: it will never be an event
        sys.stderr.write(f"clinicpay: still refused: {error}\n")
        return 1
    return _print_result(replayed, f"applied: {parked_id}", service, parked_id)


def print_replay_held_back(service: str, dsn: str) -> int:
    """Replay all that was held back and print the result; 1 when some are refused still."""
    applied, refused = asyncio.run(replay_held_back(service, dsn))
    sys.stdout.write(f"applied: {applied} that had been held back\n")
    if refused:
        sys.stderr.write(f"clinicpay: still refused: {', '.join(map(str, refused))}\n")
    return 1 if refused else 0


def print_discard(service: str, dsn: str, parked_id: int, by: str, reason: str) -> int:
    """Discard one and print that; 1 when it does not wait, or the reason is empty."""
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= LONGEST_REASON or not reason.isprintable():
        sys.stderr.write(f"clinicpay: a reason has 1 to {LONGEST_REASON} characters that can be printed\n")
        return 1
    discarded = asyncio.run(discard(service, dsn, parked_id, by, reason))
    return _print_result(discarded, f"discarded: {parked_id}", service, parked_id)


def _print_result(done: bool, words: str, service: str, parked_id: int) -> int:
    if not done:
        sys.stderr.write(f"clinicpay: {parked_id} does not wait in {service}\n")
        return 1
    sys.stdout.write(f"{words}\n")
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
