"""Pages from answers of the services: what they show, and what they must never hold."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from contracts.http.clinics import ClinicContact, ClinicOut
from contracts.http.common import Money
from contracts.http.invoices import InvoiceOut, MovementOut, Seller, Summary
from contracts.http.payments import PaymentFailure
from services.gateway.portal import stripe_form
from services.gateway.portal.help import articles
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.methods import views as methods
from services.gateway.portal.payments import views as payments
from services.gateway.web.templating import STATIC, asset, environment
from tests.builders.portal import NOON, a_clinic, a_payment, a_row, an_invoice, eur, row_facts

pages = environment()
STRIPE: dict[str, Any] = {
    "stripe_js_url": "https://js.stripe.com/v3/",
    "stripe_publishable_key": "pk_test_1",
    "stripe_account": "acct_1",
    "reasons": stripe_form.paying(),
}


def render(template: str, clinic: ClinicOut | None = None, **context: Any) -> str:
    frame = {"clinic": clinic or a_clinic(), "section": "payments", "csrf_token": "t", "several": False}
    frame |= {"here": "", "listed": "/c/harbour/billing", "usable": True}
    return pages.get_template(template).render(**frame | context)


def details(invoice: InvoiceOut, clinic: ClinicOut | None = None) -> str:
    clinic = clinic or a_clinic()
    shown = invoices.invoice(invoice, clinic)
    return render("details.html", clinic, invoice=shown, pay_label="Pay with Card")


def pay_page(clinic: ClinicOut) -> str:
    return render("pay.html", clinic, pay=payments.pay(an_invoice(), [], clinic), **STRIPE)


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


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
    listed = render("billing.html", rows=[view.row], filter="", credit=None, older=None, newer=None)

    for page in (shown, details(invoice), listed):
        assert "Being checked" in text(page)
        assert "/pay" not in page and "amount due" not in text(page).lower() and "left" not in text(page)
    assert "being checked. The clinic knows. You do not need to pay anything now." in text(shown)
    assert (view.headline, view.headline_amount) == ("Invoice total", "€125.00")


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

    assert "€125.00 and US$50.00 2 unpaid invoices" in page


def test_owing_nothing_is_a_good_place_with_the_last_payment() -> None:
    last = a_row(status="paid", settled=12_500)
    found = Summary(due=[], unpaid_count=0, overdue_count=0, checked_count=0, next=None, last_paid=last)
    page = text(render("dashboard.html", summary=invoices.summary(found, a_clinic())))

    assert "Nothing to pay" in page
    assert "Your last payment" in page


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


def test_a_receipt_names_the_seller_of_its_invoice_also_where_it_tells_of_credit() -> None:
    sold = an_invoice(seller=Seller(name="Quay Clinic"), locale="en-IE", time_zone="Europe/Dublin")
    payment = a_payment("succeeded", surplus=eur(500))
    page = render("result.html", result=payments.result(payment, [sold], a_clinic()))
    [article] = re.findall(r"<article.*?</article>", page, re.DOTALL)

    assert "Quay Clinic keeps it as your credit" in text(article) and "Harbour" not in article
