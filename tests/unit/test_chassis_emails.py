"""Which e-mail addresses are kept, and as what."""

import pytest

from contracts.http.clinics import ClinicContact, ClinicIn
from services.chassis import emails
from services.invoice.clinics import domain as clinics
from services.invoice.clinics.schemas import settings_of
from tests.builders.contacts import NO_ADDRESSES


@pytest.mark.parametrize("value", [*NO_ADDRESSES, ""], ids=lambda each: ascii(each)[:20])
def test_what_is_no_address_is_refused_by_its_field_and_not_repeated(value: str) -> None:
    with pytest.raises(emails.EmailNotValid) as refusal:
        emails.address(value, "contact.email")
    error = refusal.value
    assert (error.code, error.status, error.fields) == ("email_not_valid", 422, {"field": "contact.email"})
    assert emails.usable(value) is None


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("billing@harbour.example", "billing@harbour.example"),
        (" billing@harbour.example ", "billing@harbour.example"),
        ("o'neill+x@harbour.example", "o'neill+x@harbour.example"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
    ],
)
def test_an_address_is_kept_as_mail_servers_take_it(value: str, kept: str) -> None:
    assert emails.address(value) == kept
    assert emails.usable(kept) == kept


def test_a_clinic_needs_no_address_and_a_wrong_one_is_refused() -> None:
    given = ClinicIn(slug="harbour", name="Harbour", currency="EUR", time_zone="Europe/Dublin")
    assert clinics.tidy(settings_of(given)).contact.email == ""
    for wrong in NO_ADDRESSES:
        with pytest.raises(emails.EmailNotValid):
            clinics.tidy(
                settings_of(
                    ClinicIn(
                        slug="h",
                        name="H",
                        currency="EUR",
                        time_zone="UTC",
                        contact=ClinicContact(email=wrong),
                    )
                )
            )
