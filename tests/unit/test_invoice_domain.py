"""Issuing invoices, and booking movements on them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events.envelope import event_id
from contracts.events.invoice import InvoicePaid, InvoiceUpdated
from contracts.events.payment import PaymentSettled
from contracts.money import LARGEST_MINOR, Money
from services.chassis import texts
from services.chassis.errors import DomainError
from services.invoice import checks
from services.invoice.checks import Price
from services.invoice.clinics.domain import Clinic, Contact, Seller, TaxRate
from services.invoice.invoices import domain, drafts
from services.invoice.invoices.domain import Invoice, book, change_event, created_event
from services.invoice.invoices.drafts import Appointment, DiscountDraft, InvoiceDraft, LineDraft, price_draft

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
CLINIC = Clinic(
    id=UUID(int=1),
    slug="harbour",
    name="Harbour Clinic",
    currency="EUR",
    time_zone="Europe/Dublin",
    locale="en-IE",
    billing_shown=True,
    online_payment=True,
    methods=("card",),
    contact=Contact(),
    accent="#0b6e6e",
    tax_rates=(
        TaxRate(code="STD", name="VAT", percent="23"),
        TaxRate(code="PST", name="PST", percent="7", category="S"),
        TaxRate(code="ZERO", name="VAT", percent="0"),
    ),
    version=1,
)
LINE = LineDraft(
    service="Physiotherapy", practitioner="A. Byrne", unit_price=Price(10_000, "EUR"), tax_code="STD"
)
HUGE = replace(LINE, unit_price=Price(LARGEST_MINOR, "EUR"), quantity="999999")
GIVEN = InvoiceDraft(client_id=UUID(int=2), due_on=date(2026, 12, 7), lines=(LINE,))
INVOICE = Invoice(
    clinic_id=UUID(int=1),
    id=UUID(int=3),
    client_id=UUID(int=2),
    number="2026-000001",
    status="unpaid",
    currency="EUR",
    total_amount=12_500,
    issued_on=date(2026, 11, 23),
    due_on=date(2026, 12, 7),
    seller=Seller(name="Harbour Clinic"),
    locale="en-IE",
    time_zone="Europe/Dublin",
    changed_at=NOW,
)


def line(**changes: Any) -> InvoiceDraft:
    return replace(GIVEN, lines=(replace(LINE, **changes),))


def moved(minor: int, kind: Any = "payment", currency: str = "EUR", at: datetime = NOW) -> PaymentSettled:
    movement_id = event_id(at, minor, kind, currency)
    return PaymentSettled(
        id=movement_id,
        time=at,
        clinic_id=INVOICE.clinic_id,
        movement_id=movement_id,
        invoice_id=INVOICE.id,
        payment_id=UUID(int=9),
        kind=kind,
        amount=Money(minor=minor, currency=currency),
    )


def test_an_invoice_has_its_lines_taxes_and_defaults() -> None:
    draft = price_draft(GIVEN, CLINIC, NOW)

    assert (draft.currency, draft.issued_on) == ("EUR", date(2026, 11, 23))
    assert (draft.totals.subtotal, draft.totals.tax, draft.totals.total) == (10_000, 2_300, 12_300)
    assert (draft.lines[0].totals.net, draft.lines[0].totals.taxes) == (10_000, (2_300,))


def test_prices_are_the_clinics_unless_the_invoice_says_otherwise() -> None:
    gross = replace(CLINIC, prices="gross")

    assert price_draft(GIVEN, gross, NOW).totals.total == 10_000
    assert price_draft(replace(GIVEN, prices="net"), gross, NOW).totals.total == 12_300


def test_a_rate_of_before_categories_has_the_one_of_its_percent() -> None:
    rates = [
        price_draft(replace(GIVEN, lines=(LINE, replace(LINE, tax_code=code))), CLINIC, NOW).totals.groups[-1]
        for code in ("STD", "ZERO")
    ]
    assert [group.rate.category for group in rates] == ["S", "Z"]


def test_today_is_the_clinics_today() -> None:
    """Past midnight in Auckland it is still yesterday in Dublin."""
    auckland = replace(CLINIC, time_zone="Pacific/Auckland")

    assert price_draft(GIVEN, auckland, NOW).issued_on == date(2026, 11, 24)
    tomorrow = replace(GIVEN, issued_on=date(2026, 11, 24))
    assert price_draft(tomorrow, auckland, NOW).issued_on == date(2026, 11, 24)
    with pytest.raises(drafts.InvalidIssueDate):
        price_draft(tomorrow, CLINIC, NOW)


@pytest.mark.parametrize(
    ("given_invoice", "code"),
    [
        (replace(GIVEN, lines=()), "invalid_lines"),
        (replace(GIVEN, lines=(LINE,) * 501), "invalid_lines"),
        (line(tax_code="NONE"), "unknown_tax_code"),
        (line(quantity="0"), "invalid_quantity"),
        (line(quantity="0.000"), "invalid_quantity"),
        (line(quantity="--1"), "invalid_decimal"),
        (line(quantity="-"), "invalid_decimal"),
        (line(quantity="-0.0"), "invalid_quantity"),
        (line(quantity="-1"), "nothing_to_pay"),
        (replace(GIVEN, lines=(replace(LINE, quantity="-1"), LINE, HUGE)), "amount_out_of_range"),
        (line(tax_code=None), "invalid_taxes"),
        (line(tax_codes=("STD",)), "invalid_taxes"),
        (line(tax_code=None, tax_codes=()), "invalid_taxes"),
        (line(tax_code=None, tax_codes=("STD", "STD")), "invalid_taxes"),
        (line(tax_code=None, tax_codes=("STD", "PST", "ZERO")), "invalid_taxes"),
        (line(tax_code=None, tax_codes=("STD", "ZERO")), "invalid_taxes"),
        (line(tax_code=None, tax_codes=("STD", "GONE")), "unknown_tax_code"),
        (line(discount=DiscountDraft()), "invalid_discount"),
        (line(discount=DiscountDraft(amount=Price(1, "EUR"), percent="1")), "invalid_discount"),
        (line(discount=DiscountDraft(percent="100.001")), "invalid_discount"),
        (line(discount=DiscountDraft(percent="-1")), "invalid_decimal"),
        (line(discount=DiscountDraft(amount=Price(10_001, "EUR"))), "invalid_discount"),
        (line(discount=DiscountDraft(amount=Price(-1, "EUR"))), "amount_out_of_range"),
        (line(discount=DiscountDraft(amount=Price(1, "USD"))), "wrong_currency"),
        (line(discount=DiscountDraft(percent="1", reason="a\nb")), "invalid_text"),
        (replace(GIVEN, discount=DiscountDraft(amount=Price(10_001, "EUR"))), "invalid_discount"),
        (line(quantity="1e3"), "invalid_decimal"),
        (line(quantity="NaN"), "invalid_decimal"),
        (line(quantity="1.0001"), "invalid_decimal"),
        (line(quantity="٣"), "invalid_decimal"),
        (line(unit_price=Price(100, "USD")), "wrong_currency"),
        (line(unit_price=Price(-1, "EUR")), "amount_out_of_range"),
        (line(unit_price=Price(2**53, "EUR")), "amount_out_of_range"),
        (line(unit_price=Price(LARGEST_MINOR, "EUR")), "amount_out_of_range"),
        (line(service=""), "invalid_text"),
        (line(service="   "), "invalid_text"),
        (line(service="a\x00b"), "invalid_text"),
        (line(service="a\nb"), "invalid_text"),
        (line(service="a\u202eb"), "invalid_text"),
        (line(service="x" * 201), "invalid_text"),
        (replace(GIVEN, note="x" * 2001), "invalid_text"),
        (replace(GIVEN, currency="XXX"), "unknown_currency"),
        (replace(GIVEN, currency="eur"), "unknown_currency"),
        (replace(GIVEN, currency="BGN"), "unknown_currency"),
        (replace(GIVEN, due_on=date(2026, 11, 22)), "invalid_due_date"),
        (replace(GIVEN, due_on=date(9999, 12, 31)), "invalid_due_date"),
        (replace(GIVEN, issued_on=date(1, 1, 1)), "invalid_issue_date"),
        (line(appointment=Appointment(starts_at=datetime(2026, 1, 1))), "invalid_appointment"),  # noqa: DTZ001
        (line(appointment=Appointment(starts_at=datetime(1, 1, 1, tzinfo=UTC))), "invalid_appointment"),
    ],
)
def test_what_may_not_be_issued_is_refused_by_name(given_invoice: InvoiceDraft, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        price_draft(given_invoice, CLINIC, NOW)
    assert (refusal.value.code, refusal.value.status) == (code, 422)


def test_all_that_is_wrong_with_an_invoice_is_named_at_once() -> None:
    wrong = replace(
        LINE,
        tax_code="NONE",
        quantity="0",
        service="\u200b",
        unit_price=Price(100, "USD"),
        appointment=Appointment(starts_at=datetime(1, 1, 1, tzinfo=UTC), place="x" * 201),
    )
    given_invoice = replace(GIVEN, lines=(LINE, wrong), issued_on=date(2026, 11, 30), note="x" * 2001)

    with pytest.raises(DomainError) as refusal:
        price_draft(replace(given_invoice, due_on=date(2026, 11, 1)), CLINIC, NOW)

    assert {(each.code, each.fields["field"]) for each in refusal.value.every} == {
        ("invalid_issue_date", "issued_on"),
        ("invalid_due_date", "due_on"),
        ("invalid_text", "note"),
        ("unknown_tax_code", "lines.1.tax_code"),
        ("invalid_quantity", "lines.1.quantity"),
        ("invalid_text", "lines.1.service"),
        ("wrong_currency", "lines.1.unit_price"),
        ("invalid_appointment", "lines.1.appointment.starts_at"),
        ("invalid_text", "lines.1.appointment.place"),
    }


def test_appointments_are_kept_in_utc() -> None:
    starts_at = datetime(2026, 11, 20, 9, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    draft = price_draft(line(appointment=Appointment(starts_at=starts_at, place="Room 2")), CLINIC, NOW)

    assert draft.lines[0].appointment == Appointment(
        starts_at=datetime(2026, 11, 20, 4, 0, tzinfo=UTC), place="Room 2"
    )


@given(st.text(max_size=50))
def test_a_text_that_passes_is_one_the_database_holds(text: str) -> None:
    try:
        kept = texts.text(text, "field", most=50)
    except texts.InvalidText:
        return
    assert "\x00" not in kept
    assert kept.encode().decode() == kept


@pytest.mark.parametrize(
    ("amounts", "status", "settled"),
    [
        ([12_500], "paid", 12_500),
        ([5_000], "part_paid", 5_000),
        ([5_000, 7_500], "paid", 12_500),
        ([12_500, 100], "paid", 12_600),
        ([-500], "unpaid", -500),
    ],
)
def test_the_sum_of_movements_decides_the_status(amounts: list[int], status: str, settled: int) -> None:
    after = book(INVOICE, [moved(amount) for amount in amounts], processing=False, at=NOW)

    assert (after.status, after.settled_amount, after.version) == (status, settled, 2)
    assert (after.paid_at is not None) == (status == "paid")


def test_a_reversal_opens_a_paid_invoice_again() -> None:
    paid = book(INVOICE, [moved(12_500)], processing=False, at=NOW)
    reopened = book(paid, [moved(-12_500, "reversal")], processing=False, at=NOW)

    assert (reopened.status, reopened.settled_amount, reopened.paid_at) == ("unpaid", 0, None)
    assert isinstance(change_event(INVOICE, paid), InvoicePaid)
    assert isinstance(change_event(paid, reopened), InvoiceUpdated)


def test_a_full_refund_asks_for_no_money_again() -> None:
    paid = book(INVOICE, [moved(12_500)], processing=False, at=NOW)
    refunded = book(paid, [moved(-12_500, "refund")], processing=False, at=NOW)

    assert (refunded.status, refunded.settled_amount, refunded.refunded_amount) == (
        "refunded",
        12_500,
        12_500,
    )
    assert domain.due_amount(refunded.status, refunded.due_before_payments, refunded.settled_amount) == 0


@pytest.mark.parametrize("kind", ["refund", "dispute"])
def test_a_part_that_went_back_is_not_due_again(kind: str) -> None:
    paid = book(INVOICE, [moved(12_500)], processing=False, at=NOW)
    back = book(paid, [moved(-2_500, kind)], processing=False, at=NOW)

    assert (back.status, back.settled_amount) == ("paid", 12_500)
    assert back.refunded_amount + back.disputed_amount == 2_500


def test_a_refund_of_a_part_payment_leaves_the_rest_due() -> None:
    part = book(INVOICE, [moved(5_000), moved(-5_000, "refund")], processing=False, at=NOW)

    assert part.status == "part_paid"
    assert domain.due_amount(part.status, part.due_before_payments, part.settled_amount) == 7_500


@pytest.mark.parametrize(
    ("credited", "written_off", "settled", "status", "due"),
    [
        (2_500, 0, 0, "unpaid", 10_000),
        (2_500, 0, 10_000, "paid", 0),
        (2_500, 0, 12_500, "paid", 0),
        (12_500, 0, 0, "credited", 0),
        (2_500, 10_000, 0, "written_off", 0),
        (0, 7_500, 5_000, "paid", 0),
        (0, 2_500, 5_000, "part_paid", 5_000),
        (2_500, 0, -100, "unpaid", 10_100),
    ],
)
def test_documents_lower_what_is_due(
    credited: int, written_off: int, settled: int, status: str, due: int
) -> None:
    changed = replace(
        INVOICE, credited_amount=credited, written_off_amount=written_off, settled_amount=settled
    )
    changed = replace(changed, status=domain.status_of(changed, processing=False))

    assert changed.status == status
    assert domain.due_amount(changed.status, changed.due_before_payments, changed.settled_amount) == due
    assert created_event(changed).due_before_payments.minor == 12_500 - credited - written_off


def test_nothing_is_due_on_a_void_invoice() -> None:
    void = replace(INVOICE, status="void")

    assert (void.due_before_payments, domain.status_of(void, processing=True)) == (0, "void")


def test_the_order_of_movements_does_not_matter() -> None:
    movements = [moved(12_500), moved(-12_500, "refund"), moved(500), moved(-500, "reversal")]
    ends = set()
    for order in permutations(movements):
        invoice = INVOICE
        for movement in order:
            invoice = book(invoice, [movement], processing=False, at=NOW)
        ends.add((invoice.status, invoice.settled_amount, invoice.refunded_amount, invoice.version))

    assert ends == {("refunded", 12_500, 12_500, 5)}


def test_another_currency_is_refused() -> None:
    with pytest.raises(checks.WrongCurrency):
        book(INVOICE, [moved(12_500, currency="USD")], processing=False, at=NOW)


def test_a_sum_that_no_json_reader_keeps_is_refused() -> None:
    with pytest.raises(checks.AmountOutOfRange):
        book(INVOICE, [moved(LARGEST_MINOR), moved(1)], processing=False, at=NOW)


def test_an_invoice_is_on_its_way_and_back() -> None:
    on_its_way = book(INVOICE, [], processing=True, at=NOW)

    assert (on_its_way.status, on_its_way.version) == ("processing", 2)
    assert book(on_its_way, [], processing=True, at=NOW) is on_its_way
    assert book(on_its_way, [], processing=False, at=NOW).status == "unpaid"
    paid = book(on_its_way, [moved(12_500)], processing=False, at=NOW)
    assert book(paid, [], processing=True, at=NOW) is paid


def test_an_event_is_the_same_whenever_it_is_made() -> None:
    created = created_event(INVOICE)

    assert created == created_event(INVOICE)
    assert created.id != created_event(replace(INVOICE, version=2)).id
    assert (created.version, created.due.minor, created.key) == (1, 12_500, INVOICE.id)


def test_events_hold_no_service_and_no_person() -> None:
    fields = set(type(created_event(INVOICE)).model_fields)

    assert fields == {
        "id", "time", "traceparent", "clinic_id", "version", "invoice_id", "client_id", "number", "status",
        "total", "due_before_payments", "settled", "issued_on", "due_on",
            "being_checked", "seller_name", "locale", "time_zone", "sums", "pay_link_generation",
    }  # fmt: skip


def test_what_python_calls_printable_is_never_refused() -> None:
    """The check accepts such texts without looking at each character."""
    assert not any(texts.is_unprintable(chr(code)) for code in range(0x110000) if chr(code).isprintable())
