"""The answers about e-mails: the cause for which one waits, or for which there is none."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from contracts.vocabulary import UNSENT_DELIVERIES
from deploy.ops.why.books import Books
from deploy.ops.why.references import Row
from deploy.ops.why.waiting import YOUNG, Waiting, unread

MAIL_KEPT = timedelta(days=400)
"""Notification deletes older e-mails that have ended."""
_TELLS = ("invoice_ready", "reminder")
"""The e-mails that tell a client of an open invoice."""
_SERVER = "is notification's worker up, and the mail server? docs/runbooks.md#receiptslate"
_BEHIND = "is notification's worker up? docs/runbooks.md#consumerbehind"
_OTHER_WAY = "tell the client in another way"
REASONS = {
    "no_contact": (
        "the client has no e-mail address",
        "the clinic adds the client's e-mail address, and the e-mail goes at once",
    ),
    "no_clinic": ("notification has not read the clinic's settings", _BEHIND),
    "no_invoice": ("notification has not read the invoice", _BEHIND),
    "being_checked": (
        "a movement of the invoice is parked",
        "replay or discard it: docs/runbooks.md#eventsparked",
    ),
    "not_wanted": ("the client wants no such e-mails", _OTHER_WAY),
    "nothing_to_pay": ("nothing was due when its turn came", _OTHER_WAY),
    "undone_since": (
        "the payment was taken back before its turn came",
        "nothing: that is told by its own e-mail",
    ),
}
"""For notification's reasons to hold an e-mail, or to drop it: the words, and what helps."""


def is_missed(books: Books) -> bool:
    """Whether an e-mail is missing that only Kafka knows about."""
    return _unread_invoice(books) or any(_unread_receipts(books))


def told_at(books: Books) -> list[datetime]:
    """When the client was told about the invoice."""
    return [row["sent_at"] for row in books.deliveries if row["template"] in _TELLS and row["sent_at"]]


def about_the_invoice(books: Books) -> Iterator[Waiting]:
    """Why the client of an open invoice was not told about it. A reminder names it too."""
    if told_at(books):
        return
    for row in books.deliveries:
        if row["template"] == "invoice_ready" and not _is_being_sent(row, books.now):
            yield from _unsent("client_not_told", "the e-mail about the invoice", row, books.now)
    if books.invoice is not None and _unread_invoice(books):
        text = "no e-mail tells of the invoice: notification has not read invoice.created"
        yield unread("notification", "invoice", text, books.invoice["created_at"], books, "client_not_told")


def about_receipts(books: Books) -> Iterator[Waiting]:
    """Why the client of a payment that succeeded has no receipt. One that was dropped is not wanted any more."""
    for row in books.deliveries:
        if row["template"] == "receipt" and row["state"] not in ("sent", "dropped"):
            yield from _unsent("receipt_not_sent", "the receipt", row, books.now)
    for since in _unread_receipts(books):
        text = "there is no receipt: notification has not read payment.succeeded"
        yield unread("notification", "payment", text, since, books, "receipt_not_sent")


def _unsent(code: str, name: str, row: Row, now: datetime) -> Iterator[Waiting]:
    reason, helps = REASONS.get(row["last_error"] or "", (None, ""))
    if row["state"] == "failed":
        again = "correct the client's e-mail address, then send it again on the console's page E-mails"
        yield Waiting(code, f"{name} was refused: {row['last_error']}", row["failed_at"], again)
    elif row["state"] == "dropped":
        yield Waiting(
            code,
            f"{name} was not sent: {reason or row['last_error']}",
            row["created_at"],
            helps or _OTHER_WAY,
        )
    elif reason is not None:
        yield Waiting(code, f"{name} waits: {reason}", row["created_at"], helps)
    elif row["state"] != "sent":
        helps = "nothing: ask again in a minute" if _is_being_sent(row, now) else _SERVER
        yield Waiting(code, f"{name} waits: {_tried(row)}", row["created_at"], helps)


def _is_being_sent(row: Row, now: datetime) -> bool:
    age: timedelta = now - row["created_at"]
    return row["state"] in UNSENT_DELIVERIES and not row["last_error"] and age < YOUNG


def _tried(row: Row) -> str:
    if not row["attempts"]:
        return row["last_error"] or "not tried yet"
    tries = "1 try" if row["attempts"] == 1 else f"{row['attempts']} tries"
    return f"{row['last_error'] or 'no answer'}, after {tries}"


def _unread_invoice(books: Books) -> bool:
    """Whether an open invoice that was issued a while ago has no e-mail. Years later it may have been deleted."""
    if books.invoice is None or not books.is_open:
        return False
    if any(row["template"] in _TELLS for row in books.deliveries):
        return False
    return _is_missed_since(books.invoice["created_at"], books)


def _unread_receipts(books: Books) -> Iterator[datetime]:
    """When payments were booked that have no receipt."""
    told = {row["subject_id"] for row in books.deliveries if row["template"] == "receipt"}
    for payment in books.payments:
        if payment["status"] != "succeeded" or payment["kind"] == "credit" or payment["id"] in told:
            continue
        booked = (each["booked_at"] for each in books.entries if each["payment_id"] == payment["id"])
        since = min(booked, default=payment["succeeded_at"])
        if _is_missed_since(since, books):
            yield since


def _is_missed_since(since: datetime, books: Books) -> bool:
    age: timedelta = books.now - since
    return YOUNG <= age < MAIL_KEPT
