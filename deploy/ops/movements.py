"""`clinicpay movements reverse`: an invoice loses a movement that payment never booked, and the books agree again."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from deploy.ops import database, workers
from deploy.ops.keys import COMMAND_LINE
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.invoice.invoices.corrections import Correction, reverse_movement
from services.invoice.invoices.domain import Invoice


class Genuine(DomainError):
    """Money moved: what is wrong with it is mended at Stripe, by a refund."""

    code = "movement_is_payments"
    status = 409


@dataclass(frozen=True, slots=True)
class Books:
    """invoice: its database as its worker. payment: as the auditor, who reads the ledger."""

    invoice: str
    payment: str


async def reverse(books: Books, clinic_id: UUID, movement_id: UUID, correction: Correction) -> Invoice:
    """The invoice without the movement. Raises `Genuine`, and what `reverse_movement` raises."""
    caller = Caller(COMMAND_LINE, "operator", clinic_id)
    async with (
        database.connected(books.payment) as payment,
        workers.opened(books.invoice) as db,
        db.worker_tx() as tx,
    ):
        after = await reverse_movement(tx, caller, movement_id, correction)
        # Last, with the invoice locked: what payment has booked by now is not reversed.
        kept = await _movements(tx, "invoice_id", after)
        _refuse_genuine(movement_id, await _movements(payment, "payable_id", after), kept)
    return after


async def _movements(connection: Any, column: str, invoice: Invoice) -> set[UUID]:
    rows = await connection.fetch(
        f"SELECT id FROM movements WHERE clinic_id = $1 AND {column} = $2", invoice.clinic_id, invoice.id
    )
    return {row["id"] for row in rows}


def _refuse_genuine(movement_id: UUID, booked: set[UUID], kept: set[UUID]) -> None:
    """Refuse a movement that payment has, or that stands for one which the invoice would then lack."""
    if movement_id in booked:
        raise Genuine("Payment's ledger has this movement.")
    if booked - kept:
        raise Genuine(
            "Payment's ledger has a movement that the invoice would lack: this one may stand for it."
        )


def print_reversal(
    books: Books, clinic_id: UUID, movement_id: UUID, reason: str, by: str, approved_by: str
) -> int:
    """Reverse it and print the invoice; 1 when it was refused, and then nothing was changed."""
    correction = Correction(" ".join(reason.split()), by.strip(), approved_by.strip())
    try:
        invoice = asyncio.run(reverse(books, clinic_id, movement_id, correction))
    except DomainError as refusal:
        sys.stderr.write(f"clinicpay: refused: {refusal.code}: {refusal.detail}\n")
        return 1
    sys.stdout.write(f"reversed: {movement_id}; invoice {invoice.number} is {invoice.status}\n")
    return 0
