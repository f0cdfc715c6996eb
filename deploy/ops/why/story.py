"""The journey of an invoice, from its rows: steps in their order, and one answer to "what does it wait for?". Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.declines import Decline, decline
from contracts.events import topics
from contracts.events.payment import receipt_number
from contracts.vocabulary import ACCEPTED_AS, LIVE_PAYMENTS, is_returned
from deploy.ops.why import mail
from deploy.ops.why.books import Books
from deploy.ops.why.references import Row
from deploy.ops.why.waiting import IF_IT_STAYS, KAFKA_AWAY, Waiting, number_of, unread, worker_help
from services.chassis.locale.money import plain
from services.payment.stripe.observations import SWEEP

SENT_SOON = timedelta(seconds=5)
"""The relay sends within this time."""
_UNSENT_REFUNDS = {
    "awaiting_approval": "another login or key of the clinic approves it, or not",
    "held": "nothing: it goes at its time, and can be undone until then",
    "created": f"{IF_IT_STAYS}, docs/runbooks.md#queuebehind",
}
"""The help with a refund that Stripe does not have yet, by its status."""
_WRITERS = {topic.name: topic.writer for topic in topics.ALL}


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened, when, and in which service. `refs`: the ids that it is known by elsewhere."""

    at: datetime
    service: str
    text: str
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Journey:
    title: str
    steps: tuple[Step, ...]
    waits: Waiting | None
    """None: nothing waits."""


def journey(books: Books) -> Journey:
    steps = sorted(_steps(books), key=lambda step: step.at)
    return Journey(_title(books), tuple(steps), next(_waits(books), None))


def may_be_on_its_way(books: Books) -> bool:
    """Whether only Kafka knows if an event waits, or was lost."""
    at_stripe = "succeeded" in books.at_stripe.values()
    unread_invoice = books.is_open and not books.read_by_payment
    return at_stripe or bool(_missing(books)) or unread_invoice or mail.is_missed(books)


def journey_of_applied(event: Row) -> Journey:
    """Of an event of Stripe's that is about no payment."""
    text = f"Webhook {event['type']}: applied; it is about no payment of ours"
    step = Step(event["received_at"], "payment", text, (event["subject"],))
    return Journey(f"Stripe's event {event['id']}", (step,), None)


def journey_of_parked(event: Row) -> Journey:
    """Of an event of Stripe's that is about no payment that is known, and was parked."""
    waits = _parked(event) if event["state"] == "waiting" else None
    return Journey(f"Stripe's event {event['event']}", tuple(_of_parked(event)), waits)


def _title(books: Books) -> str:
    invoice = books.invoice
    if invoice is not None:
        of = f" of {books.clinic['slug']}" if books.clinic else ""
        return f"Invoice {invoice['number']}{of}: {invoice['status']}, {_money(invoice['due'], invoice)} due"
    payment = books.payments[0]
    amount = _money(payment["amount"], payment)
    return f"Payment {receipt_number(payment['id'])}: {payment['status']}, {amount}, for no invoice"


def _money(minor: int, of: Row) -> str:
    return f"{plain(minor, of['currency'])} {of['currency']}"


def _steps(books: Books) -> Iterator[Step]:
    yield from _of_invoice(books)
    came = {event["id"]: event["received_at"] for event in books.events}
    # Stripe's time has whole seconds: of two attempts within one, the first is the one whose webhook came first.
    attempts = sorted(
        books.failed_attempts, key=lambda each: (each["failed_at"], came.get(each["observed_by"], books.now))
    )
    for payment in books.payments:
        failed = [each for each in attempts if each["payment_id"] == payment["id"]]
        yield from _of_payment(payment, failed)
    numbers = {payment["id"]: receipt_number(payment["id"]) for payment in books.payments}
    for entry in books.entries:
        what = entry["effect"].replace("_", " ")
        swept = ", by the sweep, before a webhook came" if entry["observed_by"] == SWEEP else ""
        yield Step(
            entry["booked_at"],
            "payment",
            f"{numbers[entry['payment_id']]} booked in the ledger: {what}{swept}",
        )
    for refund in books.refunds:
        yield from _of_refund(refund)
    for dispute in books.disputes:
        yield Step(
            dispute["opened_at"],
            "payment",
            f"Dispute over {_money(dispute['amount'], dispute)} opened: {dispute['reason'] or 'no reason given'}",
            (str(dispute["id"]),),
        )
    for delivery in books.deliveries:
        yield from _of_delivery(delivery)
    for event in books.events:
        yield _of_event(event, books)
    for parked in books.parked:
        yield from _of_parked(parked)


def _of_invoice(books: Books) -> Iterator[Step]:
    invoice = books.invoice
    if invoice is None:
        return
    total = _money(invoice["total_amount"], invoice)
    yield Step(
        invoice["created_at"],
        "invoice",
        f"Issued: {total}, due on {invoice['due_on']}",
        (str(invoice["id"]),),
    )
    for document in books.documents:
        yield Step(
            document["issued_at"], "invoice", f"{document['kind'].replace('_', ' ')} {document['number']}"
        )
    for moved in books.booked:
        yield Step(
            moved["applied_at"],
            "invoice",
            f"{moved['kind'].replace('_', ' ')} of {_money(moved['amount'], moved)} booked on the invoice",
            (str(moved["payment_id"]),),
        )
    if invoice["paid_at"] is not None:
        # `paid_at` is the ledger's time: the invoice showed it once the last movement was applied.
        applied = [moved["applied_at"] for moved in books.booked if moved["kind"] in ("payment", "credit")]
        yield Step(max([invoice["paid_at"], *applied]), "invoice", "Paid")


def _of_payment(payment: Row, failed: Sequence[Row]) -> Iterator[Step]:
    number = receipt_number(payment["id"])
    refs = (str(payment["id"]), *filter(None, (payment["intent"], _trace(payment))))
    way = payment["method_brand"] or payment["method_kind"] or payment["kind"]
    begun = "begun" if payment["kind"] in ACCEPTED_AS else "recorded"
    yield Step(
        payment["created_at"],
        "payment",
        f"{number} {begun}: {_money(payment['amount'], payment)} by {way}",
        refs,
    )
    for attempt in failed:
        yield _of_attempt(payment, attempt)
    status = payment["status"]
    if status == "failed" and len(failed) < max(payment["declines"], 1):
        yield Step(payment["updated_at"], "payment", f"{number} declined: {_why(payment)}, {_tries(payment)}")
    elif status in ("processing", "canceled", "requires_action"):
        words = {
            "processing": "with the bank",
            "canceled": "ended without money",
            "requires_action": "not confirmed yet",
        }
        why = f": {payment['failure_code']}" if payment["failure_code"] else ""
        yield Step(payment["updated_at"], "payment", f"{number} {words[status]}{why}")
    if payment["succeeded_at"] is not None:
        tried = f", after {_tries(payment)}" if payment["declines"] else ""
        if payment["kind"] in ACCEPTED_AS:
            yield Step(_at_stripe(payment, payment["succeeded_at"]), "Stripe", f"{number} captured{tried}")
        if (more := payment["amount"] - payment["settled"]) > 0:
            kept = f"{number}: {_money(more, payment)} is above what was due, and is the client's credit"
            yield Step(payment["updated_at"], "payment", kept)


def _of_attempt(payment: Row, attempt: Row) -> Step:
    way = attempt["method_brand"] or attempt["method_kind"] or payment["kind"]
    words = decline(attempt["code"], attempt["method_kind"] or payment["method_kind"])
    return Step(
        _at_stripe(payment, attempt["failed_at"]),
        "Stripe",
        f"{receipt_number(payment['id'])} declined by {way}: {_coded(attempt['code'], words)}",
        tuple(filter(None, (attempt["charge"],))),
    )


def _of_event(event: Row, books: Books) -> Step:
    late = (event["applied_at"] - event["received_at"]).total_seconds()
    waited = f", {late:.0f} s after it came" if late > 5 else ""
    return Step(
        event["received_at"],
        "payment",
        f"Webhook {event['type']}: {_outcome(event, books)}{waited}",
        (event["id"],),
    )


def _outcome(event: Row, books: Books) -> str:
    """The effect of an event of Stripe's that was applied."""
    if any(entry["observed_by"] == event["id"] for entry in books.entries):
        return "booked"
    if any(attempt["observed_by"] == event["id"] for attempt in books.failed_attempts):
        return "a failed attempt"
    booked = any(entry["effect"] == "capture" for entry in books.entries)
    return "known before" if booked and event["type"] == "payment_intent.succeeded" else "applied"


def _of_parked(parked: Row) -> Iterator[Step]:
    yield Step(parked["parked_at"], parked["service"], f"{parked['topic']} parked: {parked['reason']}")
    if parked["resolved_at"] is not None:
        yield Step(parked["resolved_at"], parked["service"], f"{parked['topic']} {parked['state']}")


def _at_stripe(payment: Row, at: datetime) -> datetime:
    """Stripe's time has whole seconds, so it may be a little before the payment began."""
    second = payment["created_at"].replace(microsecond=0)
    return max(at, payment["created_at"]) if at >= second else at


def _trace(payment: Row) -> str | None:
    parts = (payment["traceparent"] or "").split("-")
    return parts[1] if len(parts) == 4 else None


def _why(payment: Row) -> str:
    return _coded(payment["failure_code"], decline(payment["failure_code"], payment["method_kind"]))


def _coded(code: str | None, words: Decline) -> str:
    return f"{code or 'no code'} ({words.reason.rstrip('.')})"


def _tries(payment: Row) -> str:
    count = payment["declines"]
    return "1 declined try" if count == 1 else f"{count} declined tries"


def _of_refund(refund: Row) -> Iterator[Step]:
    what = f"Refund of {_money(refund['amount'], refund)} to the {refund['destination']}"
    yield Step(refund["created_at"], "payment", f"{what} asked for", (str(refund["id"]),))
    if refund["refunded_at"] is not None:
        yield Step(refund["refunded_at"], "payment", f"{what}: sent")
    if refund["status"] == "failed":
        yield Step(
            refund["updated_at"],
            "payment",
            f"{what}: returned, {refund['failure_reason'] or 'no reason given'}",
        )


def _of_delivery(delivery: Row) -> Iterator[Step]:
    name = f"E-mail {delivery['template']}"
    if delivery["sent_at"] is not None:
        yield Step(delivery["sent_at"], "notification", f"{name} sent")
    elif delivery["failed_at"] is not None:
        yield Step(delivery["failed_at"], "notification", f"{name} failed: {delivery['last_error']}")
    else:
        yield Step(delivery["created_at"], "notification", f"{name} {delivery['state']}")


def _waits(books: Books) -> Iterator[Waiting]:
    """The answers that fit, the first of which is the nearest to the money."""
    yield from _on_a_person(books)
    yield from _on_our_parts(books)
    yield from _on_refunds_and_disputes(books)
    if books.invoice is None or books.is_open:
        yield from _on_payments(books)
        yield from _on_the_client(books)
    yield from mail.about_receipts(books)


def _on_a_person(books: Books) -> Iterator[Waiting]:
    for parked in books.parked:
        if parked["state"] == "waiting":
            # An event that was parked after the reading began may be of a movement that was booked after it too.
            known = parked["parked_at"] <= books.now
            yield _parked(parked, {row["id"] for row in books.moved} if known else None)


def _parked(parked: Row, moved: Collection[UUID] | None = None) -> Waiting:
    """`moved`: the movements in payment's ledger, if they are known. A real `payment.settled` has the id of one."""
    unreadable = parked["reason"] == "undecodable"
    breach = f" ({parked['detail']})" if unreadable and parked["detail"] else ""
    return Waiting(
        "event_parked",
        f"{parked['topic']} is parked in {parked['service']}: {parked['reason']}{breach}",
        parked["parked_at"],
        _help_with_unreadable(parked) if unreadable else _help_with_readable(parked, moved),
    )


def _help_with_readable(parked: Row, moved: Collection[UUID] | None) -> str:
    named = f"{parked['service']} {parked['id']}"
    replay = f"mend the cause, then: `clinicpay parked replay {named}`"
    if parked["topic"] != topics.PAYMENT_SETTLED.name:
        return replay
    if moved is None:
        return "nothing yet: ask again, to learn whether payment's ledger has this money"
    if parked["event_id"] in moved:
        return f"payment's ledger has this money, so do not discard it: {replay}"
    return (
        "payment's ledger has no such movement, so do not replay it: it would count money that nobody took. Find out "
        f'who wrote it, then: `clinicpay parked discard {named} --reason "why"`'
    )


def _help_with_unreadable(parked: Row) -> str:
    topic, named = parked["topic"], f"{parked['service']} {parked['id']}"
    replay = f"`clinicpay parked replay {named}`"
    if (parked["detail"] or "").startswith("not schema "):
        return f"a newer program wrote it: upgrade {parked['service']}, then: {replay}"
    again = (
        "Stripe's dashboard sends it again, and the sweep asks Stripe by itself"
        if topic == topics.STRIPE_EVENT.name
        else f"make the fact again: `clinicpay reemit --service {_WRITERS[topic]}`"
    )
    return (
        f"no replay can read it. Look at it: `clinicpay parked show {named}`; discard it: "
        f'`clinicpay parked discard {named} --reason "why"`; then {again}'
    )


def _on_our_parts(books: Books) -> Iterator[Waiting]:
    for event in books.unsent:
        if books.now - event["created_at"] > SENT_SOON:
            yield Waiting(
                "not_sent",
                f"{event['topic']} is in the outbox of {event['service']}: the relay has not sent it",
                event["created_at"],
                "is the relay up, and Kafka? docs/runbooks.md#outboxnotsent",
            )
    if missing := _missing(books):
        text = "the ledger has booked it, and the invoice has not"
        yield unread("invoice", "payment", text, min(row["booked_at"] for row in missing), books)


def _missing(books: Books) -> list[Row]:
    """Movements that payment has booked, and invoice has not."""
    known = {row["id"] for row in books.booked}
    return [row for row in books.moved if books.invoice is not None and row["id"] not in known]


def _on_refunds_and_disputes(books: Books) -> Iterator[Waiting]:
    for refund in books.refunds:
        if refund["status"] == "failed" and not _is_made_again(refund, books):
            yield Waiting(
                "refund_returned",
                f"the bank returned the refund: {refund['failure_reason'] or 'no reason given'}",
                refund["updated_at"],
                "the clinic has the money, and no refund was begun since. Its staff decide: a new refund, or another "
                "way, once",
            )
        elif refund["status"] not in ("succeeded", "failed", "canceled"):
            yield Waiting(
                "refund_on_its_way",
                f"the refund is {refund['status']}",
                refund["updated_at"],
                _UNSENT_REFUNDS.get(refund["status"], "nothing: banks take up to ten days"),
            )
    for dispute in books.disputes:
        if dispute["status"] in ("needs_response", "warning_needs_response"):
            yield Waiting(
                "evidence_wanted",
                f"the bank waits for evidence until {dispute['due_by']}",
                dispute["opened_at"],
                "the clinic submits evidence, or accepts the loss",
            )


def _is_made_again(returned: Row, books: Books) -> bool:
    """Whether newer refunds of the same payment give back as much as came back."""
    again = [
        refund["amount"]
        for refund in books.refunds
        if refund["payment_id"] == returned["payment_id"]
        and refund["created_at"] >= returned["updated_at"]
        and not is_returned(refund["status"])
    ]
    return bool(sum(again) >= returned["amount"])


def _on_payments(books: Books) -> Iterator[Waiting]:
    live = [row for row in books.payments if row["status"] in LIVE_PAYMENTS]
    for payment in sorted(live, key=lambda row: row["updated_at"], reverse=True):
        at_stripe = books.at_stripe.get(payment["intent"] or "")
        yield _on_payment(payment, at_stripe, books)


def _on_payment(payment: Row, at_stripe: str | None, books: Books) -> Waiting:
    number, since = receipt_number(payment["id"]), payment["updated_at"]
    webhooks = books.behind.get("payment-stripe", 0)
    if payment["intent"] is None:
        return Waiting(
            "stripe_not_reached",
            f"{number} has no PaymentIntent: Stripe did not answer when it was begun",
            payment["created_at"],
            "the client may press Pay again; docs/runbooks.md#stripeunreachable",
        )
    if at_stripe == "unknown":
        return Waiting(
            "stripe_away",
            f"{number} is {payment['status']} here, and Stripe does not answer now",
            since,
            "docs/runbooks.md#stripeunreachable",
        )
    if at_stripe == "succeeded" and webhooks:
        return Waiting(
            "webhook_waits",
            f"Stripe has taken the money of {number}: {number_of(webhooks, 'webhook')} for payment's worker",
            since,
            worker_help("payment", young=False),
        )
    if at_stripe == "succeeded" and books.kafka_away:
        return Waiting(
            "webhook_waits",
            f"Stripe has taken the money of {number}, and Kafka, where its webhooks wait, does not answer",
            since,
            f"nothing is lost: the sweep books it without them; {KAFKA_AWAY}",
        )
    if at_stripe == "succeeded":
        return Waiting(
            "webhook_missing",
            f"Stripe has taken the money of {number}, and no webhook has said so",
            since,
            "the sweep asks Stripe by itself, within minutes. Does payment's api log webhook_signature_wrong? "
            "docs/runbooks.md#webhooksnotsigned; Stripe's dashboard lists the endpoint's failed deliveries, and "
            "`clinicpay stripe check` looks at its settings",
        )
    if payment["status"] == "processing":
        return Waiting(
            "bank_confirms", f"the bank has not decided on {number}", since, "nothing: debits take days"
        )
    if payment["status"] == "failed":
        return Waiting(
            "declined",
            f"{number} was declined: {_why(payment)}",
            since,
            f"tell the client: {decline(payment['failure_code'], payment['method_kind']).advice}",
        )
    return Waiting(
        "client_left",
        f"the client began {number} and did not finish"
        + (" at the bank's page" if payment["status"] == "requires_action" else ""),
        payment["created_at"],
        "the client pays again; a new payment takes this one's place",
    )


def _on_the_client(books: Books) -> Iterator[Waiting]:
    invoice, clinic = books.invoice, books.clinic
    if invoice is None or clinic is None:
        return
    if not clinic["online_payment"]:
        yield Waiting(
            "not_online",
            "the clinic takes no payments online",
            invoice["created_at"],
            "its setting online_payment",
        )
    if not books.takes_payments:
        yield Waiting(
            "account_not_ready",
            "the clinic's Stripe account can take no payments",
            None,
            f"GET /api/v1/clinics/{clinic['id']}/stripe-account says what Stripe asks for",
        )
    if not books.read_by_payment:
        text = "payment has not read the invoice's newest state: nobody can pay what it says"
        yield unread("payment", "invoice", text, invoice["changed_at"], books)
    yield from mail.about_the_invoice(books)
    yield Waiting(
        "never_tried",
        "nobody has begun to pay it",
        max(mail.told_at(books), default=invoice["created_at"]),
        "nothing is wrong here: the client has not tried",
    )


def as_json(found: Sequence[Journey]) -> list[dict[str, Any]]:
    """For programs: times in ISO 8601."""
    return [
        {
            "title": each.title,
            "steps": [
                {
                    "at": step.at.isoformat(),
                    "service": step.service,
                    "text": step.text,
                    "refs": list(step.refs),
                }
                for step in each.steps
            ],
            "waits_for": None
            if each.waits is None
            else {
                "code": each.waits.code,
                "text": each.waits.text,
                "since": each.waits.since and each.waits.since.isoformat(),
                "help": each.waits.help,
            },
        }
        for each in found
    ]
