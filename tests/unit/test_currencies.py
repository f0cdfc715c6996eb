"""The table of currencies: its facts, each currency on every page, and the sandbox's own copy of Stripe's list."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from babel import Locale
from babel.localedata import locale_identifiers
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency as Iso

from contracts.currencies import CURRENCIES, Currency, charge_of, takes
from contracts.http.clinics import ClinicOut
from contracts.http.common import Money
from contracts.http.invoices import InvoiceOut
from contracts.http.methods import SavedMethodOut
from contracts.money import Money as ContractMoney
from deploy.sandbox import currencies as stripes
from services.chassis.errors import DomainError
from services.chassis.ids import new_id
from services.chassis.locale.money import from_stripe, to_stripe, written
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.page import PortalPage
from services.gateway.portal.payments import refusals
from services.gateway.portal.payments import views as payments
from services.gateway.upstream.calls import UpstreamError
from services.notification.projections.domain import Invoice
from services.payment.payments import starting
from services.payment.payments.starting import PaymentRequest
from services.payment.receivables.domain import Receivable
from tests.builders.callers import a_caller
from tests.builders.portal import a_clinic, an_invoice
from tests.unit.test_notification_letters import CLINIC, RENDERER, an_email
from tests.unit.test_portal_pages import STRIPE, render, text

ALL = sorted(CURRENCIES.values(), key=lambda currency: currency.code)
LOCALES = (
    "en-IE",
    "de-CH",
    "fr-FR",
    "ar-KW",
    "fa-IR",
    "hi-IN",
    "ja-JP",
    "pl-PL",
    "is-IS",
    "sv-SE",
    "he-IL",
    "mg-MG",
)
DEAD = {
    "BGN": "the euro since 2026",
    "HRK": "the euro since 2023",
    "EEK": "the euro since 2011",
    "LVL": "the euro since 2014",
    "LTL": "the euro since 2015",
    "ANG": "XCG since 2025",
    "SVC": "the dollar since 2001",
    "VEF": "VES since 2018",
    "SLL": "SLE since 2022",
    "MRO": "MRU since 2018",
    "STD": "STN since 2018",
    "USDC": "not a currency of ISO 4217",
}
each_currency = pytest.mark.parametrize("currency", ALL, ids=lambda currency: currency.code)


def test_the_table_is_what_stripe_accepts_without_what_is_dead() -> None:
    accepted = {code.upper() for code in stripes.ACCEPTED}

    assert set(CURRENCIES) == accepted - set(DEAD)
    assert set(DEAD) <= accepted


@each_currency
def test_decimals_are_those_of_iso_4217(currency: Currency) -> None:
    assert Iso(currency.code).exponent == currency.decimals


@each_currency
def test_both_tables_have_the_same_rules(currency: Currency) -> None:
    """Both are transcribed from Stripe's page, except the minimums that depend on a rate."""
    code = currency.code.lower()
    assert stripes.decimals(code) == currency.stripe_decimals
    if code in stripes.MINIMUM:
        assert to_stripe(currency.minimum, currency.code) == stripes.least(code)
    for kind, brand, ours in (
        ("card", None, currency.card_maximum),
        ("card", "amex", currency.amex_maximum),
        ("paypal", None, currency.redirect_maximum),
    ):
        most = stripes.most(code, kind, brand)
        assert 0 <= most - (to_stripe(ours, currency.code) or 0) < 100 or ours == 0


@each_currency
def test_every_minimum_is_a_charge_and_where_none_is_published_worth_what_stripe_wants(
    currency: Currency,
) -> None:
    """Cautious: at the sandbox's own rates, clearly above Stripe's rule of half a dollar."""
    code = currency.code.lower()
    assert charge_of(currency.minimum, currency.code) == "possible"
    assert currency.minimum % currency.step == 0 < currency.minimum
    assert (code in stripes.MINIMUM) != (code in stripes.RATES)
    if code in stripes.RATES:
        dollars = Decimal(currency.minimum).scaleb(-currency.decimals) / stripes.RATES[code]
        assert dollars > Decimal("0.9")


@given(currency=st.sampled_from(ALL), data=st.data())
def test_no_amount_that_is_offered_is_refused_by_stripe_and_no_rest_of_a_part_is(
    currency: Currency, data: st.DataObject
) -> None:
    minor = data.draw(st.integers(1, 3 * currency.minimum) | st.integers(1, 2 * currency.card_maximum))
    part = data.draw(st.integers(1, minor))
    for amount in (minor, part, minor - part):
        if charge_of(amount, currency.code) == "possible":
            stripes.check(to_stripe(amount, currency.code) or 0, currency.code.lower(), ["card"])
    if charge_of(minor, currency.code) == "possible" and (rest := rest_of(minor, part, currency.code)):
        stripes.check(to_stripe(rest, currency.code) or 0, currency.code.lower(), ["card"])


def rest_of(minor: int, part: int, code: str) -> int:
    """The rest after paying a part; 0 when the part is refused."""
    invoice = new_id()
    request = PaymentRequest(new_id(), {invoice: ContractMoney(minor=part, currency=code)}, "card")
    payable = Receivable(new_id(), invoice, request.client_id, minor, 0, code, "unpaid")
    try:
        starting.check_request(request)
        starting.check_receivables(request, {invoice: payable}, datetime.now(UTC))
    except DomainError:
        return 0
    return minor - part


@each_currency
def test_what_our_table_lets_pass_stripes_does_too(currency: Currency) -> None:
    code = currency.code.lower()
    published = currency.minimum
    for minor in (published, published + currency.step, currency.card_maximum):
        amount = to_stripe(minor, currency.code)
        assert amount is not None
        assert charge_of(minor, currency.code) == "possible"
        stripes.check(amount, code, ["card"])
        assert from_stripe(amount, currency.code) == minor
    assert charge_of(currency.minimum - 1, currency.code) == "below_minimum"
    assert charge_of(currency.card_maximum + currency.step, currency.code) == "above_maximum"
    if currency.step > 1:
        assert charge_of(published + 1, currency.code) == "between_steps"


@each_currency
def test_every_locale_can_write_it(currency: Currency) -> None:
    for locale in LOCALES:
        shown = written(1_234_560, currency.code, Locale.parse(locale, sep="-"))
        assert re.search(r"\d", shown), locale


@pytest.mark.parametrize("code", ["EUR", "JPY", "KWD", "XCG"])
def test_whatever_locale_a_clinic_has(code: str) -> None:
    for locale in locale_identifiers():
        assert written(1_234_560, code, Locale.parse(locale))


def an_invoice_in(code: str, minor: int, **changes: Any) -> InvoiceOut:
    amount, none = Money(minor, code), Money(0, code)
    facts: dict[str, Any] = {
        "currency": code, "total": amount, "due": amount, "settled": none, "subtotal": amount, "taxes": [], "lines": [],
        "online_charge": charge_of(minor, code),
        "methods": [way for way in ("card", "redirect") if takes(way, minor, code)],
    }  # fmt: skip
    return an_invoice(**facts | changes)


def page_of(invoice: InvoiceOut, clinic: ClinicOut) -> str:
    return text(
        render(
            "invoice.html",
            clinic,
            invoice=invoices.invoice(invoice, clinic),
            pay_label="Pay",
            credit_pays=False,
        )
    )


@each_currency
def test_its_pages_and_its_e_mail_can_be_written(currency: Currency) -> None:
    clinic, minor = a_clinic(currency=currency.code), 100 * max(currency.minimum, currency.step)
    found = an_invoice_in(currency.code, minor)
    amount = written(minor, currency.code, Locale.parse("en_IE"))

    shown = text(amount)
    assert shown in page_of(found, clinic)
    assert shown in text(
        render("pay.html", clinic, pay=payments.pay(found, payments.Means([]), clinic), **STRIPE)
    )
    owed = Invoice(
        new_id(), "2026-1", "unpaid", ContractMoney(minor=minor, currency=currency.code), date(2026, 12, 7)
    )
    assert amount in RENDERER.render(an_email("invoice_ready", owed, clinic=CLINIC)).text


@pytest.mark.parametrize(
    ("minor", "currency", "words"),
    [
        (49, "EUR", "Amounts below €0.50 cannot be paid by card or online"),
        (10**12, "EUR", "At most €9,999,999,999.99 can be paid at once"),
        (12_345, "KWD", "multiples of KWD 0.010"),
        (12_345, "BGN", "This currency cannot be paid by card or online"),
    ],
)
def test_an_amount_that_cannot_be_charged_has_words_and_a_way_and_no_button(
    minor: int, currency: str, words: str
) -> None:
    clinic, found = a_clinic(), an_invoice_in(currency, minor)
    page = page_of(found, clinic)

    assert words in page
    assert clinic.contact.phone in page
    assert "How to pay this invoice" in page
    assert not invoices.row(found, clinic).payable
    row = invoices.row(found, clinic)
    assert words in text(render("not_payable.html", clinic, row=row))


def test_rounding_is_shown_only_where_there_is_some() -> None:
    clinic = a_clinic(currency="KWD")

    assert "Rounding KWD 0.005" in page_of(an_invoice_in("KWD", 12_350, rounding=Money(5, "KWD")), clinic)
    assert "Rounding" not in page_of(an_invoice_in("KWD", 12_350), clinic)


def test_only_ways_that_can_take_the_amount_are_offered() -> None:
    clinic = a_clinic()
    kept = [
        SavedMethodOut(
            id=new_id(), kind="card", brand=brand, last4="4242", exp_month=None, exp_year=None, default=False
        )
        for brand in ("visa", "amex")
    ]

    def offered(code: str, minor: int) -> tuple[int, bool]:
        view = payments.pay(an_invoice_in(code, minor), payments.Means(kept), clinic)
        return len(view.saved), view.redirect

    assert offered("EUR", 12_500) == (2, True)
    assert offered("EUR", 10**8) == (2, False)
    assert offered("EUR", 10**9) == (1, False)
    assert offered("ISK", 12_500) == (2, False)
    assert offered("CLP", 12_500) == (1, False)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("amount_too_small", "less than can be paid"),
        ("amount_too_large", "more than can be paid"),
        ("rest_too_small", "too small to pay online"),
        ("wrong_amount", "Pay the amount that the invoice shows"),
        ("wrong_currency", "in another currency"),
        ("a_code_of_tomorrow", "not possible as it is"),
    ],
)
def test_a_refused_amount_is_told_in_words_and_not_to_be_tried_again(code: str, words: str) -> None:
    page = PortalPage(a_clinic(), a_caller("client", new_id()), several=False)
    invoice_id = new_id()
    refusal = refusals.response(UpstreamError(422, code, "", {}), page, [invoice_id]).content

    assert words in refusal["message"] == refusal["detail"]
    assert "again in a moment" not in refusal["message"]
    assert [step["href"] for step in refusal["next"]] == [f"/c/harbour/invoices/{invoice_id}"]
