"""Parked events: read one, hold it against its schema, apply it again, lay it aside, also many at once."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from litestar import post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from contracts.events.catalogue import decode
from contracts.events.envelope import Undecodable
from deploy.ops import settlements
from deploy.ops.console.bulk import Chosen, Ended, chosen_of, each_of
from deploy.ops.console.login_pages import Console
from deploy.ops.console.masking import name_shown, shown
from deploy.ops.console.operators.actions import acting, reason_of
from deploy.ops.console.operators.domain import Operator
from deploy.ops.console.page import page
from deploy.ops.console.sessions import CurrentOperator
from deploy.ops.console.sources import Sources
from deploy.ops.consumers import CONSUMERS
from deploy.ops.database import UNREACHABLE
from services.chassis.errors import DomainError, Unavailable
from services.chassis.kafka import park, parked
from services.chassis.kafka.consume import consumers_of
from services.chassis.kafka.park import Record
from services.gateway.web.heads import readable

Verb = Literal["replay", "discard"]
DONE = {"replay": "Replayed: ", "discard": "Discarded: "}


class StillRefused(DomainError):
    """The event is no event of its topic, so it can never be applied."""

    code = "undecodable"


class NotWaiting(DomainError):
    code = "not_waiting"


class ParkedUnknown(DomainError):
    code = "parked_unknown"
    status = 404


class VerbMissing(DomainError):
    code = "verb_missing"
    status = 422


@dataclass(frozen=True, slots=True)
class ActForm:
    reason: str = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class BulkForm:
    """`chosen` are events as `service/id`."""

    verb: str = ""
    reason: str = ""
    chosen: Chosen = ""
    _csrf_token: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """The contents of a form that was refused: they stay typed."""

    verb: str = ""
    reason: str = ""
    chosen: tuple[str, ...] = ()


NOTHING = Sent()


@readable("/parked")
async def list_parked(
    operator: CurrentOperator,
    sources: Console,
    done: FromQuery[Verb | None] = None,
    count: FromQuery[int] = 0,
    reason: FromQuery[str] = "",
) -> Template:
    """The waiting events of all services, the oldest of each service first; `reason` narrows the list."""
    said = f"{DONE[done]}{count}" if done and count > 0 else ""
    return await _list_page(operator, sources, reason=reason, done=said)


@readable("/parked/{service:str}/{parked_id:int}")
async def show_parked(
    service: FromPath[str], parked_id: FromPath[int], operator: CurrentOperator, sources: Console
) -> Template:
    return await _one_page(operator, sources, service, parked_id)


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
    await _get(sources, service, parked_id)
    try:
        match verb:
            case "reveal":
                async with acting(sources.own, operator, "reveal_parked", service, parked_id, data.reason):
                    pass
                return await _one_page(operator, sources, service, parked_id, whole=True)
            case "replay" | "discard":
                await _act(sources, operator, service, parked_id, verb, data.reason)
            case _:
                raise NotFoundException
    except DomainError as refusal:
        sent = Sent(verb, data.reason)
        return await _one_page(operator, sources, service, parked_id, error=refusal, sent=sent)
    return Redirect(f"/ops/parked?done={verb}&count=1", status_code=303)


@post("/parked", status_code=303)
async def act_on_many(
    data: URLEncodedBody[BulkForm], operator: CurrentOperator, sources: Console
) -> Template | Redirect:
    """The same for all that were chosen, one after the other. Refused ones are listed, and wait on."""
    try:
        verb = _verb(data.verb)
        reason_of(data.reason)

        async def act(chosen: str) -> None:
            service, parked_id = _named(chosen)
            await _act(sources, operator, service, parked_id, verb, data.reason)

        ended = await each_of(data.chosen, act)
    except DomainError as refusal:
        sent = Sent(data.verb, data.reason, chosen_of(data.chosen))
        return await _list_page(operator, sources, error=refusal.detail, sent=sent)
    if ended.refused:
        return await _list_page(operator, sources, ended=ended)
    return Redirect(f"/ops/parked?done={verb}&count={ended.done}", status_code=303)


async def _act(
    sources: Sources, operator: Operator, service: str, parked_id: int, verb: Verb, reason: str
) -> None:
    """Raises what refuses it, with nothing changed but the note of the try."""
    db = sources.workers[service]
    async with acting(sources.own, operator, f"{verb}_parked", service, parked_id, reason):
        row = await parked.get(db, parked_id)
        if row is None:
            raise ParkedUnknown("There is no such event.")
        if verb == "replay" and row["state"] == "waiting":
            await _refuse_forged(sources, row)
        consumers = consumers_of(CONSUMERS[service], db)
        try:
            if verb == "replay":
                done = await parked.replay(consumers, parked_id)
            else:
                words = " ".join(reason.split())
                done = await parked.discard(consumers, parked_id, operator.name, words, operator.id)
        except ValueError as error:
            raise StillRefused(
                f"It is still no event of its topic: {error}. It can only be discarded."
            ) from None
        if not done:
            raise NotWaiting("It does not wait any more: somebody replayed or discarded it.")


async def _list_page(
    operator: Operator,
    sources: Sources,
    *,
    reason: str = "",
    done: str = "",
    error: str = "",
    ended: Ended | None = None,
    sent: Sent = NOTHING,
) -> Template:
    found = await asyncio.gather(*(_waiting(service, sources) for service in CONSUMERS))
    away = [service for service, rows in zip(CONSUMERS, found, strict=True) if rows is None]
    rows = [row for rows in found for row in rows or ()]
    reasons = sorted({row["reason"] for row in rows})
    return page(
        "ops_parked.html",
        "parked",
        operator,
        status=422 if error or ended else 200,
        rows=[row for row in rows if reason in ("", row["reason"])],
        reasons=reasons,
        reason=reason,
        away=away,
        done=done,
        error=error,
        ended=ended,
        verb=sent.verb,
        typed=sent.reason,
        chosen=sent.chosen,
    )


async def _waiting(service: str, sources: Sources) -> list[dict[str, Any]] | None:
    try:
        async with sources.books[service].statements() as connection:
            return [{"service": service, **row} for row in await park.list_waiting(connection, parked.MOST)]
    except UNREACHABLE:
        return None


async def _one_page(
    operator: Operator,
    sources: Sources,
    service: str,
    parked_id: int,
    *,
    whole: bool = False,
    error: DomainError | None = None,
    sent: Sent = NOTHING,
) -> Template:
    row = await _get(sources, service, parked_id)
    record: Record = row["record"]
    return page(
        "ops_parked_one.html",
        "parked",
        operator,
        status=error.status if error else 200,
        service=service,
        row=row,
        key=shown(record.key, whole=whole),
        value=shown(record.value, whole=whole),
        headers=[
            (name_shown(name, whole=whole), shown(value, whole=whole)) for name, value in record.headers
        ],
        whole=whole,
        schema=_against_schema(record),
        ledger=await _ledger(sources, row),
        error=error.detail if error else "",
        refused=sent.verb,
        typed=sent.reason,
    )


async def _refuse_forged(sources: Sources, row: Mapping[str, Any]) -> None:
    match await _ledger(sources, row):
        case "lacks":
            raise settlements.NotInLedger
        case "unknown":
            raise Unavailable(
                "The database of payment does not answer, so nobody knows whether this money is real."
            )


async def _ledger(sources: Sources, row: Mapping[str, Any]) -> str:
    """Whether the money of a settlement is in payment's ledger. Empty of any other event, and of what is none."""
    if not settlements.is_settlement(row):
        return ""
    try:
        async with sources.books["payment"].statements() as connection:
            return "has" if await settlements.is_real(connection, row) else "lacks"
    except UNREACHABLE:
        return "unknown"


def _against_schema(record: Record) -> str:
    """Why the record is no event of its topic; empty where it is one."""
    try:
        decode(record.topic, record.value or b"")
    except Undecodable as fault:
        return str(fault)
    return ""


async def _get(sources: Sources, service: str, parked_id: int) -> dict[str, Any]:
    # An id that no bigint holds is none.
    if service not in CONSUMERS or not 0 <= parked_id < 2**63:
        raise NotFoundException
    async with sources.books[service].statements() as connection:
        row = await park.get(connection, parked_id)
    if row is None:
        raise NotFoundException
    return row


def _verb(sent: str) -> Verb:
    match sent:
        case "replay" | "discard":
            return sent
    raise VerbMissing("Choose what to do: replay, or discard.")


def _named(chosen: str) -> tuple[str, int]:
    service, _, parked_id = chosen.partition("/")
    if service not in CONSUMERS or not parked_id.isascii() or not parked_id.isdigit() or len(parked_id) > 18:
        raise ParkedUnknown("There is no such event.")
    return service, int(parked_id)


PAGES: list[Any] = [list_parked, show_parked, act_on_parked, act_on_many]
