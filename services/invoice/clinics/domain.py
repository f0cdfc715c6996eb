"""A clinic's settings and the rules that they must keep. Pure.

Settings are tidied before they are stored, so that the same settings put twice change nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError
from babel.core import parse_locale
from babel.localedata import locale_identifiers

from contracts.events import clinic as contract
from contracts.events.clinic import ClinicUpdated
from contracts.events.envelope import event_id
from contracts.vocabulary import AcceptedMethod
from services.chassis import emails, texts
from services.chassis.errors import DomainError
from services.chassis.locale import colours
from services.chassis.locale.phones import is_phone
from services.invoice import checks

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_COLOUR = re.compile(r"#[0-9a-f]{6}", re.ASCII)
_TAX_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,19}", re.ASCII)

MOST_TAX_RATES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRate:
    """`percent` is a decimal text, as people write it: "13.5"."""

    code: str
    name: str
    percent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How clients reach the clinic; every field may be empty."""

    phone: str = ""
    email: str = ""
    address: str = ""
    hours: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicSettings:
    slug: str
    name: str
    currency: str
    time_zone: str
    locale: str
    billing_shown: bool
    online_payment: bool
    methods: tuple[AcceptedMethod, ...]
    contact: Contact
    accent: str
    tax_rates: tuple[TaxRate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic(ClinicSettings):
    """A clinic with its settings. `version` counts its changes, as `clinic.updated` does."""

    id: UUID
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """A clinic as a document names it; all but the name may be empty."""

    name: str
    address: str = ""
    phone: str = ""
    email: str = ""


class ClinicNotFound(DomainError):
    code = "clinic_not_found"
    status = 404


class SlugTaken(DomainError):
    code = "slug_taken"
    status = 409


class InvalidSlug(DomainError):
    code = "invalid_slug"
    status = 422


class UnknownTimeZone(DomainError):
    code = "unknown_time_zone"
    status = 422


class UnknownLocale(DomainError):
    code = "unknown_locale"
    status = 422


class UnreadableAccent(DomainError):
    """White text on this colour could not be read by many people."""

    code = "unreadable_accent"
    status = 422


class PhoneNotValid(DomainError):
    """Nobody could dial it."""

    code = "phone_not_valid"
    status = 422


class InvalidTaxRate(DomainError):
    code = "invalid_tax_rate"
    status = 422


def tidy(given: ClinicSettings) -> ClinicSettings:
    """The settings in the form in which they are stored. Raises the errors of this module and of `checks`."""
    if not _SLUG.fullmatch(given.slug):
        raise InvalidSlug("a slug is 1 to 63 small letters, digits and inner hyphens", field="slug")
    return replace(
        given,
        name=texts.text(given.name, "name", least=1, most=200),
        currency=checks.currency(given.currency),
        time_zone=_time_zone(given.time_zone),
        locale=_locale(given.locale),
        methods=tuple(sorted(set(given.methods))),
        contact=_contact(given.contact),
        accent=_accent(given.accent),
        tax_rates=_tax_rates(given.tax_rates),
    )


def check_phone(given: ClinicSettings, before: ClinicSettings | None) -> None:
    """Refuse a text that is no phone number, unless it is kept from before the rule. Raises `PhoneNotValid`."""
    phone = given.contact.phone
    kept = before is not None and before.contact.phone == phone
    if phone and not kept and not is_phone(phone, given.locale):
        raise PhoneNotValid(
            "not a phone number: write it with + and the country's code, and an extension as x3",
            field="contact.phone",
        )


def _time_zone(name: str) -> str:
    """The zone as IANA writes it, whatever its letters' case."""
    known = _time_zones().get(name.lower())
    if known is None:
        raise UnknownTimeZone(
            "not a time zone of the IANA database; `time_zones` lists them",
            field="time_zone",
            time_zones=sorted(_time_zones().values()),
        )
    return known


@cache
def _time_zones() -> dict[str, str]:
    """By the name in small letters. Two names are of machines, not of places."""
    return {name.lower(): name for name in available_timezones() - {"localtime", "Factory"}}


def _locale(name: str) -> str:
    """The locale as `en-IE`, whatever its letters' case, also when it was sent as `en_IE`."""
    parts = _parts_of(name.replace("-", "_"))
    if parts is None:
        raise UnknownLocale(
            "not a locale such as en-IE; `locales` lists them", field="locale", locales=_locales()
        )
    return "-".join(part for part in parts if part)


def _parts_of(name: str) -> tuple[str | None, ...] | None:
    """Language, script, territory and variant; None for what names no language that is known."""
    try:
        parts = parse_locale(name)
        Locale.parse(name)
    except (ValueError, TypeError, UnknownLocaleError):
        return None
    if len(parts) != 4 or parts[0] in ("root", "und"):
        return None
    language, territory, script, variant = parts
    return language, script, territory, variant


@cache
def _locales() -> tuple[str, ...]:
    return tuple(sorted(name.replace("_", "-") for name in locale_identifiers() if name != "root"))


def _contact(given: Contact) -> Contact:
    return Contact(
        phone=texts.text(given.phone, "contact.phone", most=50),
        email=emails.address(given.email, "contact.email") if given.email.strip() else "",
        address=texts.text(given.address, "contact.address", most=500, multiline=True),
        hours=texts.text(given.hours, "contact.hours", most=500, multiline=True),
    )


def _accent(colour: str) -> str:
    colour = colour.lower()
    if not _COLOUR.fullmatch(colour):
        raise UnreadableAccent("a colour is written like #0b6e6e", field="accent")
    if colours.contrast(colours.from_hex(colour), colours.WHITE) < colours.READABLE:
        raise UnreadableAccent("too pale: contrast with white is below 4.5 to 1", field="accent")
    return colour


def _tax_rates(rates: Iterable[TaxRate]) -> tuple[TaxRate, ...]:
    checked = tuple(_tax_rate(rate, f"tax_rates.{position}") for position, rate in enumerate(rates))
    if len(checked) > MOST_TAX_RATES or len({rate.code for rate in checked}) < len(checked):
        raise InvalidTaxRate("at most 50 tax rates, each with a code of its own", field="tax_rates")
    return checked


def _tax_rate(rate: TaxRate, field: str) -> TaxRate:
    if not _TAX_CODE.fullmatch(rate.code):
        raise InvalidTaxRate("a tax code is 1 to 20 letters, digits, - and _", field=f"{field}.code")
    percent = checks.decimal(rate.percent, f"{field}.percent")
    if percent > 100:
        raise InvalidTaxRate("a tax is at most 100 percent", field=f"{field}.percent")
    name = texts.text(rate.name, f"{field}.name", least=1, most=60)
    return TaxRate(code=rate.code, name=name, percent=checks.plain(percent))


def seller_of(clinic: Clinic) -> Seller:
    """The clinic as the documents that it issues now name it."""
    contact = clinic.contact
    return Seller(name=clinic.name, address=contact.address, phone=contact.phone, email=contact.email)


def updated_event(clinic: Clinic, at: datetime) -> ClinicUpdated:
    """`clinic.updated` for this version of the clinic."""
    return ClinicUpdated(
        id=event_id(at, ClinicUpdated.topic.name, clinic.id, clinic.version),
        time=at,
        clinic_id=clinic.id,
        version=clinic.version,
        slug=clinic.slug,
        name=clinic.name,
        currency=clinic.currency,
        time_zone=clinic.time_zone,
        locale=clinic.locale,
        billing_shown=clinic.billing_shown,
        online_payment=clinic.online_payment,
        methods=clinic.methods,
        contact=contract.Contact(
            phone=clinic.contact.phone,
            email=clinic.contact.email,
            address=clinic.contact.address,
            hours=clinic.contact.hours,
        ),
        accent=clinic.accent,
    )
