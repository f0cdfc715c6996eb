"""Parked events: read one, hold it against its schema, apply it again, lay it aside, also many at once."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from contracts.events.catalogue import decode
from contracts.events.envelope import Undecodable
from deploy.ops.console.login_pages import Console
from deploy.ops.console.masking import shown
from deploy.ops.console.operators.actions import acting
from deploy.ops.console.operators.domain import Operator
from deploy.ops.console.page import Chosen, chosen_in, page
from deploy.ops.console.sessions import CurrentOperator
from deploy.ops.console.sources import Sources
from deploy.ops.consumers import CONSUMERS
from deploy.ops.database import UNREACHABLE
from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.chassis.kafka import park, parked
from services.chassis.kafka.consume import consumers_of
from services.chassis.kafka.park import Record
from services.chassis.texts import InvalidText

Verb = Literal["replay", "discard"]


class StillRefused(DomainError):
    """The event is no event of its topic, so it can never be applied."""

    code = "undecodable"


class NotWaiting(DomainError):
    code = "not_waiting"


@dataclass(frozen=True, slots=True)
class ActForm:
    reason: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class BulkForm:
    """`chosen` are events as `service/id`."""

    verb: Verb = "replay"
    reason: str = ""
    chosen: Chosen = ""
    _csrf_token: str = ""


@get("/parked")
async def list_parked(
    operator: CurrentOperator, sources: Console, done: FromQuery[str] = "", reason: FromQuery[str] = ""
) -> Template:
    """The waiting events of all services, the oldest of each service first; `reason` narrows the list."""
    return await _list_page(operator, sources, reason=reason, done=done)


@get("/parked/{service:str}/{parked_id:int}")
async def show_parked(
    service: FromPath[str],
    parked_id: FromPath[int],
    operator: CurrentOperator,
    sources: Console,
    done: FromQuery[str] = "",
) -> Template:
    return await _one_page(operator, sources, service, parked_id, done=done)


@post("/parked/{service:str}/{parked_id:int}/{verb:str}", status_code=303)
async def act_on_parked(
    service: FromPath[str],
    parked_id: FromPath[int],
    verb: FromPath[str],
    data: URLEncodedBody[ActForm],
    operator: CurrentOperator,
    sources: Console,
) -> Template | Redirect:
    """Apply it again, lay it aside, or show it whole; each with a reason."""
    db = _worker(sources, service)
    await _get(db, parked_id)
    subject = f"{service}/{parked_id}"
    try:
        match verb:
            case "reveal":
                async with acting(
                    sources.own, operator, "reveal_parked", service, str(parked_id), data.reason
                ):
                    pass
                return await _one_page(operator, sources, service, parked_id, whole=True)
            case "replay" | "discard":
                await _act(sources, operator, service, parked_id, verb, data.reason)
            case _:
                raise NotFoundException
    except DomainError as refusal:
        return await _one_page(operator, sources, service, parked_id, error=refusal)
    return Redirect(f"/ops/parked?done={verb}+{subject}", status_code=303)


@post("/parked", status_code=303)
async def act_on_many(
    data: URLEncodedBody[BulkForm], operator: CurrentOperator, sources: Console
) -> Template | Redirect:
    """The same for all that were chosen, one after the other. Refused ones are listed, and wait on."""
    chosen = [_named(each) for each in chosen_in(data.chosen)]
    if not chosen:
        return await _list_page(operator, sources, error="Choose at least one event.")
    refused = []
    for service, parked_id in chosen:
        try:
            await _act(sources, operator, service, parked_id, data.verb, data.reason)
        except InvalidText as wrong:
            return await _list_page(operator, sources, error=wrong.detail)
        except DomainError as refusal:
            refused.append(f"{service}/{parked_id}: {refusal.detail}")
    if refused:
        done = len(chosen) - len(refused)
        return await _list_page(
            operator, sources, error=f"{done} of {len(chosen)} are done.", refused=refused
        )
    return Redirect(f"/ops/parked?done={data.verb}+{len(chosen)}", status_code=303)


async def _act(
    sources: Sources, operator: Operator, service: str, parked_id: int, verb: Verb, reason: str
) -> None:
    """Raises what refuses it, with nothing changed but the note of the try."""
    db = _worker(sources, service)
    async with acting(sources.own, operator, f"{verb}_parked", service, str(parked_id), reason):
        consumers = consumers_of(CONSUMERS[service], db)
        try:
            if verb == "replay":
                done = await parked.replay(consumers, parked_id)
            else:
                done = await parked.discard(consumers, parked_id, operator.name, " ".join(reason.split()))
        except ValueError as error:
            raise StillRefused(f"It is still no event of its topic: {error}") from None
        if not done:
            raise NotWaiting("It does not wait any more: somebody replayed or discarded it.")


async def _list_page(
    operator: Operator,
    sources: Sources,
    *,
    reason: str = "",
    done: str = "",
    error: str = "",
    refused: Sequence[str] = (),
) -> Template:
    found = await asyncio.gather(
        *(_waiting(service, db) for service, db in sources.workers.items()),
    )
    away = [service for service, rows in zip(sources.workers, found, strict=True) if rows is None]
    rows = [row for rows in found for row in rows or ()]
    reasons = sorted({row["reason"] for row in rows})
    return page(
        "ops_parked.html",
        "parked",
        operator,
        status=422 if error else 200,
        rows=[row for row in rows if reason in ("", row["reason"])],
        reasons=reasons,
        reason=reason,
        away=away,
        done=done,
        error=error,
        refused=refused,
    )


async def _waiting(service: str, db: Database) -> list[dict[str, Any]] | None:
    try:
        return [{"service": service, **row} for row in await parked.list_parked(db, park.list_waiting)]
    except UNREACHABLE:
        return None


async def _one_page(
    operator: Operator,
    sources: Sources,
    service: str,
    parked_id: int,
    *,
    whole: bool = False,
    done: str = "",
    error: DomainError | None = None,
) -> Template:
    row = await _get(_worker(sources, service), parked_id)
    record: Record = row["record"]
    return page(
        "ops_parked_one.html",
        "parked",
        operator,
        status=409 if error else 200,
        service=service,
        row=row,
        key=shown(record.key, whole=whole),
        value=shown(record.value, whole=whole),
        headers={name: shown(value, whole=whole) for name, value in record.headers},
        whole=whole,
        schema=_against_schema(record),
        done=done,
        error=error.detail if error else "",
    )


def _against_schema(record: Record) -> str:
    """Why the record is no event of its topic; empty where it is one."""
    try:
        decode(record.topic, record.value or b"")
    except Undecodable as fault:
        return str(fault)
    return ""


async def _get(db: Database, parked_id: int) -> dict[str, Any]:
    # An id that no bigint holds is none.
    row = await parked.get(db, parked_id) if 0 <= parked_id < 2**63 else None
    if row is None:
        raise NotFoundException
    return row


def _worker(sources: Sources, service: str) -> Database:
    if service not in sources.workers:
        raise NotFoundException
    return sources.workers[service]


def _named(chosen: str) -> tuple[str, int]:
    service, _, parked_id = chosen.partition("/")
    if not parked_id.isascii() or not parked_id.isdigit() or len(parked_id) > 18:
        raise NotFoundException
    return service, int(parked_id)


PAGES: list[Any] = [list_parked, show_parked, act_on_parked, act_on_many]
