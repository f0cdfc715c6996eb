"""The contents of e-mails, in both parts, and what they never contain."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.declines import decline
from contracts.events.envelope import Method
from contracts.events.payment import Share, receipt_number
from contracts.money import Money
from contracts.pay_links import PayLinks
from contracts.pay_links import path as pay_path
from contracts.vocabulary import CHOSEN_MAIL
from services.chassis.ids import new_id
from services.chassis.locale.formats import Formats
from services.chassis.queue.domain import Task
from services.notification.emails import mime
from services.notification.emails.domain import (
    Delivery,
    DisputeData,
    Email,
    EmailData,
    LetterEmail,
    Recipient,
)
from services.notification.emails.kinds import BY_TEMPLATE, LETTERS
from services.notification.emails.messages import dispute_opened
from services.notification.emails.rendering import Content, Renderer
from services.notification.letters.domain import Letter
from services.notification.projections.domain import Clinic, Invoice

LINKS = PayLinks((b"a-key-for-links-of-thirty-two-characters",))
RENDERER = Renderer("https://pay.example/", LINKS)
CLINIC = Clinic(
    id=new_id(),
    slug="harbour",
    name="Harbour Clinic",
    locale="en-IE",
    time_zone="Europe/Dublin",
    accent="#0b6e6e",
    billing_shown=True,
    online_payment=True,
    pay_links=True,
    reminders=(-3, 1, 7),
    attach_documents=False,
    amounts_in_subjects=True,
    phone="+353 1 555 0123",
    email="hello@harbour.example",
    address="12 Quay Street\nDublin 1",
    hours="Mon–Fri 8:00–18:00",
)
RECIPIENT = Recipient("client@example.com", "Aoife Byrne")
TEMPLATES = tuple(BY_TEMPLATE)
TO_CLIENTS = tuple(name for name, kind in BY_TEMPLATE.items() if not kind.to_clinic)
WITH_PAY_LINKS = ("invoice_ready", "payment_failed", "reminder", "payment_reversed")


def eur(minor: int) -> Money:
    return Money(minor=minor, currency="EUR")


def an_invoice(number: str = "2026-000123", due: int = 12500, status: str = "unpaid") -> Invoice:
    return Invoice(new_id(), number, status, eur(due), date(2026, 12, 7))


def an_email(
    template: str,
    *invoices: Invoice,
    clinic: Clinic = CLINIC,
    recipient: Recipient = RECIPIENT,
    amount: Money | None = None,
    method: Method | None = None,
    surplus: Money | None = None,
    failure_code: str | None = None,
    subject_id: UUID | None = None,
    to_credit: bool = False,
    dispute: DisputeData | None = None,
    due: tuple[Share, ...] | None = None,
) -> Email:
    invoices = invoices or (an_invoice(),)
    shares = tuple(Share(invoice_id=invoice.id, amount=invoice.due) for invoice in invoices)
    data = EmailData(
        amount=amount or eur(sum(invoice.due.minor for invoice in invoices)),
        at=datetime(2026, 11, 23, 23, 30, tzinfo=UTC),
        invoices=shares,
        method=method,
        surplus=surplus,
        failure_code=failure_code,
        to_credit=to_credit,
        dispute=dispute,
        due=shares if due is None else due,
        expires_on=date(2026, 12, 31),
    )
    now = datetime.now(UTC)
    delivery = Delivery(
        clinic_id=clinic.id,
        id=new_id(),
        client_id=new_id(),
        template=template,
        event_id=new_id(),
        subject_id=subject_id or invoices[0].id,
        data=data,
        task=Task(clinic.id, f"email.{template}", new_id(), {}, None, 0, now, now, timedelta(0)),
    )
    return Email(
        BY_TEMPLATE[template], delivery, clinic, recipient, {invoice.id: invoice for invoice in invoices}
    )


def both_parts(content: Content, *facts: str) -> bool:
    return all(fact in content.text and fact in content.html for fact in facts)


def sent(email: Email) -> EmailMessage:
    raw = mime.compose(email, RENDERER.render(email), "billing@clinicpay.example")
    parsed = message_from_bytes(raw, policy=policy.SMTP)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_a_new_invoice_says_what_is_due_when_and_where_to_pay() -> None:
    invoice = an_invoice()
    mail = RENDERER.render(an_email("invoice_ready", invoice))

    assert mail.subject == "Invoice 2026-000123 over €125.00 is ready - Harbour Clinic"
    link = f"https://pay.example/c/harbour/invoices/{invoice.id}"
    assert both_parts(mail, "€125.00", "7 December 2026", "Pay €125.00", link, "Harbour Clinic")
    assert both_parts(
        mail, "+353 1 555 0123", "hello@harbour.example", "12 Quay Street, Dublin 1", "Aoife Byrne"
    )


def link_in(text: str) -> str:
    """The address of the pay link in an e-mail's text, below the portal's."""
    found = re.search(r"https://pay\.example(/pay/\S+)", text)
    assert found is not None, text
    return found[1]


@pytest.mark.parametrize("template", WITH_PAY_LINKS)
def test_the_button_pays_without_a_login_and_the_portal_is_the_second_link(template: str) -> None:
    invoice = replace(an_invoice(), pay_link_generation=3)
    mail = RENDERER.render(an_email(template, invoice))

    link = LINKS.read(link_in(mail.text).removeprefix("/pay/"))
    assert link is not None
    today = datetime.now(UTC).date()
    assert link == LINKS.new(CLINIC.id, invoice.id, 3, today, invoice.due_on)
    last_day = Formats.of(CLINIC).day(link.expires_on)
    assert both_parts(mail, f"The link works until {last_day}.")
    assert mail.html.index(pay_path(LINKS.token(link))) < mail.html.index(f"/c/harbour/invoices/{invoice.id}")
    assert both_parts(mail, "Pay €125.00", "Log in to see what it is for")


@pytest.mark.parametrize("template", WITH_PAY_LINKS)
def test_where_pay_links_are_off_the_portal_is_the_button(template: str) -> None:
    mail = RENDERER.render(an_email(template, clinic=replace(CLINIC, pay_links=False)))

    assert "/pay/" not in mail.text + mail.html
    assert both_parts(mail, "View and pay €125.00", "https://pay.example/c/harbour/invoices/")
    assert "Log in to see" not in mail.text + mail.html


@pytest.mark.parametrize("template", [name for name in TEMPLATES if name not in WITH_PAY_LINKS])
def test_no_other_email_has_a_pay_link(template: str) -> None:
    mail = RENDERER.render(an_email(template))

    assert "/pay/" not in mail.text + mail.html


def test_an_invoice_shows_what_is_due_now_not_what_was() -> None:
    email = an_email("invoice_ready", an_invoice(due=4000, status="part_paid"), amount=eur(12500))
    mail = RENDERER.render(email)
    assert both_parts(mail, "Pay €40.00")
    assert "€125" not in mail.text


def test_one_receipt_lists_all_its_invoices_the_method_and_the_credit() -> None:
    payment_id = new_id()
    mail = RENDERER.render(
        an_email(
            "receipt",
            an_invoice(),
            an_invoice("2026-000124", 4550),
            amount=eur(17550),
            surplus=eur(500),
            method=Method(kind="card", brand="visa", last4="4242"),
            subject_id=payment_id,
        )
    )
    assert mail.subject == "Receipt for your payment of €175.50 - Harbour Clinic"
    assert both_parts(mail, "€175.50", "2026-000123", "€125.00", "2026-000124", "€45.50", "€5.00")
    assert both_parts(mail, "Visa ending 4242", f"https://pay.example/c/harbour/payments/{payment_id}")


def test_a_refund_says_how_much_went_back_to_where_and_when_it_shows() -> None:
    card = Method(kind="card", brand="visa", last4="4242")
    mail = RENDERER.render(an_email("refund", amount=eur(2500), method=card))

    assert mail.subject == "We sent €25.00 back to your card - Harbour Clinic"
    assert both_parts(
        mail, "Refunded", "€25.00", "Sent on 23 November 2026 to Visa ending 4242", "up to ten days"
    )
    assert both_parts(mail, "https://pay.example/c/harbour/billing")


def test_a_refund_of_what_was_not_paid_by_card_names_no_card() -> None:
    mail = RENDERER.render(an_email("refund", amount=eur(2500), method=Method(kind="paypal")))

    assert mail.subject == "We sent €25.00 back to where you paid from - Harbour Clinic"
    assert both_parts(mail, "to PayPal")
    assert "card" not in mail.text.replace("card details", "")


def test_a_refund_of_invoices_names_them_and_the_credit_that_goes_with_it() -> None:
    card = Method(kind="card", brand="visa", last4="4242")
    mail = RENDERER.render(
        an_email("refund", an_invoice(due=2000), amount=eur(2500), surplus=eur(500), method=card)
    )

    assert both_parts(mail, "gives back €25.00 of what you paid", "2026-000123", "€20.00", "€5.00")
    assert "more than was open" not in mail.text


def test_a_refund_to_credit_says_that_the_clinic_keeps_it() -> None:
    mail = RENDERER.render(an_email("refund", an_invoice(due=2500), amount=eur(2500), to_credit=True))

    assert mail.subject == "€25.00 is now your credit - Harbour Clinic"
    assert both_parts(mail, "Your credit", "Credited on 23 November 2026", "2026-000123")
    assert "bank" not in mail.text.lower()


def test_money_that_was_taken_back_names_the_receipt_each_invoice_and_the_credit() -> None:
    payment_id, known, other = new_id(), an_invoice(due=7500), an_invoice("2026-000124", 0, "paid")
    due = tuple(Share(invoice_id=each.id, amount=eur(minor)) for each, minor in ((known, 7500), (other, 100)))
    mail = RENDERER.render(
        an_email(
            "payment_reversed",
            known,
            other,
            amount=eur(9000),
            surplus=eur(1500),
            method=Method(kind="bank_transfer"),
            subject_id=payment_id,
            due=due,
        )
    )

    assert mail.subject == "A payment of €90.00 was taken back - Harbour Clinic"
    assert both_parts(mail, f"Bank transfer, receipt {receipt_number(payment_id)}", "on 23 November 2026")
    assert both_parts(mail, "It pays nothing any more.", "Now to be paid on Invoice 2026-000124", "€1.00")
    assert both_parts(
        mail, "Taken off Invoice 2026-000123", "€75.00", "your credit with the clinic", "€15.00"
    )
    assert both_parts(mail, "View your invoices") and "ay €" not in mail.text


def test_no_button_asks_for_another_sum_than_the_email_says_is_due() -> None:
    invoice = an_invoice(due=5000)
    due = (Share(invoice_id=invoice.id, amount=eur(7500)),)
    mail = RENDERER.render(an_email("payment_reversed", invoice, amount=eur(2500), due=due))

    assert both_parts(mail, "View invoice", "€75.00") and "ay €" not in mail.text


def test_a_card_that_expires_is_named_as_receipts_name_it_and_its_page_is_the_button() -> None:
    mail = RENDERER.render(
        an_email("method_expiring", method=Method(kind="card", brand="visa", last4="4242"))
    )

    assert mail.subject == "Your saved card expires on 31 December 2026 - Harbour Clinic"
    assert both_parts(mail, "Visa ending 4242", "31 December 2026", "https://pay.example/c/harbour/methods")
    assert "€" not in mail.text + mail.html


@pytest.mark.parametrize("reason", [*dispute_opened.REASONS, "of_tomorrow", None])
def test_a_dispute_says_how_much_why_and_until_when_the_bank_takes_an_answer(reason: str | None) -> None:
    due = datetime(2026, 12, 1, 23, 59, 59, tzinfo=UTC)
    dispute = DisputeData(id=new_id(), status="needs_response", reason=reason, due_by=due)
    mail = RENDERER.render(an_email("dispute_opened", amount=eur(12500), dispute=dispute))

    assert mail.subject == "A payment of €125.00 is disputed"
    assert both_parts(mail, str(dispute.id), "2026-000123", "Answer by Tuesday 1 December 2026, 23:59")
    assert "of_tomorrow" not in mail.text and "_" not in mail.text
    words = dispute_opened.REASONS.get(reason or "", "The bank gives no reason.")
    assert words in mail.text


def test_an_inquiry_says_that_no_money_was_taken_and_whether_the_bank_takes_an_answer() -> None:
    dispute = DisputeData(id=new_id(), status="warning_needs_response")
    mail = RENDERER.render(an_email("dispute_opened", dispute=dispute))

    assert both_parts(mail, "asks about a payment", "No money was taken.", "The bank takes no answer.")


@pytest.mark.parametrize("status", ["under_review", "warning_under_review"])
def test_of_a_dispute_that_is_answered_already_no_answer_is_asked_for(status: str) -> None:
    dispute = DisputeData(id=new_id(), status=status, due_by=datetime(2026, 12, 1, tzinfo=UTC))
    mail = RENDERER.render(an_email("dispute_opened", dispute=dispute))

    assert both_parts(mail, "The bank takes no answer.")
    assert "Answer by" not in mail.text


@pytest.mark.parametrize(
    ("status", "words"), [("won", "The money comes back."), ("lost", "The client keeps the money.")]
)
def test_a_dispute_that_has_ended_says_who_has_the_money(status: str, words: str) -> None:
    dispute = DisputeData(id=new_id(), status=status)
    mail = RENDERER.render(an_email("dispute_ended", amount=eur(12500), dispute=dispute))

    assert mail.subject == f"The dispute of €125.00 is {status}"
    assert both_parts(mail, words, str(dispute.id))


def test_days_are_the_clinics() -> None:
    dublin = RENDERER.render(an_email("receipt"))
    tokyo = RENDERER.render(an_email("receipt", clinic=replace(CLINIC, time_zone="Asia/Tokyo")))
    assert both_parts(dublin, "Paid on 23 November 2026")
    assert both_parts(tokyo, "Paid on 24 November 2026")


def test_a_failure_says_that_nothing_was_taken_why_and_what_next() -> None:
    invoice = an_invoice()
    mail = RENDERER.render(an_email("payment_failed", invoice, failure_code="expired_card"))

    assert mail.subject == "Your payment of €125.00 did not go through - Harbour Clinic"
    assert both_parts(mail, "No money was taken", "This card has expired", "pay another way")
    assert both_parts(mail, "Pay €125.00", "https://pay.example/pay/", f"/invoices/{invoice.id}")


def test_a_failure_over_several_invoices_leads_to_all_of_them() -> None:
    mail = RENDERER.render(an_email("payment_failed", an_invoice(), an_invoice("2026-000124")))
    assert both_parts(mail, "View your invoices", "https://pay.example/c/harbour/billing", "2026-000124")


@pytest.mark.parametrize("method", ["card", "paypal", "sepa_debit"])
@pytest.mark.parametrize(
    "code", ["payment_intent_authentication_failure", "insufficient_funds", "do_not_honor"]
)
def test_a_failure_has_the_reason_that_pages_and_the_api_give(code: str, method: str) -> None:
    mail = RENDERER.render(an_email("payment_failed", failure_code=code, method=Method(kind=method)))

    assert both_parts(mail, str(decline(code, method)))


def test_an_unknown_decline_code_is_not_shown() -> None:
    mail = RENDERER.render(an_email("payment_failed", failure_code="do_not_honor"))
    assert both_parts(mail, "Your bank declined the payment and did not say why.")
    assert "do_not_honor" not in mail.text + mail.html


@pytest.mark.parametrize("template", TEMPLATES)
def test_where_billing_is_hidden_no_link_leads_to_it(template: str) -> None:
    mail = RENDERER.render(an_email(template, clinic=replace(CLINIC, billing_shown=False)))
    paths = set(re.findall(r"https://pay\.example/([^/\s\"]+)", mail.text + mail.html))
    assert paths == ({"mail"} if template in CHOSEN_MAIL else set())
    assert both_parts(mail, "+353 1 555 0123")


def test_where_online_payment_is_off_nothing_asks_to_pay_online() -> None:
    quiet = RENDERER.render(an_email("payment_reversed", clinic=replace(CLINIC, online_payment=False)))
    assert "Pay €" not in quiet.text + quiet.html
    for template in ("invoice_ready", "payment_failed"):
        mail = RENDERER.render(an_email(template, clinic=replace(CLINIC, online_payment=False)))
        assert not re.search("(View and p|P)ay €", mail.text + mail.html)
        assert both_parts(mail, "To pay, please contact the clinic")


@pytest.mark.parametrize("due", [49, 10**12])
def test_an_amount_that_cannot_be_charged_is_not_asked_for_online(due: int) -> None:
    for template in ("invoice_ready", "payment_failed"):
        mail = RENDERER.render(an_email(template, an_invoice(due=due)))
        assert not re.search("(View and p|P)ay €", mail.text + mail.html)
        assert both_parts(mail, "View invoice")
    assert both_parts(
        RENDERER.render(an_email("invoice_ready", an_invoice(due=due))), "please contact the clinic"
    )


def test_an_invoice_that_is_being_paid_does_not_ask_to_be_paid_again() -> None:
    mail = RENDERER.render(an_email("invoice_ready", an_invoice(status="processing")))
    assert not re.search("(View and p|P)ay €", mail.text + mail.html)
    assert both_parts(mail, "on its way", "View invoice")


@pytest.mark.parametrize("template", TEMPLATES)
def test_names_cannot_carry_markup(template: str) -> None:
    evil = '<img src=x onerror=alert(1)>"&{{ 7777*7777 }}'
    clinic = replace(CLINIC, name=evil, phone=evil, email=evil, address=evil, hours=evil)
    mail = RENDERER.render(an_email(template, clinic=clinic, recipient=replace(RECIPIENT, name=evil)))
    assert "<img" not in mail.html
    assert "60481729" not in re.sub(r"[0-9a-f-]{36}", "", mail.text)
    assert "&lt;img src=x" in mail.html and "<img src=x" in mail.text


@pytest.mark.parametrize("template", TEMPLATES)
def test_nothing_is_fetched_when_an_email_is_opened(template: str) -> None:
    html = RENDERER.render(an_email(template)).html
    fetched = re.findall(r"<img|<link|<script|<iframe|@import|@font-face|url\(", html)
    assert fetched == []


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_template_word_is_medical(template: str) -> None:
    mail = RENDERER.render(an_email(template))
    words = r"\b(appointment|treatment|therap|session|service|practitioner|doctor|dr|patient|diagnos|visit|medical)"
    shown = re.sub(r"<style.*?</style>|<[^>]+>", " ", mail.html, flags=re.DOTALL)
    assert re.findall(words, f"{mail.subject} {mail.text} {shown}", re.IGNORECASE) == []


@pytest.mark.parametrize("template", TEMPLATES)
def test_subjects_do_not_name_the_client(template: str) -> None:
    assert "Aoife" not in RENDERER.render(an_email(template)).subject


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_subject_to_a_client_ends_with_the_clinics_name(template: str) -> None:
    subject = RENDERER.render(an_email(template)).subject
    long = RENDERER.render(an_email(template, clinic=replace(CLINIC, name="Long " * 40))).subject
    nameless = RENDERER.render(an_email(template, clinic=replace(CLINIC, name=" "))).subject

    about = subject.removesuffix(" - Harbour Clinic")
    assert (about != subject) is (template in TO_CLIENTS)
    assert nameless == about
    assert long == (f"{about} - {('Long ' * 12).strip()}" if template in TO_CLIENTS else about)


@pytest.mark.parametrize(
    "template", ["invoice_ready", "reminder", "receipt", "payment_failed", "refund", "payment_reversed"]
)
@pytest.mark.parametrize("to_credit", [False, True])
def test_a_subject_has_its_sum_only_where_the_clinic_wants_it(template: str, to_credit: bool) -> None:
    assert "€125.00" in RENDERER.render(an_email(template, to_credit=to_credit)).subject

    quiet = replace(CLINIC, amounts_in_subjects=False)
    mail = RENDERER.render(an_email(template, clinic=quiet, to_credit=to_credit))
    assert not re.search(r"€|\bof -|  ", mail.subject) and "€125.00" in mail.text


@pytest.mark.parametrize("template", TO_CLIENTS)
def test_without_sums_no_subject_to_a_client_has_any(template: str) -> None:
    mail = RENDERER.render(an_email(template, clinic=replace(CLINIC, amounts_in_subjects=False)))
    assert "€" not in mail.subject


def test_headers_are_whole() -> None:
    email = an_email("receipt", clinic=replace(CLINIC, name="Praxis für Gesundheit, Köln"))
    message = sent(email)
    (sender,) = message["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (
        "Praxis für Gesundheit Köln",
        "billing@clinicpay.example",
    )
    assert message["Reply-To"] == "hello@harbour.example"
    assert message["Message-ID"] == f"<{email.delivery.id}@clinicpay.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_lines_are_short_enough_for_every_mail_server() -> None:
    raw = mime.compose(an_email("receipt"), RENDERER.render(an_email("receipt")), "billing@clinicpay.example")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")


@given(st.lists(st.text(alphabet=st.sampled_from(list("a=_-. \tÄ€平\u2028.\n")), max_size=120), max_size=8))
@example(["--=_clinicpay--", ".", "From here", "x" * 2000, "trailing ", "=20", "a=\nb"])
def test_every_text_arrives_as_it_was_written(lines: list[str]) -> None:
    written = "\n".join(lines)
    raw = mime.compose(an_email("receipt"), Content("Subject", written, f"<p>{written}</p>"), "b@x.example")
    message = message_from_bytes(raw, policy=policy.default)
    text, html = (part.get_content() for part in message.iter_parts())

    assert text.splitlines() == written.splitlines()
    assert html.splitlines() == f"<p>{written}</p>".splitlines()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998 and raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"") and b"\r" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "name", ["می\u200cخواهم", "क्\u200dष", "👩\u200d⚕️ Ann", "Physio\u00adtherapie", "שלום\u200f Ann"]
)
def test_joiners_and_marks_in_a_name_stay_as_they_are_written(name: str) -> None:
    clinic, recipient = replace(CLINIC, name=name), replace(RECIPIENT, name=name)
    mail = RENDERER.render(an_email("receipt", clinic=clinic, recipient=recipient))

    assert both_parts(mail, f"Hello {name}", name)


@pytest.mark.parametrize(
    ("phone", "link"), [("+1 (212) 555-0100 x3", "tel:+1-212-555-0100;ext=3"), ("ask at the desk", "")]
)
def test_a_phone_number_in_a_letter_can_be_dialled(phone: str, link: str) -> None:
    mail = RENDERER.render(an_email("receipt", clinic=replace(CLINIC, phone=phone)))

    assert both_parts(mail, phone)
    assert (f'href="{link}"' in mail.html) if link else ("tel:" not in mail.html)


def a_letter(template: str, clinic: Clinic) -> LetterEmail:
    ends_at = datetime(2026, 11, 30, 9, 40, tzinfo=UTC)
    task = Task(clinic.id, f"letter.{template}", new_id(), {}, None, 0, ends_at, ends_at, timedelta(0))
    path = "/password/a-token?next=/c/harbour"
    letter = Letter(clinic.id, new_id(), template, "ann@example.com", path, ends_at, timedelta(1), task)
    [kind] = [kind for kind in LETTERS if kind.template == template]
    return LetterEmail(kind, letter, clinic)


@pytest.mark.parametrize("template", [kind.template for kind in LETTERS])
def test_a_letter_about_a_login_has_its_link_in_both_parts_and_the_clinics_look(template: str) -> None:
    email = a_letter(template, CLINIC)
    mail = RENDERER.render(email)

    link = "https://pay.example/password/a-token?next=/c/harbour"
    assert both_parts(mail, "Hello,", "Harbour Clinic")
    assert both_parts(mail, link) == (template != "email_changed"), "the old address gets no way in"
    assert "ann@example.com" not in mail.subject + mail.text + mail.html
    assert "Hello ," not in mail.text and "None" not in mail.text
    raw = mime.compose(email, mail, "billing@clinicpay.example")
    message = message_from_bytes(raw, policy=policy.SMTP)
    assert (message["To"], message["Subject"]) == ("ann@example.com", mail.subject)
    assert "Harbour" not in mail.subject, "a clinic's name may tell what is treated there"


def test_a_link_says_when_it_ends_on_the_clinics_clock() -> None:
    mail = RENDERER.render(a_letter("password_reset", CLINIC))

    assert both_parts(mail, "until Monday 30 November 2026, 09:40 (Ireland Time)")
