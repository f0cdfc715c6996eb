"""Pages from answers of the services: what they show, and what they must never hold."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.http import shown
from contracts.http.clients import BillingAddress
from contracts.http.clinics import ClinicContact, ClinicOut
from contracts.http.common import Money, PaidWith
from contracts.http.credit import CreditOut
from contracts.http.invoices import (
    BillTo,
    DiscountOut,
    DocumentLine,
    DocumentOut,
    InvoiceItem,
    InvoiceLink,
    InvoiceOut,
    InvoiceTax,
    LineTax,
    MovementOut,
    Seller,
    Summary,
)
from contracts.http.payments import PaymentFailure, PaymentOut, PaymentShareOut
from services.chassis.ids import new_id
from services.gateway.portal import statuses, stripe_form
from services.gateway.portal.credit import uses
from services.gateway.portal.help import articles
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.invoices.lists import Listing
from services.gateway.portal.methods import views as methods
from services.gateway.portal.page import PortalPage
from services.gateway.portal.payments import choices, refusals
from services.gateway.portal.payments import views as payments
from services.gateway.portal.payments.steps import Steps
from services.gateway.upstream.calls import UpstreamError
from services.gateway.web.templating import STATIC, asset, environment
from tests.builders.callers import a_caller
from tests.builders.portal import NOON, a_clinic, a_payment, a_row, an_invoice, eur, row_facts

pages = environment()
STRIPE: dict[str, Any] = {
    "stripe_js_url": "https://js.stripe.com/v3/",
    "stripe_publishable_key": "pk_test_1",
    "stripe_account": "acct_1",
    "systems": (),
    "reasons": stripe_form.paying(),
}


def render(template: str, clinic: ClinicOut | None = None, **context: Any) -> str:
    frame = {"clinic": clinic or a_clinic(), "section": "payments", "csrf_token": "t", "several": False}
    frame |= {"here": "", "listed": "/c/harbour/billing", "usable": True, "takes_cards": True}
    frame |= {"pay_label": "Pay with Card", "credit_pays": False, "steps": Steps([]), "choice": None}
    return pages.get_template(template).render(**frame | context)


def details(invoice: InvoiceOut, clinic: ClinicOut | None = None) -> str:
    clinic = clinic or a_clinic()
    shown = invoices.invoice(invoice, clinic)
    return render("invoice.html", clinic, invoice=shown)


def pay_page(clinic: ClinicOut, typed: str = "") -> str:
    shown = payments.pay(an_invoice(), payments.Means([]), clinic, typed)
    return render("pay.html", clinic, pay=shown, **STRIPE)


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_choice_of_a_payment_system_names_those_of_the_account() -> None:
    shown = payments.pay(an_invoice(), payments.Means([]), a_clinic())
    page = render("pay.html", pay=shown, **STRIPE | {"systems": ("eps", "ideal", "twint")})

    assert "<span>iDEAL, EPS or another online payment system <small>" in page
    assert "<span>Online payment system <small>" in pay_page(a_clinic())


def test_invoice_details_have_all_that_the_guide_names() -> None:
    page = text(details(an_invoice()))

    for words in (
        "Initial assessment", "Employee", "Aoife Brennan", "VAT 13.5% on €110.13", "€14.87", "€125.00",
        "Monday 23 November 2026, 12:00", "Room 2", "Pay with Card", "Unpaid",
    ):  # fmt: skip
        assert words in page


@pytest.mark.parametrize(
    ("changes", "clinic"),
    [
        ({"status": "paid", "settled": eur(12_500), "due": eur(0)}, {}),
        ({"status": "processing"}, {}),
        ({"processing": True}, {}),
        ({"status": "void"}, {}),
        ({"status": "refunded"}, {}),
        ({}, {"online_payment": False}),
        ({"methods": []}, {"methods": []}),
    ],
)
def test_nothing_can_be_paid_twice_or_where_the_clinic_does_not_want_it(
    changes: dict[str, Any], clinic: dict[str, Any]
) -> None:
    assert "Pay with Card" not in details(an_invoice(**changes), a_clinic(**clinic))


@pytest.mark.parametrize("settled", [0, 2_500, 12_500])
def test_an_invoice_that_is_being_checked_asks_for_nothing(settled: int) -> None:
    status = {0: "unpaid", 12_500: "paid"}.get(settled, "part_paid")
    invoice = an_invoice(**row_facts(settled=settled, status=status, being_checked=True))
    view = invoices.invoice(invoice, a_clinic())
    shown = render("invoice.html", invoice=view)
    nothing = dict.fromkeys(("credit", "newer", "older", "refused"))
    listed = render(
        "billing.html", rows=[view.row], wanted=Listing(), filters=[], places=[], files=[], **nothing
    )

    for page in (shown, details(invoice), listed):
        assert "Being checked" in text(page)
        assert "/pay" not in page and "amount due" not in text(page).lower() and "left" not in text(page)
    assert "being checked. The clinic knows. You do not need to pay anything now." in text(shown)
    assert (view.headline, view.headline_amount) == ("Invoice total", "€125.00")


def test_two_currencies_are_two_sums_each_with_its_name() -> None:
    found = Summary(
        due=[eur(45_864), Money(5_500, "GBP")], unpaid_count=4, overdue_count=0, next=None, last_paid=None
    )
    both = render("dashboard.html", summary=invoices.summary(found, a_clinic()))
    one = render("dashboard.html", summary=invoices.summary(replace(found, due=[eur(45_864)]), a_clinic()))

    assert "In EUR €458.64 In GBP £55.00" in text(both)
    assert both.count('class="amount"') == 2 and "In EUR" not in text(one)


def test_help_and_contact_are_one_line_where_nobody_asked() -> None:
    found = Summary(due=[], unpaid_count=0, overdue_count=0, next=None, last_paid=None)
    failed = a_payment("failed", failure=PaymentFailure(code="expired_card", message=""))
    dashboard = render("dashboard.html", summary=invoices.summary(found, a_clinic()))
    refused, invoice = result_page(failed), details(an_invoice())

    assert "<summary>Is something not right?</summary>" in invoice
    for page in (dashboard, refused):
        assert "<summary>" not in page[page.index("<aside") :]
    for page in (dashboard, refused, invoice):
        aside = page[page.index("<aside") :]
        assert "Search help" in aside and "Master Guide" in aside and "+353 1 555 0123" in aside


def result_page(payment: PaymentOut) -> str:
    return render("result.html", result=payments.result(payment, [an_invoice()], a_clinic()))


@pytest.mark.parametrize(
    ("listing", "title"),
    [
        (Listing(), "Billing History"),
        (Listing(status="unpaid"), "Unpaid – Billing History"),
        (Listing(status="paid", search="knee"), "Paid – Search – Billing History"),
    ],
)
def test_the_title_says_which_list_is_open(listing: Listing, title: str) -> None:
    nothing = dict.fromkeys(("credit", "newer", "older", "refused"))
    page = render("billing.html", rows=[], wanted=listing, filters=[], places=[], **nothing)

    assert f"<title>{title} – Harbour Physiotherapy</title>" in page


def test_the_dashboard_names_the_credit_that_a_client_has() -> None:
    found = Summary(due=[], unpaid_count=0, overdue_count=0, next=None, last_paid=None)
    shown, without = (
        text(render("dashboard.html", summary=invoices.summary(found, a_clinic(), held)))
        for held in ([eur(1_200), Money(500, "GBP")], [])
    )

    assert "Your credit: €12.00 and £5.00" in shown and "You can use it when you pay an invoice." in shown
    assert "credit" not in without


@pytest.mark.parametrize(("unpaid", "checked"), [(0, 1), (0, 2), (1, 1)])
def test_the_dashboard_says_what_is_being_checked(unpaid: int, checked: int) -> None:
    found = Summary(
        due=[eur(12_500)] * unpaid,
        unpaid_count=unpaid,
        overdue_count=0,
        checked_count=checked,
        next=a_row() if unpaid else None,
        last_paid=None,
    )
    page = text(render("dashboard.html", summary=invoices.summary(found, a_clinic())))

    assert f"{checked} invoice{' is' if checked == 1 else 's are'} being checked. The clinic knows." in page
    assert "no open invoices" not in page
    assert ("Nothing to pay now" in page) == (unpaid == 0)


def test_what_a_part_payment_leaves_is_the_total_amount_due() -> None:
    shown = invoices.invoice(an_invoice(**row_facts(settled=2_500, status="part_paid")), a_clinic())

    assert (shown.headline, shown.headline_amount) == ("Total amount due", "€100.00")
    assert [(each.label, each.amount) for each in shown.sums[-3:]] == [
        ("Total", "€125.00"),
        ("Paid so far", "−€25.00"),
        ("Total amount due", "€100.00"),
    ]


def test_a_paid_invoice_leads_to_its_receipt() -> None:
    payment = a_payment("succeeded")
    moved = MovementOut(
        id=payment.id, kind="payment", amount=eur(12_500), method=None, booked_at=NOON, payment_id=payment.id
    )
    page = details(an_invoice(status="paid", settled=eur(12_500), due=eur(0), movements=[moved]))

    assert f'href="/c/harbour/payments/{payment.id}"' in page


def test_a_receipt_says_what_went_back_and_what_came_back_of_that() -> None:
    payment, visa = a_payment("succeeded"), PaidWith(kind="card", brand="visa", last4="4242")

    def back(minor: int, day: int, method: PaidWith | None = visa) -> MovementOut:
        return MovementOut(
            id=new_id(),
            kind="refund",
            amount=eur(minor),
            method=method,
            booked_at=NOON + timedelta(days=day),
            payment_id=payment.id,
        )

    moved = [back(-2_000, 1), back(2_000, 2), back(-500, 3, None)]
    paid = an_invoice(status="paid", settled=eur(12_500), due=eur(0), movements=moved)

    receipt = payments.result(payment, [paid], a_clinic())
    shown = invoices.invoice(paid, a_clinic())

    assert receipt.given_back == [
        "€20.00 was sent back to your Visa ending 4242 on 24 November 2026. Banks take up to ten days to show it.",
        "€20.00 could not be sent back to your Visa ending 4242 on 25 November 2026. The clinic knows.",
        "€5.00 of what you paid became your credit on 26 November 2026.",
    ]
    assert [each.label for each in shown.movements] == [
        "Refund",
        "Refund that came back",
        "Refund, now your credit",
    ]
    assert "€20.00 could not be sent back" in text(render("result.html", result=receipt))


def test_a_payment_shows_the_day_on_which_stripe_captured_it_on_the_clinics_calendar() -> None:
    captured = datetime(2026, 11, 5, 23, 30, tzinfo=UTC)
    payment = replace(a_payment("succeeded"), succeeded_at=captured)
    moved = MovementOut(
        id=payment.id,
        kind="payment",
        amount=eur(12_500),
        method=None,
        booked_at=captured + timedelta(days=3),
        payment_id=payment.id,
        captured_at=captured,
    )
    paid = an_invoice(status="paid", settled=eur(12_500), due=eur(0), movements=[moved])
    tokyo = replace(a_clinic(), time_zone="Asia/Tokyo")

    for clinic, day in ((a_clinic(), "5 Nov"), (tokyo, "6 Nov")):
        shown = invoices.invoice(replace(paid, time_zone=clinic.time_zone), clinic)
        assert (day in shown.timing, day in shown.movements[0].day) == (True, True), shown.timing
        assert day in payments.result(payment, [replace(paid, time_zone=clinic.time_zone)], clinic).day


def a_move(kind: Any, minor: int, day: int) -> MovementOut:
    at = datetime(2026, 11, day, 9, tzinfo=UTC)
    return MovementOut(
        id=new_id(), kind=kind, amount=eur(minor), method=None, booked_at=at, payment_id=new_id()
    )


def test_recorded_money_that_is_taken_back_and_what_became_credit_are_told() -> None:
    payment = a_payment("succeeded")
    moves = [a_move("payment", 12_500, 3), a_move("credit", -2_500, 5), a_move("reversal", -10_000, 9)]
    moves = [replace(move, payment_id=payment.id) for move in moves]
    taken = an_invoice(status="unpaid", settled=eur(0), due=eur(12_500), movements=moves)
    counts = replace(
        taken, movements=[*moves, replace(a_move("reversal", 10_000, 20), payment_id=payment.id)]
    )

    receipts = [payments.result(payment, [each], a_clinic()).given_back for each in (taken, counts)]
    labels = [each.label for each in invoices.invoice(taken, a_clinic()).movements]

    assert receipts == [["€100.00 of this payment was cancelled by the clinic on 9 November 2026."], []]
    assert labels == ["Payment", "Kept as your credit", "Payment taken back"]
    assert shown.moved_words("credit", plus=True) == "Paid with your credit"


def test_a_disputed_payment_is_told_in_plain_words_and_asks_for_nothing() -> None:
    payment = a_payment("succeeded")
    moves = [a_move("payment", 12_500, 3), a_move("dispute", -12_500, 9)]
    moves = [replace(move, payment_id=payment.id) for move in moves]
    taken = an_invoice(status="paid", settled=eur(12_500), due=eur(0), movements=moves)
    back = replace(a_move("dispute", 12_500, 20), payment_id=payment.id)
    won = replace(taken, movements=[*moves, back])

    page = text(render("invoice.html", invoice=invoices.invoice(taken, a_clinic())))
    assert "€125.00 of this was taken back through your bank. You do not need to pay anything now." in page
    assert "Taken back through your bank" in page and "Pay with Card" not in page
    assert "Your bank has decided" in text(details(won))
    receipts = [payments.result(payment, [each], a_clinic()).given_back for each in (taken, won)]
    assert receipts == [["€125.00 was taken back through your bank on 9 November 2026."], []]
    shown = invoices.invoice(won, a_clinic())
    assert "3 November 2026" in shown.timing, "the day of the payment, not that of the bank's decision"


def test_a_dispute_that_was_lost_says_why_the_invoice_is_due_again() -> None:
    moves = [
        *(a_move("payment", 12_500, 3), a_move("dispute", -12_500, 9)),
        *(a_move("dispute", 12_500, 20), a_move("reversal", -12_500, 20)),
    ]
    again = an_invoice(movements=moves)
    recorded = an_invoice(movements=[a_move("payment", 12_500, 3), a_move("reversal", -12_500, 9)])
    paid = [*moves, a_move("reversal", 12_500, 25)]
    won_late = an_invoice(status="paid", settled=eur(12_500), due=eur(0), movements=paid)

    page = text(render("invoice.html", invoice=invoices.invoice(again, a_clinic())))
    assert "A payment was taken back through your bank, so this is to be paid again." in page
    assert "Pay with Card" in text(details(again))
    assert "bank" not in invoices.invoice(recorded, a_clinic()).timing
    assert "Payment counts again" in text(details(won_late))


def test_sums_in_two_currencies_are_not_added_up() -> None:
    found = Summary(
        due=[eur(12_500), Money(5_000, "USD")],
        unpaid_count=2,
        overdue_count=0,
        checked_count=0,
        next=a_row(),
        last_paid=None,
    )
    page = text(render("dashboard.html", summary=invoices.summary(found, a_clinic())))

    assert "In EUR €125.00 In USD US$50.00 2 unpaid invoices" in page


def test_owing_nothing_is_a_good_place_with_the_last_payment() -> None:
    last = a_row(status="paid", settled=12_500)
    found = Summary(due=[], unpaid_count=0, overdue_count=0, checked_count=0, next=None, last_paid=last)
    page = text(render("dashboard.html", summary=invoices.summary(found, a_clinic())))

    assert "Nothing to pay" in page
    assert "Your last paid invoice" in page


@pytest.mark.parametrize(
    ("status", "failure", "says", "button"),
    [
        ("succeeded", None, "Receipt number R-", "Back to the dashboard"),
        ("processing", None, "can take a few days", "Back to the dashboard"),
        ("created", None, "not finished it. No money was taken", "Go on to pay €125.00"),
        ("failed", "insufficient_funds", "not enough money", "Try again"),
        ("canceled", None, "was cancelled. No money was taken", "Try again"),
    ],
)
def test_a_result_says_what_came_of_it_and_what_to_do(
    status: str, failure: str | None, says: str, button: str
) -> None:
    payment = a_payment(status, failure=PaymentFailure(code=failure, message="") if failure else None)
    page = text(render("result.html", result=payments.result(payment, [an_invoice()], a_clinic())))

    assert says in page
    assert button in page


def test_a_recorded_payment_that_was_taken_back_is_no_receipt() -> None:
    taken_back = a_payment(
        "succeeded", reversed_at=NOON, method=PaidWith(kind="cash", brand=None, last4=None)
    )
    paid = an_invoice(id=taken_back.invoices[0].invoice_id)
    page = text(render("result.html", result=payments.result(taken_back, [paid], a_clinic())))

    assert "Taken back €125.00 The clinic recorded this payment, and took it back on " in page
    assert "Look at the invoice" in page
    assert "Thank you" not in page and "Receipt" not in page and "Total paid" not in page


def test_each_movement_says_where_its_money_went() -> None:
    credit = PaidWith(kind="credit", brand=None, last4=None)
    moves = [
        replace(a_move("credit", 12_500, 3), method=credit),
        replace(a_move("credit", -1_000, 4), method=None),
        replace(a_move("refund", -2_000, 5), method=None),
    ]
    page = text(render("invoice.html", invoice=invoices.invoice(an_invoice(movements=moves), a_clinic())))

    assert "Paid with your credit 3" in page
    assert "Kept as your credit 4" in page
    assert "Refund, now your credit 5" in page
    assert "Credit, Credit" not in page


def test_a_line_without_an_employee_or_a_time_has_no_empty_words_about_them() -> None:
    whole = an_invoice()
    bare = an_invoice(lines=[replace(whole.lines[0], practitioner="", appointment=None)])

    assert "Employee name Aoife Brennan" in text(details(whole)) and "Times are" in text(details(whole))
    assert "Employee name" not in text(details(bare)) and "Times are" not in text(details(bare))


def test_help_explains_each_status_that_an_invoice_can_show() -> None:
    explained = articles.library()["statuses"].text
    shown = {each.word for each in (*statuses.OF_INVOICE.values(), statuses.OVERDUE, statuses.BEING_CHECKED)}

    assert {word for word in shown if f"- **{word}**: " not in explained} == set()


def test_pages_hold_no_inline_script_or_style_and_name_no_other_host_but_stripe() -> None:
    saved = render("methods.html", methods=[], waiting=False, done="")
    for html in (details(an_invoice()), pay_page(a_clinic()), saved):
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", html)
        assert set(re.findall(r"https?://([^/\"]+)", html)) <= {"js.stripe.com"}
        assert all(" defer" in tag for tag in re.findall(r"<script[^>]*>", html))


def test_what_people_type_is_text_on_pages() -> None:
    evil = "<img src=x onerror=alert(1)>'\""
    clinic = a_clinic(name=evil)

    assert "<img" not in details(an_invoice(note=evil, service_summary=evil), clinic)
    assert "<img" not in pay_page(clinic)
    assert "<img" not in render(
        "help.html", clinic, query=evil, found=[], guide=articles.guide(), articles=[]
    )


@pytest.mark.parametrize(
    ("phone", "link"), [("+1 (212) 555-0100 x3", 'href="tel:+1-212-555-0100;ext=3"'), ("ask at the desk", "")]
)
def test_a_phone_number_can_be_dialled_and_anything_else_is_text(phone: str, link: str) -> None:
    contact = ClinicContact(phone=phone, email="", address="", hours="")
    page = render("contact.html", a_clinic(contact=contact))

    assert phone in page
    assert (link in page) if link else ("tel:" not in page)


def test_saved_methods_can_be_made_default_and_removed() -> None:
    page = render("methods.html", methods=methods.saved([]), waiting=True, done="")

    assert "data-again" in page
    assert "No saved cards" in page


@pytest.mark.parametrize("name", sorted(path.name for path in STATIC.iterdir()))
def test_assets_are_small_and_change_their_address_with_their_content(name: str) -> None:
    assert re.fullmatch(rf"/static/{re.escape(name)}\?v=[0-9a-f]{{10}}", asset(name))
    assert (STATIC / name).stat().st_size < 40_000


NO_CREDIT = CreditOut(balances=[], refundable=[], payments=[], refunds=[])


def test_a_receipt_names_the_seller_of_its_invoice_also_where_it_tells_of_credit() -> None:
    sold = an_invoice(seller=Seller(name="Quay Clinic"), locale="en-IE", time_zone="Europe/Dublin")
    payment = a_payment("succeeded", surplus=eur(500))
    page = render(
        "result.html",
        result=payments.result(payment, [sold], a_clinic(), replace(NO_CREDIT, balances=[eur(500)])),
    )
    [article] = re.findall(r"<article.*?</article>", page, re.DOTALL)

    assert "Quay Clinic keeps it as your credit" in text(article) and "Harbour" not in article


def a_choice(*rows: InvoiceItem, clinic: ClinicOut | None = None, error: str = "") -> str:
    clinic = clinic or a_clinic()
    return text(render("pay.html", clinic, pay=None, choice=payments.choose(rows, clinic, error), **STRIPE))


@pytest.mark.parametrize(
    ("typed", "minor", "words"),
    [
        ("", 12_500, ""),
        ("50", 5_000, ""),
        ("€50.00", 5_000, ""),
        ("50,00", 5_000, ""),
        ("125", 12_500, ""),
        ("20", 2_000, ""),
        ("124.50", 12_450, ""),
        ("19.99", 12_500, "The smallest amount that Harbour Physiotherapy takes is €20.00."),
        ("-50", 12_500, "The smallest amount that Harbour Physiotherapy takes is €20.00."),
        ("124.80", 12_500, "This would leave €0.20, which is too little to pay online."),
        ("125.01", 12_500, "This is more than the €125.00 that you owe."),
        ("<b>", 12_500, "Write an amount, for example €20.00."),
        ("9" * 41, 12_500, "Write an amount, for example €20.00."),
    ],
)
def test_another_amount_is_paid_or_refused_with_the_amounts_that_work(
    typed: str, minor: int, words: str
) -> None:
    clinic = a_clinic(least_part=2_000)
    shown = payments.pay(an_invoice(), payments.Means([]), clinic, typed)

    assert [share["amount"]["minor"] for share in shown.shares] == [minor]
    page = text(pay_page(clinic, typed))
    assert words in page and "From €20.00 to €124.50, or the whole €125.00." in page
    assert (shown.left != "") == (minor < 12_500)
    assert bool(shown.part and shown.part.error) == bool(words)


@pytest.mark.parametrize("clinic", [a_clinic(), a_clinic(least_part=12_451)])
def test_no_part_is_offered_where_none_can_be_paid(clinic: ClinicOut) -> None:
    page = text(pay_page(clinic, "50"))

    assert "another amount" not in page and "Pay €125.00" in page


def test_several_invoices_are_listed_with_their_sum_the_first_due_first() -> None:
    small = a_row(total=30, methods=[], online_charge="below_minimum", number="2026-0003")
    first = a_row(due_on=date(2026, 11, 1), number="2026-0002", due=eur(5_000))
    unpaid = [first, a_row(), small]
    made = choices.chosen([str(each.id) for each in (*unpaid, an_invoice())], unpaid, a_clinic())
    shown = payments.pay_together(made, payments.Means([]), a_clinic())

    assert (shown.title, shown.amount) == ("Pay 3 invoices", "€175.30")
    assert [share["amount"]["minor"] for share in shown.shares] == [5_000, 12_500, 30]
    assert shown.notes == ["1 of the invoices that you chose is not to be paid here any more, and left out."]
    listed = payments.with_choice(shown, unpaid, a_clinic())
    page = text(render("pay.html", pay=listed, choice=listed.choice, **STRIPE))
    assert "See invoice 2026-0002" in page and "See invoice 2026-0003" in page and "Pay €175.30" in page


def test_more_than_one_payment_takes_are_told_and_the_first_due_are_paid() -> None:
    unpaid = [a_row(due=eur(100), due_on=date(2026, 1, 1) + timedelta(days=day)) for day in range(42)]
    made = choices.all_in("EUR", unpaid, a_clinic())
    shown = payments.pay_together(made, payments.Means([]), a_clinic())

    assert [share["invoice_id"] for share in shown.shares] == [str(each.id) for each in unpaid[:40]]
    assert shown.amount == "€40.00"
    assert "At most 40 invoices can be paid at once." in shown.notes[0] and "other 2" in shown.notes[0]
    assert "other 2" in a_choice(*unpaid)


def test_what_cannot_be_paid_with_others_is_not_among_them() -> None:
    usd = a_row(currency="USD", due=Money(500, "USD"))
    left_out = [
        a_row(status="processing", number="2026-0009"),
        a_row(being_checked=True, number="2026-0009"),
        a_row(online_charge="between_steps", due=Money(1_255, "KWD"), currency="KWD", number="2026-0009"),
    ]
    page = a_choice(a_row(), usd, *left_out)

    assert "in EUR" in page and "in USD" in page and "2026-0009" not in page
    assert "Nothing to pay here" in a_choice(*left_out)
    assert "Nothing to pay here" in a_choice(a_row(), clinic=a_clinic(online_payment=False))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "Choose at least one invoice."),
        ([a_row(), a_row(currency="USD", due=Money(500, "USD"))], "different currencies"),
        ([a_row(due=eur(49))], "€0.49 is too little to pay online. Choose more invoices."),
        ([a_row(due=eur(10**12 - 1)), a_row()], "Choose fewer invoices."),
    ],
)
def test_a_choice_that_is_no_payment_is_told_in_words(rows: list[InvoiceItem], words: str) -> None:
    made = choices.chosen([str(each.id) for each in rows], rows, a_clinic())

    assert words in made.error and not made.invoices
    assert words in a_choice(*rows, error=made.error)


def test_the_page_of_one_invoice_offers_the_others_and_each_other_choice_keeps_the_credit() -> None:
    late = a_row(due_on=date(2026, 1, 2), due=eur(5_000), number="2026-0002")
    usd = a_row(currency="USD", due=Money(500, "USD"))
    found, means = a_row(due_on=date(2099, 1, 1)), payments.Means([], [eur(1_000)], use_credit=True)
    alone = payments.pay(found, means, a_clinic())
    shown = payments.with_choice(alone, [late, found, usd], a_clinic())

    assert payments.with_choice(alone, [found], a_clinic()).choice is None
    assert shown.choice and shown.choice.chosen == {str(found.id)}
    [group] = shown.choice.groups
    assert [(offer.words, offer.href) for offer in (*group.offers, *shown.choice.others)] == [
        ("Pay all 2 at once: €175.00", "/c/harbour/pay?all=EUR&credit=use"),
        ("Pay what is due now: €50.00", f"/c/harbour/pay?invoice={late.id}&credit=use"),
        ("Pay those in USD", "/c/harbour/pay?all=USD"),
    ]
    page = render("pay.html", pay=shown, choice=shown.choice, **STRIPE)
    assert re.findall(r'value="([^"]+)" id="choose-[^"]+" checked', page) == [str(found.id)]
    assert "Pay other invoices too" in page and '<input type="hidden" name="credit" value="use">' in page


def test_a_refused_choice_keeps_its_ticks() -> None:
    rows = [a_row(), a_row(currency="USD", due=Money(500, "USD"))]
    kept = payments.choose(rows, a_clinic(), "No.", [str(each.id) for each in rows])

    page = render("pay.html", pay=None, choice=kept, **STRIPE)
    assert page.count(" checked") == 2


def test_a_payment_that_was_not_made_leads_back_to_the_same_choice() -> None:
    first, other = an_invoice(), an_invoice()
    shares = [PaymentShareOut(invoice_id=each.id, amount=eur(12_500)) for each in (first, other)]
    several = payments.result(a_payment("failed", invoices=shares), [first, other], a_clinic())
    part = PaymentShareOut(invoice_id=first.id, amount=eur(5_000))
    one = payments.result(a_payment("failed", invoices=[part]), [first], a_clinic())

    assert several.again == f"/c/harbour/pay?invoice={first.id}&invoice={other.id}"
    assert one.again == f"/c/harbour/invoices/{first.id}/pay?amount=%E2%82%AC50.00"


def test_credit_is_offered_and_used_by_choice() -> None:
    found, means = an_invoice(), payments.Means([], [eur(1_200)])
    offered = payments.pay(found, means, a_clinic())
    used = payments.pay(found, payments.Means([], means.held, use_credit=True), a_clinic())

    page = text(render("pay.html", pay=offered, **STRIPE))
    assert "You have €12.00 of credit at Harbour Physiotherapy." in page and "Pay €125.00" in page
    assert "With €12.00 of it, €113.00 is left to pay." in page
    assert offered.credit and offered.credit.switch == f"/c/harbour/invoices/{found.id}/pay?credit=use"
    page = text(render("pay.html", pay=used, **STRIPE))
    assert "Your credit −€12.00" in page and "Pay €113.00" in page and "Pay without my credit" in page
    assert used.credit and used.credit.switch == f"/c/harbour/invoices/{found.id}/pay"
    assert (used.stripe_amount, used.href) == (11_300, f"/c/harbour/invoices/{found.id}/pay?credit=use")


def test_credit_that_pays_all_needs_no_card() -> None:
    means = payments.Means([], [Money(900, "USD"), eur(20_000)], use_credit=True)
    shown = payments.pay(an_invoice(), means, a_clinic())

    page = text(render("pay.html", pay=shown, **STRIPE))
    assert "Your credit pays all of this. Nothing is charged." in page
    assert "Pay €125.00 with my credit" in page and "How do you want to pay?" not in page


@pytest.mark.parametrize("held", [[], [Money(900, "USD")], [eur(0)]])
def test_credit_that_does_not_help_is_not_offered(held: list[Money]) -> None:
    shown = payments.pay(an_invoice(), payments.Means([], held, use_credit=True), a_clinic())

    assert shown.credit is None and shown.amount == "€125.00"


@pytest.mark.parametrize(
    ("total", "number", "have", "used"),
    [
        (100, 1, 30, 30),
        (100, 1, 60, 50),
        (100, 1, 99, 50),
        (100, 1, 100, 100),
        (100, 1, 500, 100),
        (50, 1, 49, 0),
    ],
)
def test_credit_leaves_nothing_or_what_can_be_charged(total: int, number: int, have: int, used: int) -> None:
    assert uses.credit_for(eur(total), number, [eur(have)]) == used


def with_credit(status: Any, reserved: int | None, agreed: int = 1_200, **changes: Any) -> PaymentOut:
    part = PaymentShareOut(invoice_id=new_id(), amount=eur(8_800), credit=eur(agreed))
    held = eur(reserved) if reserved else None
    return a_payment(status, amount=eur(8_800), credit=held, invoices=[part], **changes)


@pytest.mark.parametrize(
    ("payment", "words"),
    [
        (with_credit("succeeded", 1_200), "€100.00"),
        (with_credit("succeeded", 1_200), "Charged to your Visa ending 4242 €88.00 Your credit €12.00"),
        (with_credit("failed", 1_200), "€12.00 of your credit is set aside for this payment."),
        (with_credit("created", 1_200), "If you do not go on, it is yours again."),
        (with_credit("processing", 1_200), "€12.00 of your credit pays the rest."),
        (with_credit("canceled", None), "€12.00 of your credit was not used for this payment."),
        (with_credit("failed", None), "€12.00 of your credit was not used for this payment."),
        (
            a_payment("succeeded", method=PaidWith(kind="credit")),
            "Paid with credit €125.00 Thank you. Your credit has paid this. Nothing was charged.",
        ),
    ],
)
def test_a_result_tells_what_became_of_credit(payment: PaymentOut, words: str) -> None:
    found = an_invoice(id=payment.invoices[0].invoice_id)
    shown = payments.result(payment, [found], a_clinic())

    assert words in text(render("result.html", result=shown))
    assert shown.again.endswith("credit=use") == any(part.credit for part in payment.invoices)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("already_paid", "Nothing is due on one of these invoices any more."),
        ("amount_changed", "An amount has changed since you opened this page."),
        ("parts_off", "An amount has changed since you opened this page."),
        ("payment_in_progress", "A payment for one of these invoices is already on its way."),
    ],
)
def test_a_refusal_of_several_leads_to_what_is_left(code: str, words: str) -> None:
    page = PortalPage(a_clinic(), a_caller("client", new_id()), several=False)
    ids = [new_id(), new_id()]
    refusal = refusals.response(UpstreamError(409, code, "", {}), page, ids).content

    assert words in refusal["message"]
    assert refusal["next"] == [
        {"href": f"/c/harbour/pay?invoice={ids[0]}&invoice={ids[1]}", "words": "See what is left to pay"}
    ]


@pytest.mark.parametrize("code", ["service_unavailable", "internal_error", "bad_answer"])
def test_an_answer_that_is_lost_proves_nothing_where_credit_pays_alone(code: str) -> None:
    page, invoice = PortalPage(a_clinic(), a_caller("client", new_id()), several=False), new_id()
    lost = UpstreamError(503, code, "", {})
    refusal = refusals.response(lost, page, [invoice], by_credit=True).content

    assert "No money was taken" not in refusal["message"]
    assert refusal["heading"] == "We are waiting for an answer"
    assert [step["href"] for step in refusal["next"]] == [f"/c/harbour/invoices/{invoice}"]
    several = refusals.response(lost, page, [invoice, new_id()], by_credit=True).content
    assert [step["href"] for step in several["next"]] == ["/c/harbour/billing"]
    assert "No money was taken" in refusals.response(lost, page, [invoice]).content["message"]


def test_a_discounted_invoice_with_tax_in_its_prices_says_how_it_adds_up() -> None:
    line = replace(
        an_invoice().lines[0],
        unit_price=eur(14_000),
        amount=eur(12_500),
        discount=DiscountOut(amount=eur(1_500), percent="12.5", reason="Student"),
        taxes=[
            LineTax(code="GST", name="GST", percent="5", category="S", tax=eur(500)),
            LineTax(code="PST", name="PST", percent="7", category="S", tax=eur(700)),
        ],
    )
    exempt = InvoiceTax(
        code="MED", name="VAT", percent="0", base=eur(900), tax=eur(0), exemption_text="Medical care"
    )
    whole = DiscountOut(amount=eur(1_250), percent="10", reason="Family")
    found = an_invoice(prices="gross", discount=whole, lines=[line], taxes=[exempt], subtotal=eur(10_045))
    shown = invoices.invoice(found, a_clinic())

    assert shown.lines[0].amount == "€125.00"
    assert shown.lines[0].discount == "−€15.00 (12.5%), Student"
    assert shown.lines[0].taxes == ["GST €5.00 (5%)", "PST €7.00 (7%)"]
    assert [(each.label, each.amount) for each in shown.made_up[:4]] == [
        ("Services, tax included", "€125.00"),
        ("Discount 10%, Family", "−€12.50"),
        ("Before tax", "€100.45"),
        ("VAT 0% on €9.00 (Medical care)", "€0.00"),
    ]
    assert "Student" in details(found)


def test_an_invoice_over_nothing_says_so() -> None:
    shown = invoices.invoice(
        an_invoice(**row_facts(total=0, status="paid", methods=[], online_charge=None)), a_clinic()
    )

    assert (shown.headline, shown.headline_amount) == ("Invoice total", "€0.00")
    assert shown.timing == "There is nothing to pay."


def test_a_document_names_tax_numbers_its_place_and_the_insurers_reference() -> None:
    found = an_invoice(
        location="Quay Street",
        insurer_reference="Claim 99",
        seller=Seller(name="Harbour", tax_number="IE1234567T"),
        bill_to=BillTo(name="Ada Nolan", billing_address=BillingAddress(), tax_number="IE7654321T"),
    )

    assert invoices.invoice(found, a_clinic()).references == [
        ("Location", "Quay Street"),
        ("Insurer's reference", "Claim 99"),
    ]
    page = details(found)
    assert all(each in page for each in ("Quay Street", "Claim 99", "IE1234567T", "IE7654321T"))


def a_document(**changes: Any) -> DocumentOut:
    facts: dict[str, Any] = {
        "id": new_id(),
        "invoice_id": new_id(),
        "kind": "credit_note",
        "number": "CN-2026-000007",
        "reason": "not_given",
        "explanation": "The third hour was cancelled.",
        "issued_on": date(2026, 11, 21),
        "net": eur(2_000),
        "tax": eur(460),
        "total": eur(2_460),
        "taxes": [InvoiceTax(code="STD", name="VAT", percent="23", base=eur(2_000), tax=eur(460))],
        "lines": [
            DocumentLine(position=1, service="Physiotherapy", quantity="1", net=eur(2_000), tax=eur(460))
        ],
        "seller": Seller(name="Harbour Physiotherapy"),
        "locale": "en-IE",
        "time_zone": "Europe/Dublin",
    }
    return DocumentOut(**facts | changes)


def test_an_invoice_shows_its_corrections_in_plain_words() -> None:
    replaced = InvoiceLink(id=new_id(), number="2026-0009")
    documents = (
        a_document(new_invoice=replaced),
        a_document(kind="write_off", number=None, reason="uncollectible", explanation="She never answers."),
        a_document(kind="void", number=None, reason="duplicate", explanation=""),
    )
    page = text(
        details(
            replace(an_invoice(), documents=documents, corrects=InvoiceLink(id=new_id(), number="2026-0002"))
        )
    )

    assert (
        "Credit note CN-2026-000007 21 Nov 2026 · The service was not given · Replaced by invoice 2026-0009"
        in page
    )
    assert "The third hour was cancelled. -€24.60" in page.replace("−", "-")
    assert "No longer asked for" in page and "never answers" not in page
    assert "Cancelled 21 Nov 2026 · It was sent twice" in page
    assert "It replaces invoice 2026-0002" in page


def test_a_credit_note_has_a_page_to_print() -> None:
    found = replace(an_invoice(), documents=(a_document(), a_document(number="CN-2026-000008", lines=[])))
    page = text(render("credit_notes.html", a_clinic(), invoice=invoices.invoice(found, a_clinic())))

    for words in (
        "CN-2026-000007",
        "CN-2026-000008",
        "1 × Physiotherapy",
        "VAT 23% on €20.00",
        "Total credited €24.60",
    ):
        assert words in page, words


@pytest.mark.parametrize("outcome", ["canceled", "failed", "created"])
def test_nobody_is_asked_to_pay_a_voided_invoice_again(outcome: str) -> None:
    payment = a_payment(outcome)
    pages = {
        status: render(
            "result.html", result=payments.result(payment, [an_invoice(status=status)], a_clinic())
        )
        for status in ("unpaid", "void")
    }

    asks = re.compile(r"Try again</a>|Go on to pay")
    assert asks.search(pages["unpaid"])
    assert not asks.search(pages["void"])
    assert "Look at the invoice" in pages["void"]
