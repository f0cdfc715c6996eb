"""Which events lead to which e-mails. Real PostgreSQL, the real wrapper, a real SMTP server."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.events.account import AccountUpdated
from contracts.events.clinic import ClinicUpdated
from contracts.events.envelope import event_id
from contracts.events.invoice import InvoicePaid, InvoiceState, InvoiceUpdated
from contracts.events.payment import PaymentDisputed, PaymentFailed, PaymentSucceeded
from services.chassis.ids import new_id
from services.chassis.queue.domain import Waits
from services.notification import consumers
from services.notification.emails import actions
from services.notification.emails.sending import Sender
from services.notification.projections import actions as projections
from tests.builders.clinics import a_clinic
from tests.builders.disputes import a_dispute
from tests.builders.events import deliver, next_state, waiting_parked
from tests.builders.invoices import a_correction, an_invoice
from tests.builders.payments import a_payment, a_payment_of, a_reversal
from tests.builders.refunds import a_refund
from tests.builders.values import eur
from tests.running.databases import ServiceDb
from tests.running.notification import MailServer, a_reachable_client, delivery_states, make_due, put_contact


async def test_a_payment_over_two_invoices_has_one_receipt_however_often_it_is_told(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    first, second = (
        an_invoice(clinic.clinic_id, client_id),
        an_invoice(clinic.clinic_id, client_id, eur(50), number="2026-000002"),
    )
    paid = [next_state(InvoicePaid, each, 2, status="paid", settled=each.total) for each in (first, second)]
    payment = a_payment_of(PaymentSucceeded, first, second)
    again = next_state(PaymentSucceeded, payment, 2)

    await deliver(db_notification.worker, consumers, first, second, payment, payment, *paid)
    await deliver(db_notification.worker, consumers, payment)
    await sender.send_due()
    await deliver(db_notification.worker, consumers, again)
    await make_due(db_notification)
    await sender.send_due()

    assert mail.subjects() == ["Receipt for your payment of €175.00"]
    body = mail.inbox[0].get_body(("plain",))
    assert body is not None
    assert "2026-000001" in body.get_content() and "2026-000002" in body.get_content()
    assert await waiting_parked(db_notification) == []


async def test_a_refund_is_told_once_however_often_it_is_said(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    refunds = [a_refund(clinic.clinic_id, client_id, amount) for amount in (eur(25), eur(7))]
    again = refunds[0].model_copy(update={"id": new_id()})

    await deliver(db_notification.worker, consumers, *refunds, refunds[0], again)
    await deliver(db_notification.worker, consumers, refunds[0], again)
    await sender.send_due()

    assert sorted(mail.subjects()) == [
        "We sent €25.00 back to your card",
        "We sent €7.00 back to your card",
    ]
    assert await waiting_parked(db_notification) == []


@pytest.mark.parametrize("paid_since", [False, True])
async def test_money_that_was_taken_back_is_told_once_with_what_was_due_then(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, paid_since: bool
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    invoice = an_invoice(clinic.clinic_id, client_id)
    back = a_reversal(invoice, eur(75), eur(125))
    newest: InvoiceState = next_state(InvoiceUpdated, invoice, 3)
    if paid_since:
        newest = next_state(InvoicePaid, invoice, 4, status="paid", settled=invoice.total)

    await deliver(db_notification.worker, consumers, invoice, back, back)
    await sender.send_due()
    await deliver(db_notification.worker, consumers, newest, back)
    await make_due(db_notification)
    await sender.send_due()

    about = [each for each in mail.inbox if "taken back" in each["Subject"]]
    assert [each["Subject"] for each in about] == ["A payment of €75.00 was taken back - Harbour Clinic"]
    body = about[0].get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert "Taken off Invoice 2026-000001: €75.00" in text
    assert "Now to be paid on Invoice 2026-000001: €125.00" in text
    # A button with a sum has the sum of the e-mail.
    assert ("Pay €125.00" in text) is not paid_since and text.count("Pay €") == (not paid_since)


@pytest.mark.parametrize("order", ["paid first", "taken back first"])
async def test_no_receipt_follows_the_e_mail_that_its_payment_was_taken_back(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, order: str
) -> None:
    """A receipt may wait for its file, and topics are read in any order."""
    clinic, client_id = await a_reachable_client(db_notification)
    invoice = an_invoice(clinic.clinic_id, client_id)
    back = a_reversal(invoice, eur(75), eur(125))
    paid = a_payment(PaymentSucceeded, clinic.clinic_id, (invoice.invoice_id, eur(75)), client_id=client_id)
    paid = paid.model_copy(update={"payment_id": back.payment_id})
    events = (paid, back) if order == "paid first" else (back, paid)

    await deliver(db_notification.worker, consumers, invoice)
    await sender.send_due()
    for event in events:
        await deliver(db_notification.worker, consumers, event)
    await make_due(db_notification)
    await sender.send_due()

    about = [subject for subject in mail.subjects() if "is ready" not in subject]
    assert about == ["A payment of €75.00 was taken back"]
    dropped = await db_notification.admin.fetch(
        "SELECT state, last_error FROM deliveries WHERE template = 'receipt'"
    )
    assert [tuple(row) for row in dropped] == [("dropped", "undone_since")]


@pytest.mark.parametrize("takes", [False, True])
async def test_an_invoice_is_not_asked_for_online_while_the_clinics_account_cannot_charge(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, takes: bool
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    states = [
        AccountUpdated(
            id=new_id(), time=clinic.time, clinic_id=clinic.clinic_id, version=at, takes_payments=can
        )
        for at, can in ((2, takes), (1, not takes))
    ]

    await deliver(db_notification.worker, consumers, *states)
    await deliver(db_notification.worker, consumers, an_invoice(clinic.clinic_id, client_id))
    await sender.send_due()

    body = mail.inbox[0].get_body(("plain",))
    assert body is not None
    assert ("Pay €125.00" in body.get_content()) is takes
    assert ("please contact the clinic" in body.get_content()) is not takes


async def test_an_email_waits_for_the_contact_and_goes_when_it_is_put(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = a_clinic(), new_id()
    await deliver(db_notification.worker, consumers, clinic, an_invoice(clinic.clinic_id, client_id))
    await sender.send_due()
    assert mail.inbox == []
    assert await delivery_states(db_notification) == [("invoice_ready", "waiting", 0, "no_contact")]

    await put_contact(db_notification, clinic.clinic_id, client_id)
    await sender.send_due()

    assert mail.subjects() == ["Invoice 2026-000001 over €125.00 is ready"]
    assert await delivery_states(db_notification) == [("invoice_ready", "sent", 1, None)]


async def test_a_contact_that_is_put_while_its_email_is_looked_at_is_not_forgotten(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = a_clinic(), new_id()
    await deliver(db_notification.worker, consumers, clinic, an_invoice(clinic.clinic_id, client_id))
    await sender.send_due()
    await make_due(db_notification)
    async with db_notification.worker.worker_tx() as tx:
        (claim,) = await actions.claim_emails(tx, 1, timedelta(minutes=1))
    await put_contact(db_notification, clinic.clinic_id, client_id)
    async with db_notification.worker.worker_tx() as tx:
        await actions.record_outcome(tx, claim.delivery, Waits("no_contact", timedelta(seconds=2)))

    assert await delivery_states(db_notification) == [("invoice_ready", "due", 0, "no_contact")]
    assert await sender.send_due() == len(mail.inbox) == 1, "at once"


async def test_a_failure_is_told_once_it_has_not_been_mended(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    invoice = an_invoice(clinic.clinic_id, client_id)
    failed = a_payment_of(PaymentFailed, invoice, failure_code="card_declined")
    await deliver(db_notification.worker, consumers, invoice, failed, next_state(PaymentFailed, failed, 2))
    await deliver(db_notification.worker, consumers, next_state(PaymentFailed, failed, 3))
    await sender.send_due()
    assert mail.subjects() == ["Invoice 2026-000001 over €125.00 is ready"], (
        "the client may be on the page still"
    )

    await make_due(db_notification)
    await sender.send_due()
    assert mail.subjects() == [
        "Invoice 2026-000001 over €125.00 is ready",
        "Your payment of €125.00 did not go through",
    ]


async def test_a_failure_is_not_told_while_its_invoice_is_being_checked(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    invoice = an_invoice(clinic.clinic_id, client_id)
    await deliver(db_notification.worker, consumers, invoice)
    await sender.send_due()
    checked = next_state(InvoiceUpdated, invoice, 2, being_checked=True)
    await deliver(db_notification.worker, consumers, checked, a_payment_of(PaymentFailed, invoice))
    await make_due(db_notification)
    await sender.send_due()
    assert mail.subjects() == ["Invoice 2026-000001 over €125.00 is ready"]

    await deliver(db_notification.worker, consumers, next_state(InvoiceUpdated, invoice, 3))
    await make_due(db_notification)
    await sender.send_due()
    assert mail.subjects() == [
        "Invoice 2026-000001 over €125.00 is ready",
        "Your payment of €125.00 did not go through",
    ]


@pytest.mark.parametrize("late", [False, True])
async def test_a_failure_that_was_mended_is_not_told_whatever_the_order(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, late: bool
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    invoice = an_invoice(clinic.clinic_id, client_id)
    failed = a_payment_of(PaymentFailed, invoice)
    succeeded = next_state(PaymentSucceeded, failed, 2, status="succeeded")
    await deliver(db_notification.worker, consumers, invoice)
    for event in (succeeded, failed) if late else (failed, succeeded):
        await deliver(db_notification.worker, consumers, event)
        await db_notification.admin.execute("UPDATE deliveries SET created_at = now() - interval '1 day'")
    await make_due(db_notification)
    await sender.send_due()
    assert mail.subjects() == [
        "Invoice 2026-000001 over €125.00 is ready",
        "Receipt for your payment of €125.00",
    ]


async def test_an_older_version_overwrites_neither_invoice_nor_clinic(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    invoice = an_invoice(clinic.clinic_id, client_id)
    newer = next_state(InvoiceUpdated, invoice, 3, settled=eur(100), status="part_paid")
    renamed = next_state(ClinicUpdated, clinic, 3, name="Harbour Clinic West")
    older = next_state(InvoiceUpdated, invoice, 2)
    await deliver(db_notification.worker, consumers, newer, older, renamed)
    await deliver(
        db_notification.worker,
        consumers,
        invoice,
        next_state(ClinicUpdated, clinic, 2, name="Harbour Clinic East"),
    )

    await sender.send_due()

    body = mail.inbox[0].get_body(("plain",))
    assert body is not None
    assert "Pay €25.00" in body.get_content()
    assert mail.inbox[0]["From"].addresses[0].display_name == "Harbour Clinic West"


async def test_an_invoice_paid_before_its_email_left_is_not_announced(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    invoice = an_invoice(clinic.clinic_id, client_id)
    paid = next_state(InvoicePaid, invoice, 2, status="paid", settled=invoice.total)
    await deliver(db_notification.worker, consumers, invoice, paid)
    await sender.send_due()
    assert mail.inbox == []
    assert await delivery_states(db_notification) == [("invoice_ready", "dropped", 0, "nothing_to_pay")]


async def test_a_batch_costs_the_same_statements_however_large(db_notification: ServiceDb) -> None:
    clinic, client_id = await a_reachable_client(db_notification)

    async def statements(size: int) -> int:
        invoices = [an_invoice(clinic.clinic_id, client_id) for _ in range(size)]
        payments = [a_payment_of(PaymentSucceeded, each) for each in invoices]
        counted: list[Any] = []
        pool = await db_notification.worker.opened()
        async with pool.acquire() as connection, connection.transaction():
            with connection.query_logger(counted.append):
                await projections.upsert_invoices(connection, invoices)
                await actions.queue_emails(connection, invoices)
                await actions.queue_emails(connection, payments)
        return len(counted)

    await statements(1)  # asyncpg asks for the types once
    assert await statements(1) == await statements(50) == 6


async def test_a_credit_note_and_a_void_are_told_and_a_write_off_is_not(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    invoices = [an_invoice(clinic.clinic_id, client_id, number=f"2026-00000{at}") for at in (1, 2, 3)]
    corrections = [
        a_correction(invoices[0], 2_500),
        a_correction(invoices[1], 12_500, kind="void", number=None),
        a_correction(invoices[2], 12_500, kind="write_off", number=None),
    ]

    await deliver(db_notification.worker, consumers, *invoices, *corrections)
    await deliver(db_notification.worker, consumers, *corrections)
    await sender.send_due()

    assert sorted(mail.subjects()) == [
        "Credit note for invoice 2026-000001",
        "Invoice 2026-000001 over €100.00 is ready",
        "Invoice 2026-000002 is cancelled",
    ]
    told = next(each for each in mail.inbox if "Credit note" in each["subject"]).get_body(("plain",))
    assert told is not None
    assert "took €25.00 off invoice 2026-000001" in told.get_content()
    assert "€100.00 is still to be paid." in told.get_content()


async def test_a_clinic_is_told_once_that_a_dispute_opens_and_how_it_ends(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    opened = a_dispute(clinic.clinic_id, client_id, eur(50))
    lost = next_state(PaymentDisputed, opened, 4, status="lost")
    told = [
        opened,
        next_state(PaymentDisputed, opened, 2, taken=eur(45)),
        next_state(PaymentDisputed, opened, 3, status="under_review", has_evidence=True),
        lost,
        next_state(PaymentDisputed, lost, 5, taken=eur(44)),
    ]

    # As the dispute goes on, its events are hours apart.
    told = [
        each.model_copy(update={"id": event_id(opened.opened_at + timedelta(hours=hours), each.id)})
        for hours, each in enumerate(told)
    ]
    await deliver(db_notification.worker, consumers, *told[:2])
    await deliver(db_notification.worker, consumers, *told)
    await deliver(db_notification.worker, consumers, next_state(PaymentDisputed, lost, 6, status="won"))
    await sender.send_due()

    assert sorted(mail.subjects()) == [
        "A payment of €50.00 is disputed",
        "The dispute of €50.00 is lost",
        "The dispute of €50.00 is won",
    ]
    assert {message["To"] for message in mail.inbox} == {clinic.contact.email}
    assert await waiting_parked(db_notification) == []


async def test_a_clinic_is_told_again_when_the_bank_takes_a_dispute_up_again(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    opened = a_dispute(clinic.clinic_id, client_id, eur(50))
    lost = next_state(PaymentDisputed, opened, 2, status="lost")
    appeal = next_state(PaymentDisputed, opened, 3, status="needs_response", taken_up=1)
    told = [
        opened,
        lost,
        appeal,
        next_state(PaymentDisputed, appeal, 4, status="under_review"),
        next_state(PaymentDisputed, appeal, 5, status="lost"),
    ]

    for event in [*told, *reversed(told)]:
        await deliver(db_notification.worker, consumers, event)
    await sender.send_due()

    assert sorted(mail.subjects()) == [
        *["A payment of €50.00 is disputed"] * 2,
        *["The dispute of €50.00 is lost"] * 2,
    ]


async def test_an_inquiry_is_told_and_again_when_the_bank_takes_the_money(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    asked = a_dispute(clinic.clinic_id, client_id, eur(50), status="warning_needs_response", taken=eur(0))
    closed = a_dispute(clinic.clinic_id, client_id, eur(7), status="warning_closed")

    await deliver(db_notification.worker, consumers, asked, closed)
    await deliver(
        db_notification.worker, consumers, next_state(PaymentDisputed, asked, 2, status="needs_response")
    )
    await sender.send_due()

    assert sorted(mail.subjects()) == [
        "A payment of €50.00 is disputed",
        "The bank asks about a payment of €50.00",
    ]


async def test_a_clinic_without_an_address_is_not_written_to(
    db_notification: ServiceDb, sender: Sender, mail: MailServer
) -> None:
    contact = {"phone": "+353 1 555 0123", "email": "", "address": "", "hours": ""}
    clinic = a_clinic(contact=contact)
    client_id = new_id()
    await deliver(db_notification.worker, consumers, clinic, a_dispute(clinic.clinic_id, client_id, eur(50)))
    await sender.send_due()

    assert mail.inbox == []
    assert await delivery_states(db_notification) == [("dispute_opened", "dropped", 0, "no_address")]


@pytest.mark.parametrize("shown", [False, True])
async def test_a_clinic_chooses_whether_subjects_say_sums(
    db_notification: ServiceDb, sender: Sender, mail: MailServer, shown: bool
) -> None:
    clinic, client_id = await a_reachable_client(db_notification)
    chosen = next_state(ClinicUpdated, clinic, 2, amounts_in_subjects=shown)
    await deliver(db_notification.worker, consumers, chosen, an_invoice(clinic.clinic_id, client_id))
    await sender.send_due()

    [message] = mail.inbox
    assert (
        message["Subject"]
        == f"Invoice 2026-000001{' over €125.00' if shown else ''} is ready - Harbour Clinic"
    )
