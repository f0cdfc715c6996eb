"""The journey of an invoice: the answer that is nearest to the money comes first."""

import re
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.vocabulary import LIVE_PAYMENTS, OPEN_INVOICES
from deploy.ops.why.books import Books
from deploy.ops.why.mail import MAIL_KEPT, REASONS
from deploy.ops.why.story import as_json, journey, may_be_on_its_way
from services.chassis.ids import new_id
from services.notification.retention import RULES

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
CLINIC, INVOICE, PAYMENT = new_id(), new_id(), new_id()


def an_invoice(**changes: Any) -> dict[str, Any]:
    return {
        "id": INVOICE,
        "clinic_id": CLINIC,
        "number": "2026-000001",
        "status": "unpaid",
        "currency": "EUR",
        "total_amount": 9_000,
        "settled_amount": 0,
        "due": 9_000,
        "due_on": date(2026, 5, 20),
        "created_at": NOW - timedelta(days=1),
        "changed_at": NOW - timedelta(days=1),
        "paid_at": None,
        "being_checked": False,
        **changes,
    }


def a_payment(status: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": PAYMENT,
        "status": status,
        "amount": 9_000,
        "settled": 9_000,
        "currency": "EUR",
        "kind": "card",
        "method_kind": "card",
        "method_brand": "visa",
        "account": "acct_1",
        "intent": "pi_1",
        "failure_code": None,
        "declines": 0,
        "created_at": NOW - timedelta(hours=1),
        "updated_at": NOW - timedelta(minutes=30),
        "succeeded_at": None,
        "checked_at": NOW,
        "traceparent": None,
        **changes,
    }


def a_delivery(template: str, **changes: Any) -> dict[str, Any]:
    return {
        "template": template,
        "subject_id": INVOICE,
        "state": "sent",
        "attempts": 1,
        "last_error": None,
        "created_at": NOW - timedelta(hours=2),
        "sent_at": None,
        "failed_at": None,
        **changes,
    }


TOLD = a_delivery("invoice_ready", sent_at=NOW - timedelta(hours=2))


def books(**parts: Any) -> Books:
    """Of an invoice that nobody has paid, of which the client was told."""
    clinic = {"id": CLINIC, "slug": "harbour", "online_payment": True}
    return Books(**{"now": NOW, "invoice": an_invoice(), "clinic": clinic, "deliveries": [TOLD], **parts})


def code_of(found: Books) -> str | None:
    waits = journey(found).waits
    return waits.code if waits else None


PAID = an_invoice(status="paid", settled_amount=9_000, due=0, paid_at=NOW)
MOVED = {"id": new_id(), "payment_id": PAYMENT, "kind": "payment", "amount": 9_000, "booked_at": NOW}
PARKED = {
    "id": 7,
    "service": "invoice",
    "event_id": MOVED["id"],
    "topic": "payment.settled",
    "reason": "wrong_currency",
    "detail": "",
    "state": "waiting",
    "parked_at": NOW,
    "resolved_at": None,
}
LATE = {**MOVED, "booked_at": NOW - timedelta(minutes=2)}
NEW = an_invoice(created_at=NOW - timedelta(seconds=30), changed_at=NOW - timedelta(seconds=30))
UNTOLD = a_payment("succeeded", succeeded_at=NOW - timedelta(minutes=2))
"""It has no receipt."""


def unsent(service: str, topic: str, seconds: int) -> dict[str, Any]:
    return {"service": service, "topic": topic, "created_at": NOW - timedelta(seconds=seconds)}


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (books(), "never_tried"),
        (books(clinic={"id": CLINIC, "slug": "x", "online_payment": False}), "not_online"),
        (books(takes_payments=False), "account_not_ready"),
        (
            books(deliveries=[a_delivery("invoice_ready", state="failed", failed_at=NOW, last_error="550")]),
            "client_not_told",
        ),
        (books(payments=[a_payment("created")]), "client_left"),
        (books(payments=[a_payment("created", intent=None)]), "stripe_not_reached"),
        (books(payments=[a_payment("created")], at_stripe={"pi_1": "unknown"}), "stripe_away"),
        (books(payments=[a_payment("created")], at_stripe={"pi_1": "succeeded"}), "webhook_missing"),
        (books(payments=[a_payment("processing")], at_stripe={"pi_1": "processing"}), "bank_confirms"),
        (books(payments=[a_payment("failed", failure_code="expired_card", declines=1)]), "declined"),
        (books(payments=[a_payment("succeeded")], moved=[MOVED], behind={"invoice": 3}), "not_applied"),
        (
            books(
                unsent=[
                    {
                        "service": "payment",
                        "topic": "payment.settled",
                        "created_at": NOW - timedelta(minutes=1),
                    }
                ]
            ),
            "not_sent",
        ),
        (books(invoice=PAID), None),
        (books(invoice=PAID, deliveries=[a_delivery("receipt", state="due")]), "receipt_not_sent"),
        (books(invoice=PAID, deliveries=[a_delivery("receipt", sent_at=NOW)]), None),
    ],
)
def test_the_answer(found: Books, code: str | None) -> None:
    assert code_of(found) == code


@pytest.mark.parametrize(
    ("found", "code", "words", "help_words"),
    [
        # Stripe has the money: where are its webhooks?
        (
            {
                "payments": [a_payment("created")],
                "at_stripe": {"pi_1": "succeeded"},
                "behind": {"payment-stripe": 2},
            },
            "webhook_waits",
            "2 webhooks wait for payment's worker",
            "is payment's worker up?",
        ),
        (
            {
                "payments": [a_payment("created")],
                "at_stripe": {"pi_1": "succeeded"},
                "behind": {"payment-stripe": 0},
            },
            "webhook_missing",
            "no webhook has said so",
            "the sweep asks Stripe",
        ),
        (
            {"payments": [a_payment("created")], "at_stripe": {"pi_1": "succeeded"}, "kafka_away": True},
            "webhook_waits",
            "Kafka, where its webhooks wait, does not answer",
            "runbooks.md#when-kafka-or-a-broker-is-lost",
        ),
        # Payment has booked: where is its event?
        (
            {"moved": [LATE], "kafka_away": True},
            "not_applied",
            "and Kafka does not answer",
            "runbooks.md#when-kafka-or-a-broker-is-lost",
        ),
        ({"moved": [MOVED], "behind": {"invoice": 0}}, "on_its_way", "on its way", "ask again in a minute"),
        ({"moved": [MOVED]}, "on_its_way", "on its way", "ask again in a minute"),
        (
            {"moved": [MOVED], "behind": {"invoice": 1}},
            "not_applied",
            "1 event waits",
            "within seconds",
        ),
        (
            {"moved": [LATE], "behind": {"invoice": 1}},
            "not_applied",
            "1 event waits",
            "is invoice's worker up?",
        ),
        ({"moved": [LATE]}, "not_applied", "the invoice has not", "is invoice's worker up?"),
        (
            {"moved": [LATE], "behind": {"invoice": 0}},
            "not_applied",
            "the invoice has not",
            "reemit --service payment",
        ),
        (
            {"moved": [LATE], "behind": {"invoice": 0}, "unsent": [unsent("payment", "payment.settled", 4)]},
            "on_its_way",
            "on its way",
            "ask again in a minute",
        ),
        (
            {
                "moved": [LATE],
                "behind": {"invoice": 0},
                "unsent": [unsent("payment", "payment.settled", 120)],
            },
            "not_sent",
            "the relay has not sent it",
            "is the relay up",
        ),
        # Nobody has tried: was the client told?
        (
            {"deliveries": [a_delivery("invoice_ready", state="due", attempts=2, last_error="timeout")]},
            "client_not_told",
            "waits: timeout, after 2 tries",
            "is notification's worker up, and the mail server?",
        ),
        (
            {"deliveries": [a_delivery("invoice_ready", state="due", attempts=0)]},
            "client_not_told",
            "waits: not tried yet",
            "is notification's worker up, and the mail server?",
        ),
        (
            {
                "deliveries": [
                    a_delivery("invoice_ready", state="due", attempts=1, last_error="x", created_at=NOW)
                ]
            },
            "client_not_told",
            "waits: x, after 1 try",
            "the mail server",
        ),
        (
            {"deliveries": [a_delivery("invoice_ready", state="due", attempts=0, created_at=NOW)]},
            "never_tried",
            "nobody",
            "the client has not tried",
        ),
        (
            {"deliveries": [], "behind": {"notification": 3}},
            "client_not_told",
            "notification has not read invoice.created: 3 events wait for notification's worker",
            "is notification's worker up?",
        ),
        ({"deliveries": []}, "client_not_told", "not read invoice.created", "is notification's worker up?"),
        (
            {"deliveries": [], "behind": {"notification": 0}},
            "client_not_told",
            "not read invoice.created",
            "reemit --service invoice",
        ),
        (
            {
                "deliveries": [],
                "behind": {"notification": 0},
                "unsent": [unsent("invoice", "invoice.created", 3)],
            },
            "on_its_way",
            "not read invoice.created",
            "ask again in a minute",
        ),
        # An e-mail that was dropped, or waits for something else than the mail server.
        (
            {"deliveries": [a_delivery("invoice_ready", state="dropped", last_error="not_wanted")]},
            "client_not_told",
            "was not sent: the client wants no such e-mails",
            "tell the client in another way",
        ),
        (
            {"deliveries": [a_delivery("invoice_ready", state="waiting", last_error="no_contact")]},
            "client_not_told",
            "waits: the client has no e-mail address",
            "adds the client's e-mail address",
        ),
        (
            {
                "deliveries": [
                    a_delivery("invoice_ready", state="dropped", last_error="not_wanted"),
                    a_delivery("reminder", sent_at=NOW),
                ]
            },
            "never_tried",
            "nobody",
            "the client has not tried",
        ),
        # Nobody can pay what payment has not read.
        (
            {"read_by_payment": False, "behind": {"payment": 1}},
            "not_applied",
            "nobody can pay what it says: 1 event waits for payment's worker",
            "is payment's worker up?",
        ),
        (
            {"read_by_payment": False, "behind": {"payment": 2}, "invoice": NEW},
            "not_applied",
            "2 events wait for payment's worker",
            "within seconds",
        ),
        (
            {"read_by_payment": False, "behind": {"payment": 0}},
            "not_applied",
            "payment has not read the invoice",
            "reemit --service invoice",
        ),
        # A payment that succeeded, of which no e-mail tells.
        (
            {"invoice": PAID, "payments": [UNTOLD], "behind": {"notification": 2}},
            "receipt_not_sent",
            "notification has not read payment.succeeded: 2 events wait for notification's worker",
            "is notification's worker up?",
        ),
        (
            {"invoice": PAID, "payments": [UNTOLD], "behind": {"notification": 0}},
            "receipt_not_sent",
            "there is no receipt",
            "reemit --service payment",
        ),
        (
            {
                "invoice": PAID,
                "payments": [UNTOLD],
                "deliveries": [
                    a_delivery("receipt", subject_id=PAYMENT, state="failed", failed_at=NOW, last_error="550")
                ],
            },
            "receipt_not_sent",
            "the receipt was refused: 550",
            "correct the client's e-mail address",
        ),
        ({"deliveries": [], "invoice": NEW}, "never_tried", "nobody", "the client has not tried"),
        (
            {"deliveries": [], "invoice": an_invoice(created_at=NOW - timedelta(days=500))},
            "never_tried",
            "nobody",
            "the client has not tried",
        ),
    ],
)
def test_what_is_on_its_way_is_not_lost_and_who_was_not_told_has_not_left(
    found: dict[str, Any], code: str, words: str, help_words: str
) -> None:
    waits = journey(books(**found)).waits

    assert waits is not None
    assert waits.code == code
    assert words in waits.text
    assert help_words in waits.help
    assert ("reemit" in waits.help) == ("reemit" in help_words)


@pytest.mark.parametrize(
    ("found", "asked"),
    [
        (books(), False),
        (books(invoice=PAID, deliveries=[]), False),
        (books(invoice=NEW, deliveries=[]), False),
        (books(deliveries=[]), True),
        (books(read_by_payment=False), True),
        (books(invoice=PAID, read_by_payment=False), False),
        (books(invoice=PAID, payments=[UNTOLD]), True),
        (books(moved=[LATE]), True),
        (books(moved=[LATE], booked=[LATE]), False),
        (books(at_stripe={"pi_1": "processing"}), False),
        (books(at_stripe={"pi_1": "succeeded"}), True),
    ],
)
def test_kafka_is_asked_where_it_alone_knows(found: Books, asked: bool) -> None:
    assert may_be_on_its_way(found) == asked


@pytest.mark.parametrize(
    ("topic", "detail", "help_words"),
    [
        (
            "payment.settled",
            "movement_id: value_error",
            "no replay can read it. Look at it: `clinicpay parked show invoice 7`; discard it: "
            '`clinicpay parked discard invoice 7 --reason "why"`; '
            "then make the fact again: `clinicpay reemit --service payment`",
        ),
        (
            "stripe.event",
            "not JSON",
            "then Stripe's dashboard sends it again, and the sweep asks Stripe by itself",
        ),
        (
            "payment.settled",
            "not schema payment.settled/1",
            "a newer program wrote it: upgrade invoice, then: `clinicpay parked replay invoice 7`",
        ),
    ],
)
def test_what_no_replay_can_read_is_not_for_replay(topic: str, detail: str, help_words: str) -> None:
    waits = journey(
        books(parked=[{**PARKED, "topic": topic, "reason": "undecodable", "detail": detail}])
    ).waits

    assert waits is not None
    assert waits.text == f"{topic} is parked in invoice: undecodable ({detail})"
    assert help_words in waits.help
    assert ("replay invoice" in waits.help) == ("newer program" in help_words)


def a_refund(**changes: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "payment_id": PAYMENT,
        "status": "succeeded",
        "amount": 500,
        "currency": "EUR",
        "failure_reason": None,
        "created_at": NOW - timedelta(days=2),
        "updated_at": NOW,
        "refunded_at": NOW - timedelta(days=2),
        "destination": "method",
        **changes,
    }


def test_a_refund_that_came_back() -> None:
    refund = a_refund(status="failed", failure_reason="lost_or_stolen_card")
    told = journey(books(invoice=PAID, payments=[a_payment("succeeded", succeeded_at=NOW)], refunds=[refund]))

    assert told.waits is not None
    assert (told.waits.code, told.waits.since) == ("refund_returned", NOW)
    assert told.steps[-1].text == "Refund of 5.00 EUR to the method: returned, lost_or_stolen_card"


@pytest.mark.parametrize(
    ("again", "code"),
    [
        ({"status": "succeeded"}, None),
        ({"status": "pending"}, "refund_on_its_way"),
        ({"status": "canceled"}, "refund_returned"),
        ({"status": "succeeded", "amount": 400}, "refund_returned"),
        ({"status": "succeeded", "created_at": NOW - timedelta(days=3)}, "refund_returned"),
        ({"status": "succeeded", "payment_id": new_id()}, "refund_returned"),
    ],
)
def test_nobody_is_asked_to_give_money_back_twice(again: dict[str, Any], code: str | None) -> None:
    """A refund came back; another one of the same payment, made since, gives it back."""
    returned = a_refund(status="failed", updated_at=NOW - timedelta(days=1))
    newer = a_refund(created_at=NOW - timedelta(hours=1)) | again
    payment = a_payment("reversed", succeeded_at=NOW)
    waits = journey(books(invoice=PAID, payments=[payment], refunds=[returned, newer])).waits

    assert (waits and waits.code) == code


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("awaiting_approval", "approves it"),
        ("held", "can be undone"),
        ("created", "runbooks.md#queuebehind"),
        ("pending", "ten days"),
    ],
)
def test_a_refund_that_is_not_at_stripe_yet_waits_for_no_bank(status: str, words: str) -> None:
    told = journey(books(invoice=PAID, refunds=[a_refund(status=status)]))

    assert told.waits is not None
    assert words in told.waits.help
    assert ("banks" in told.waits.help) == (status == "pending")


def test_money_that_a_clinic_took_itself_was_never_at_stripe() -> None:
    cash = a_payment(
        "succeeded", kind="cash", method_kind=None, method_brand=None, intent=None, succeeded_at=NOW
    )
    steps = journey(books(invoice=PAID, payments=[cash], deliveries=[TOLD])).steps

    assert [step.text for step in steps if step.service == "Stripe"] == []
    assert any("recorded: 90.00 EUR by cash" in step.text for step in steps)


def test_two_declines_within_one_second_are_told_in_the_order_of_their_webhooks() -> None:
    """Stripe's time has whole seconds, and the database gives rows of one second in any order."""
    attempt = {
        "payment_id": PAYMENT,
        "failed_at": NOW,
        "charge": None,
        "method_kind": "card",
        "method_brand": None,
    }
    codes = ["insufficient_funds", "expired_card", "lost_card"]
    attempts = [{**attempt, "code": code, "observed_by": f"evt_{code}"} for code in codes]
    events = [
        {
            "id": f"evt_{code}",
            "type": "payment_intent.payment_failed",
            "received_at": NOW + timedelta(milliseconds=number),
            "applied_at": NOW + timedelta(seconds=1),
        }
        for number, code in enumerate(codes)
    ]
    payment = a_payment("failed", declines=3, failure_code=codes[-1])
    for order in permutations(attempts):
        steps = journey(books(payments=[payment], failed_attempts=order, events=events)).steps
        told = [step.text.split(": ")[1].split()[0] for step in steps if "declined by" in step.text]
        assert told == codes


def test_every_reason_of_an_e_mail_that_is_not_sent_has_words() -> None:
    """Of e-mails about invoices and receipts: kinds with a check of their own are neither."""
    source = (ROOT / "services/notification/emails/domain.py").read_text()
    decided = source.partition("def decide(")[2].partition("def decide_letter(")[0]
    reasons = set(re.findall(r'(?:Canceled|_waits)\("(\w+)"', decided))

    assert len(reasons) > 5
    assert reasons - {"no_address"} == REASONS.keys()  # a clinic has no address; these e-mails go to clients


def test_a_delay_stays_to_be_seen_once_it_is_over() -> None:
    """Invoice shows the ledger's time as its own; its inbox knows when it applied the movement."""
    ledger, applied = NOW, NOW + timedelta(minutes=3)
    invoice = an_invoice(status="paid", due=0, paid_at=ledger)
    booked = {"id": new_id(), "payment_id": PAYMENT, "kind": "payment", "amount": 9_000, "currency": "EUR"}
    told = journey(
        books(
            invoice=invoice,
            booked=[{**booked, "applied_at": applied}],
            payments=[a_payment("succeeded", succeeded_at=NOW)],
            entries=[
                {"payment_id": PAYMENT, "effect": "capture", "booked_at": ledger, "observed_by": "evt_1"}
            ],
        )
    )

    at = {step.text.split(" ", 1)[-1]: step.at for step in told.steps}
    assert at["booked in the ledger: capture"] == ledger
    assert at["of 90.00 EUR booked on the invoice"] == at["Paid"] == applied


def test_a_capture_is_told_after_its_beginning_though_stripe_has_whole_seconds() -> None:
    begun = NOW + timedelta(milliseconds=800)
    told = journey(books(payments=[a_payment("succeeded", created_at=begun, succeeded_at=NOW)]))

    texts = [step.text for step in told.steps]
    assert [text.split()[1] for text in texts if text.startswith("R-")] == ["begun:", "captured"]


def test_attempts_of_before_they_were_kept_are_told_by_the_payments_count() -> None:
    declined = a_payment("failed", failure_code="expired_card", declines=2)
    attempt = {
        "payment_id": PAYMENT,
        "failed_at": NOW,
        "code": "expired_card",
        "charge": "ch_1",
        "observed_by": "evt_1",
        "method_kind": "card",
        "method_brand": None,
    }
    number = f"R-{PAYMENT.hex[-10:].upper()}"
    one_kept = [step.text for step in journey(books(payments=[declined], failed_attempts=[attempt])).steps]
    both_kept = [
        step.text for step in journey(books(payments=[declined], failed_attempts=[attempt, attempt])).steps
    ]

    each = f"{number} declined by card: expired_card (This card has expired)"
    assert one_kept.count(f"{number} declined: expired_card (This card has expired), 2 declined tries") == 1
    assert one_kept.count(each) == 1
    assert [text for text in both_kept if "declined" in text] == [each, each]


def test_money_that_came_twice_is_told_as_credit() -> None:
    second = a_payment("succeeded", id=new_id(), succeeded_at=NOW, settled=0)
    told = journey(books(invoice=PAID, payments=[a_payment("succeeded", succeeded_at=NOW), second]))

    assert [step.text for step in told.steps if "client's credit" in step.text] == [
        f"R-{second['id'].hex[-10:].upper()}: 90.00 EUR is above what was due, and is the client's credit"
    ]


def test_a_parked_event_is_told_before_all_else() -> None:
    other = {**PARKED, "topic": "payment.updated"}
    told = journey(books(parked=[other], payments=[a_payment("failed")]))

    assert told.waits is not None
    assert told.waits.help == "mend the cause, then: `clinicpay parked replay invoice 7`"


def test_real_money_is_not_discarded_and_forged_money_not_replayed() -> None:
    """A movement has the id of its event, and payment's ledger has each one that is real."""
    real = journey(books(parked=[PARKED], moved=[MOVED])).waits
    unknown = {**PARKED, "event_id": new_id()}
    forged = journey(books(parked=[unknown], moved=[MOVED])).waits
    newer = journey(books(parked=[{**unknown, "parked_at": NOW + timedelta(seconds=1)}], moved=[MOVED])).waits

    assert real is not None and forged is not None
    assert "do not discard it" in real.help and "`clinicpay parked replay invoice 7`" in real.help
    assert (
        "do not replay it" in forged.help
        and '`clinicpay parked discard invoice 7 --reason "why"`' in forged.help
    )
    assert newer is not None and "ask again" in newer.help and "parked " not in newer.help
    assert "parked discard" not in real.help and "parked replay" not in forged.help


@given(
    status=st.sampled_from(OPEN_INVOICES),
    payments=st.lists(st.sampled_from(LIVE_PAYMENTS), max_size=3),
    at_stripe=st.sampled_from([{}, {"pi_1": "unknown"}, {"pi_1": "requires_action"}]),
    failure=st.one_of(st.none(), st.text(max_size=20)),
)
def test_an_open_invoice_always_has_an_answer(
    status: str, payments: list[str], at_stripe: dict[str, str], failure: str | None
) -> None:
    made = [a_payment(each, id=new_id(), failure_code=failure) for each in payments]
    told = journey(books(invoice=an_invoice(status=status), payments=made, at_stripe=at_stripe))

    assert told.waits is not None
    assert told.waits.text
    assert told.waits.help
    assert as_json([told])
    assert list(told.steps) == sorted(told.steps, key=lambda step: step.at)


def test_an_e_mail_is_missed_for_as_long_as_it_is_kept() -> None:
    assert [rule.keep for rule in RULES if rule.table == "deliveries"] == [MAIL_KEPT]


def test_the_documents_name_every_answer() -> None:
    source = "".join(path.read_text() for path in (ROOT / "deploy/ops/why").glob("*.py"))
    made = set(re.findall(r'(?:Waiting|_unsent)\(\s*"(\w+)"|: str = "(\w+)"|books, "(\w+)"', source))
    made = {code for codes in made for code in codes if code}
    page = (ROOT / "docs/operations.md").read_text().partition("| `waits_for.code` |")[2].partition("\n\n")[0]

    assert len(made) > 10
    assert set(re.findall(r"`(\w+)`", page)) == made
