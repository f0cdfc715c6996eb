"""Reads a client's statement."""

from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import convert

from contracts.http.invoices import BillTo, Seller
from services.chassis import clock
from services.chassis.db.database import Connection
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.invoice.clients import actions as clients
from services.invoice.clients.domain import ClientNotFound
from services.invoice.clients.schemas import answer_of
from services.invoice.clinics import actions as clinics
from services.invoice.clinics.domain import seller_of
from services.invoice.invoices import actions, reads
from services.invoice.invoices.drafts import today_at
from services.invoice.invoices.reads import Wanted
from services.invoice.printing.paper import Moved, Statement

MOST = 1000
"""The most invoices of a statement, and the most movements."""
_FIRST, _LAST = date(1970, 1, 1), date(9998, 12, 31)
"""Days that are moments in every time zone. No invoice is of another one."""


class UnclearDays(DomainError):
    code = "days_out_of_order"
    status = 422


class StatementTooLong(DomainError):
    code = "statement_too_long"
    status = 422


async def get_statement(
    tx: Connection, caller: Caller, client_id: UUID, since: date | None, until: date | None
) -> Statement:
    """The statement from the first day to the last one, on the clinic's calendar.

    Without a last day it ends today, without a first one it begins with the last day's year. Raises `ClientNotFound`,
    also for another client's; `UnclearDays`, `StatementTooLong`.
    """
    if actions.own(caller) not in (None, client_id):
        raise ClientNotFound("the clinic has no client with this id")
    clinic = await clinics.get_clinic(tx, caller.clinic)
    today = today_at(clinic, clock.now())
    until = until or today
    since = since or until.replace(month=1, day=1)
    if since > until:
        raise UnclearDays("The first day of the statement is after its last day.")
    client = answer_of(await clients.get_client(tx, caller.clinic, client_id))
    wanted = Wanted(client_id, issued_from=since, issued_to=until)
    invoices = await reads.list_invoices(tx, clinic.id, wanted, None, MOST + 1)
    begin, end = (
        _moment(max(since, _FIRST), clinic.time_zone),
        _moment(min(until, _LAST) + timedelta(days=1), clinic.time_zone),
    )
    moved = await reads.list_moved(tx, clinic.id, client_id, begin, end, MOST + 1)
    if max(len(invoices), len(moved)) > MOST:
        raise StatementTooLong(
            f"A statement has at most {MOST} invoices and {MOST} payments. Choose fewer days."
        )
    return Statement(
        seller=convert(seller_of(clinic), Seller, from_attributes=True),
        client=BillTo(name=client.name, billing_address=client.billing_address, tax_number=client.tax_number),
        locale=clinic.locale,
        time_zone=clinic.time_zone,
        since=since,
        until=until,
        today=today,
        invoices=invoices[::-1],
        moved=[Moved(*each) for each in moved],
        earlier=await reads.sum_due_before(tx, clinic.id, client_id, since),
    )


def _moment(day: date, time_zone: str) -> datetime:
    """When the day begins at the clinic."""
    return datetime.combine(day, time(), ZoneInfo(time_zone))
