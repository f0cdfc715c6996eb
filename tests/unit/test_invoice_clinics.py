"""Validation of a clinic's settings and a client's address."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.http.clients import ClientIn
from contracts.http.clinics import ClinicIn
from services.chassis.errors import DomainError
from services.invoice import paging
from services.invoice.clients import domain as clients
from services.invoice.clients.domain import BillingAddress, ClientDetails
from services.invoice.clients.schemas import details_of
from services.invoice.clinics import domain as clinics
from services.invoice.clinics.domain import Contact, TaxRate
from services.invoice.clinics.schemas import settings_of

GIVEN = settings_of(
    ClinicIn(slug="harbour", name="Harbour Clinic", currency="EUR", time_zone="Europe/Dublin")
)
RATE = TaxRate(code="STD", name="VAT", percent="23")


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
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        clinics.tidy(replace(GIVEN, **changes))
    assert (refusal.value.code, refusal.value.status) == (code, 422)


def test_a_client_may_come_without_an_address() -> None:
    assert clients.tidy(details_of(ClientIn(name="Ada Nolan"))).billing_address == BillingAddress()


def test_an_address_has_five_lines() -> None:
    with pytest.raises(clients.InvalidAddress):
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
