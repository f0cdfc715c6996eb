"""Validation of a clinic's settings and a client's address."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.http.clients import ClientIn
from contracts.http.clinics import ClinicIn
from services.chassis.errors import DomainError
from services.invoice import paging
from services.invoice.addresses import BillingAddress, InvalidAddress
from services.invoice.clients import domain as clients
from services.invoice.clients.domain import ClientDetails
from services.invoice.clients.schemas import details_of
from services.invoice.clinics import domain as clinics
from services.invoice.clinics.domain import Contact, TaxRate
from services.invoice.clinics.schemas import settings_of

GIVEN = settings_of(
    ClinicIn(slug="harbour", name="Harbour Clinic", currency="EUR", time_zone="Europe/Dublin")
)
RATE = TaxRate(code="STD", name="VAT", percent="23")
EXEMPT = TaxRate(code="MED", name="VAT", percent="0", category="E", exemption_code="VATEX-EU-132-1C")


def test_settings_are_tidied_so_that_the_same_stay_the_same() -> None:
    given = replace(
        GIVEN,
        name=" Harbour Clinic ",
        accent="#0B6E6E",
        methods=("redirect", "card", "card"),
        tax_rates=(replace(RATE, percent="13.50"),),
    )
    tidied = clinics.tidy(given)

    assert (tidied.name, tidied.accent, tidied.methods) == ("Harbour Clinic", "#0b6e6e", ("card", "redirect"))
    assert tidied.tax_rates[0].percent == "13.5"
    assert clinics.tidy(tidied) == tidied


def test_days_of_reminders_are_sorted_and_few() -> None:
    assert clinics.tidy(replace(GIVEN, reminders=(7, -3, 7, 1))).reminders == (-3, 1, 7)
    assert clinics.tidy(replace(GIVEN, reminders=(-30, 60))).reminders == (-30, 60)
    for days in ((-31,), (61,), (1, 2, 3, 4, 5, 6)):
        with pytest.raises(clinics.InvalidReminders):
            clinics.tidy(replace(GIVEN, reminders=days))


def test_a_tax_rate_has_the_category_of_its_percent_unless_it_names_another() -> None:
    rates = (RATE, replace(RATE, code="ZERO", percent="0"), EXEMPT)

    assert [rate.category for rate in clinics.tidy(replace(GIVEN, tax_rates=rates)).tax_rates] == [
        "S",
        "Z",
        "E",
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"slug": "Harbour"}, "invalid_slug"),
        ({"slug": "-harbour"}, "invalid_slug"),
        ({"slug": "harbour\n"}, "invalid_slug"),
        ({"slug": ""}, "invalid_slug"),
        ({"slug": "x" * 64}, "invalid_slug"),
        ({"name": ""}, "invalid_text"),
        ({"currency": "DEM"}, "unknown_currency"),
        ({"currency": "BGN"}, "unknown_currency"),
        ({"currency": "IQD"}, "unknown_currency"),
        ({"time_zone": "Europe/Atlantis"}, "unknown_time_zone"),
        ({"time_zone": "../etc/passwd"}, "unknown_time_zone"),
        ({"locale": "xx-QQ"}, "unknown_locale"),
        ({"locale": ""}, "unknown_locale"),
        ({"accent": "#ffee00"}, "unreadable_accent"),
        ({"accent": "red"}, "unreadable_accent"),
        ({"contact": Contact(phone="1\r\n2")}, "invalid_text"),
        ({"tax_rates": (RATE, RATE)}, "invalid_tax_rate"),
        ({"tax_rates": (replace(RATE, percent="100.001"),)}, "invalid_tax_rate"),
        ({"tax_rates": (replace(RATE, percent="-1"),)}, "invalid_decimal"),
        ({"tax_rates": (replace(RATE, code="a b"),)}, "invalid_tax_rate"),
        ({"least_part": 49}, "amount_out_of_range"),
        ({"least_part": -1}, "amount_out_of_range"),
        ({"least_part": 10**12}, "amount_out_of_range"),
        ({"currency": "KWD", "least_part": 1_255}, "amount_out_of_range"),
        ({"tax_rates": (replace(RATE, category="Z"),)}, "invalid_tax_rate"),
        ({"tax_rates": (replace(RATE, percent="0", category="S"),)}, "invalid_tax_rate"),
        ({"tax_rates": (replace(RATE, exemption_text="Medical care"),)}, "invalid_tax_rate"),
        ({"tax_rates": (replace(EXEMPT, exemption_code=""),)}, "invalid_tax_rate"),
        ({"tax_rates": (replace(EXEMPT, exemption_code="EU-132"),)}, "invalid_tax_rate"),
        ({"tax_rates": (replace(EXEMPT, exemption_text="a\nb"),)}, "invalid_text"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        clinics.tidy(replace(GIVEN, **changes))
    assert (refusal.value.code, refusal.value.status) == (code, 422)


def test_a_client_may_come_without_an_address() -> None:
    assert clients.tidy(details_of(ClientIn(name="Ada Nolan"))).billing_address == BillingAddress()


def test_an_address_has_five_lines() -> None:
    with pytest.raises(InvalidAddress):
        clients.tidy(ClientDetails(name="Ada Nolan", billing_address=BillingAddress(lines=("x",) * 6)))


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "bm90LWEtdXVpZA"])
def test_a_cursor_that_nobody_gave_is_refused(cursor: str) -> None:
    with pytest.raises(paging.BadCursor):
        paging.after_id(cursor)


@pytest.mark.parametrize("phone", ["ask at the desk", "1", "+"])
def test_a_text_that_nobody_can_dial_is_refused_when_it_is_set_and_kept_when_it_was_there(phone: str) -> None:
    given = replace(GIVEN, contact=Contact(phone=phone))

    with pytest.raises(clinics.PhoneNotValid):
        clinics.check_phone(given, GIVEN)
    with pytest.raises(clinics.PhoneNotValid):
        clinics.check_phone(given, None)
    clinics.check_phone(replace(given, name="Oak"), given)
    clinics.check_phone(GIVEN, given)


def test_a_clinic_that_clients_cannot_reach_is_refused_when_it_is_new_or_becomes_so() -> None:
    alone, reached = GIVEN, replace(GIVEN, contact=Contact(email="desk@harbour.example"))

    for before in (None, reached):
        with pytest.raises(clinics.ContactMissing):
            clinics.checked(alone, before)
    assert clinics.checked(replace(alone, name="Oak"), alone).name == "Oak"
    for contact in (reached.contact, Contact(phone="+353 1 555 0123")):
        assert clinics.checked(replace(alone, contact=contact), None).contact == contact


def test_all_that_is_wrong_with_settings_is_named_at_once() -> None:
    rate = TaxRate(code="a b", name="", percent="101")
    contact = Contact(phone="ask at the desk", email="nobody", hours="x" * 501)
    given = replace(
        GIVEN, slug="A", name="\u200b", currency="DEM", time_zone="x", locale="x", accent="x", contact=contact
    )

    with pytest.raises(DomainError) as refusal:
        clinics.checked(replace(given, tax_rates=(RATE, rate)), None)

    named = [each.fields["field"] for each in refusal.value.every]
    assert named == [
        *("slug", "name", "currency", "time_zone", "locale", "contact.email", "contact.hours", "accent"),
        *("tax_rates.1.code", "tax_rates.1.name", "tax_rates.1.percent", "contact.phone"),
    ]
