"""Waits until the system is at rest, and checks that each payment had its effect once, to the cent."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from email import policy
from email.parser import BytesParser
from typing import Any

from deploy.ops.verify.run import verify
from tests.faults.drive import Bill
from tests.faults.lab import Lab

DRAIN_SECONDS = 90.0
MAIL_SECONDS = 2.0
"""Seconds to wait for e-mails before the clock is moved."""


class Breach(AssertionError):
    """A promise did not hold."""


async def drained(lab: Lab, bills: Sequence[Bill] = (), within: float = DRAIN_SECONDS) -> None:
    """Wait until outboxes, webhooks, topics and e-mails are done, and the bills are paid. Raises `Breach`."""
    loop = asyncio.get_running_loop()
    deadline, rush_at = loop.time() + within, loop.time() + MAIL_SECONDS
    while True:
        try:
            undone = await _undone(lab, bills)
        except (OSError, TimeoutError) as error:
            undone = f"{type(error).__name__}"
        if not undone:
            return
        if loop.time() > deadline:
            raise Breach(f"not at rest after {within:.0f} s: {undone}")
        if loop.time() > rush_at and "letters" in undone and lab.runs("notification.worker"):
            rush_at = loop.time() + MAIL_SECONDS
            await lab.make_time_pass()
        await asyncio.sleep(0.1)


async def _undone(lab: Lab, bills: Sequence[Bill]) -> str:
    """The work still pending; empty when there is none."""
    for service in ("invoice", "payment", "notification"):
        if waiting := await lab.value(service, "SELECT count(*) FROM outbox"):
            return f"{waiting} events in the outbox of {service}"
    if waiting := sandbox_rows(lab, "SELECT count(*) FROM deliveries WHERE state = 'waiting'")[0][0]:
        return f"{waiting} webhooks"
    for bill in bills:
        if await lab.value("invoice", "SELECT status FROM invoices WHERE id = $1", bill.id) != "paid":
            return f"invoice {bill.number} is not paid"
        receipts = "SELECT count(*) FROM deliveries WHERE template = 'receipt' AND subject_id = $1"
        if not await lab.value("notification", receipts, bill.payment_id):
            return f"letters: no receipt for {bill.number}"
    if waiting := await lab.value(
        "notification",
        "SELECT count(*) FROM deliveries WHERE state IN ('due', 'waiting') AND template <> 'payment_failed'",
    ):
        return f"letters: {waiting} to send"
    if lag := await lab.watch.lag():
        return f"lag {lag}"
    return ""


async def paid_once(lab: Lab, bill: Bill, *, mails_may_repeat: bool = False) -> str:
    """Raise `Breach` unless the bill was charged, booked, settled and receipted once. Returns a remark, or ""."""
    movements = await lab.sql("invoice", "SELECT amount FROM movements WHERE invoice_id = $1", bill.id)
    _same("movements at invoice", [row["amount"] for row in movements], [bill.total])
    row = (await lab.sql("invoice", "SELECT status, settled_amount FROM invoices WHERE id = $1", bill.id))[0]
    _same("invoice", (row["status"], row["settled_amount"]), ("paid", bill.total))
    payments = await lab.sql(
        "payment",
        """
        SELECT id, status, amount FROM payments JOIN allocations ON payment_id = id
        WHERE payable_id = $1 AND status = 'succeeded'
        """.replace("amount FROM", "payments.amount FROM"),
        bill.id,
    )
    _same("succeeded payments", len(payments), 1)
    entries = await lab.sql("payment", "SELECT effect FROM entries WHERE payment_id = $1", payments[0]["id"])
    _same("entries in the ledger", len(entries), 1)
    charges = charges_of(lab, await _payments_of(lab, bill))
    _same("charges at Stripe", [charge["amount"] for charge in charges], [bill.total])
    return _check_mails(lab, bill, mails_may_repeat)


async def books_balance(lab: Lab) -> None:
    """Raise `Breach` unless `clinicpay verify` finds nothing wrong anywhere, and nothing is parked."""
    report = await verify(lab.access, wait=30)
    if report.breaches:
        raise Breach(f"verify: {report}")
    _same("parked", [breach.words for breach in report.waiting], [])


async def _payments_of(lab: Lab, bill: Bill) -> set[str]:
    rows = await lab.sql("payment", "SELECT payment_id FROM allocations WHERE payable_id = $1", bill.id)
    return {str(row["payment_id"]) for row in rows}


def all_charges(lab: Lab) -> list[dict[str, Any]]:
    """The successful charges at the sandbox."""
    bodies = (
        json.loads(body) for (body,) in sandbox_rows(lab, "SELECT body FROM objects WHERE kind = 'charge'")
    )
    return [body for body in bodies if body["status"] == "succeeded"]


def charges_of(lab: Lab, payment_ids: set[str]) -> list[dict[str, Any]]:
    return [charge for charge in all_charges(lab) if charge["metadata"].get("payment_id") in payment_ids]


def sandbox_rows(lab: Lab, query: str) -> list[tuple[Any, ...]]:
    place = lab.system.data.path / "sandbox.sqlite3"
    connection = sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def _check_mails(lab: Lab, bill: Bill, may_repeat: bool) -> str:
    """Count Message-IDs: one receipt and one announcement, whatever the number of copies."""
    copies = Counter(
        (kind, message_id)
        for kind, message_id, text in _mails(lab)
        if f"{bill.number} " in f"{text} " or bill.payment_id in text
    )
    kinds = Counter(kind for kind, _ in copies)
    _same("different receipts", kinds["receipt"], 1)
    _same("at most one announcement", kinds["other"] <= 1, True)
    repeated = sum(copies.values()) - len(copies)
    if repeated and not may_repeat:
        raise Breach(f"{repeated} letters were sent twice")
    return f"{repeated} letters repeated under their Message-ID" if repeated else ""


def mails_about(lab: Lab, words: str) -> int:
    """Number of mails with these words that were sent, each copy counted."""
    return sum(words in text for _, _, text in _mails(lab))


def _mails(lab: Lab) -> list[tuple[str, str, str]]:
    """(kind, Message-ID, text) of every mail; read once each."""
    for path in lab.system.data.mail.glob("*.eml"):
        if path.name not in lab.mails:
            message = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
            body = message.get_body(preferencelist=("plain",))
            subject = str(message["Subject"])
            kind = "failed" if "did not" in subject else "receipt" if "eceipt" in subject else "other"
            text = f"{subject}\n{body.get_content() if body else ''}"
            lab.mails[path.name] = (kind, str(message["Message-ID"]), text)
    return list(lab.mails.values())


def _same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Breach(f"{what}: {found!r}, not {wanted!r}")
