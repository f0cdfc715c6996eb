"""Every time zone and locale that a clinic may have is shown in words; the others are refused with the list."""

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import available_timezones

import pytest
from babel.localedata import locale_identifiers

from services.chassis.ids import new_id
from services.chassis.locale.formats import Formats, countries, country_name, languages
from services.invoice.addresses import BillingAddress, InvalidAddress
from services.invoice.clients import domain as clients
from services.invoice.clients.domain import ClientDetails
from services.invoice.clinics.domain import ClinicSettings, Contact, UnknownLocale, UnknownTimeZone, tidy
from services.notification.contacts import domain as contacts
from tests.builders.values import eur

SETTINGS = ClinicSettings(
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
    tax_rates=(),
)
NOON = datetime(2026, 11, 2, 12, 30, tzinfo=UTC)
MACHINES = {"localtime", "Factory"}


def of(**changes: str) -> Formats:
    return Formats.of(tidy(replace(SETTINGS, **changes)))  # type: ignore[arg-type]


def test_every_time_zone_has_a_name_in_words() -> None:
    for zone in sorted(available_timezones() - MACHINES):
        write = of(time_zone=zone)
        shown = write.zone_name()
        assert shown and "Unknown" not in shown and "Etc" not in shown and "_" not in shown, zone
        assert write.zone.key == zone and "12026" not in write.moment(NOON)


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("UTC", "UTC"),
        ("Etc/GMT-3", "UTC+3"),
        ("Etc/GMT+11", "UTC-11"),
        ("Zulu", "UTC"),
        ("America/Coyhaique", "Coyhaique time"),
        ("Europe/Dublin", "Ireland Time"),
    ],
)
def test_a_zone_without_a_country_is_told_by_its_offset_or_place(zone: str, words: str) -> None:
    assert of(time_zone=zone).zone_name() == words


def test_every_locale_writes_sums_days_moments_and_the_zone() -> None:
    for name in sorted(locale_identifiers()):
        if name == "root":
            continue
        for spelled in (name, name.replace("_", "-")):
            write = of(locale=spelled)
            texts = (
                write.money(eur(125)),
                write.day(date(2026, 11, 2)),
                write.short_day(date(2026, 11, 2)),
                write.moment(NOON),
                write.number("13.50"),
                write.zone_name(),
            )
            assert all(texts), spelled


@pytest.mark.parametrize(
    ("given", "kept"),
    [("en_IE", "en-IE"), ("EN-ie", "en-IE"), ("sr-latn-rs", "sr-Latn-RS"), ("zh-TW", "zh-TW"), ("de", "de")],
)
def test_a_locale_is_kept_in_one_spelling(given: str, kept: str) -> None:
    assert tidy(replace(SETTINGS, locale=given)).locale == kept


def test_a_time_zone_is_kept_in_one_spelling() -> None:
    assert tidy(replace(SETTINGS, time_zone="europe/dublin")).time_zone == "Europe/Dublin"


@pytest.mark.parametrize("locale", ["root", "und", "und-DE", "zz", "no-NO", "", "x", "en@euro", "en-IE\n"])
def test_a_locale_that_is_none_is_refused_with_the_list(locale: str) -> None:
    with pytest.raises(UnknownLocale) as refused:
        tidy(replace(SETTINGS, locale=locale))
    assert "en-IE" in refused.value.fields["locales"] and "root" not in refused.value.fields["locales"]


@pytest.mark.parametrize("zone", ["localtime", "factory", "Mars/Phobos", "", "UTC+1", "posixrules"])
def test_a_zone_that_is_none_is_refused_with_the_list(zone: str) -> None:
    with pytest.raises(UnknownTimeZone) as refused:
        tidy(replace(SETTINGS, time_zone=zone))
    assert "Europe/Dublin" in refused.value.fields["time_zones"]


def test_a_locale_that_was_accepted_before_is_written_in_english() -> None:
    assert Formats.of(replace(SETTINGS, locale="root")).day(date(2026, 11, 2)) == "2 November 2026"


def at(country: str) -> ClientDetails:
    return ClientDetails(name="Ada Nolan", billing_address=BillingAddress(country=country))


def speaking(language: str) -> contacts.Contact:
    return contacts.Contact(new_id(), "ada@example.com", "Ada Nolan", language)


def test_every_country_that_an_address_may_have_has_a_name() -> None:
    assert len(countries()) > 249 and {"IE", "GB", "US", "JP", "BV", "XK"} <= set(countries())
    for code in countries():
        clients.check_country(at(code), None)
        assert country_name(code) != code and "Unknown" not in country_name(code)


@pytest.mark.parametrize(
    "code", ["XX", "ZZ", "UK", "EU", "UN", "XA", "DD", "ie", "Ie", "IRL", "Ireland", "00", " ", "ΙE"]
)
def test_a_country_that_nobody_can_name_is_refused_with_the_list_and_kept_when_it_was_there(
    code: str,
) -> None:
    for before in (None, at("IE"), at("")):
        with pytest.raises(InvalidAddress) as refusal:
            clients.check_country(at(code), before)
        assert refusal.value.fields == {"field": "billing_address.country", "countries": countries()}
    clients.check_country(at(code), at(code))
    clients.check_country(at(""), at(code))


def test_every_language_with_a_name_is_accepted() -> None:
    assert {"en", "ga", "de", "zh", "he", "nb", "no"} <= set(languages())
    for code in languages():
        contacts.check_language(speaking(code), None)


@pytest.mark.parametrize("code", ["xx", "zz", "qq", "EN", "root", "und", "eng", "en-IE", ""])
def test_a_language_without_a_name_is_refused_with_the_list_and_kept_when_it_was_there(code: str) -> None:
    for before in (None, speaking("en")):
        with pytest.raises(contacts.UnknownLanguage) as refusal:
            contacts.check_language(speaking(code), before)
        assert refusal.value.fields == {"field": "language", "languages": languages()}
    contacts.check_language(speaking(code), speaking(code))
