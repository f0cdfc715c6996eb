"""A clinic's settings and the rules that they must keep. Pure.

Settings are tidied before they are stored, so that the same settings put twice change nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError
from babel.core import parse_locale
from babel.localedata import locale_identifiers

from contracts.currencies import CURRENCIES, charge_of
from contracts.events import clinic as contract
from contracts.events.clinic import ClinicUpdated
from contracts.events.envelope import event_id
from contracts.vocabulary import (
    EARLIEST_REMINDER,
    EXEMPT_CATEGORIES,
    LATEST_REMINDER,
    MOST_REMINDERS,
    MOST_UNDO_HOURS,
    AcceptedMethod,
    PriceMode,
    TaxCategory,
)
from services.chassis import emails, texts
from services.chassis.currencies import known_currency
from services.chassis.errors import DomainError
from services.chassis.locale import colours
from services.chassis.locale.phones import is_phone
from services.chassis.refusals import Refusals
from services.invoice import addresses, checks
from services.invoice.addresses import BillingAddress

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_COLOUR = re.compile(r"#[0-9a-f]{6}", re.ASCII)
_TAX_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,19}", re.ASCII)
_EXEMPTION_CODE = re.compile(r"VATEX-[A-Z]{2}-[A-Z0-9-]{1,30}", re.ASCII)
"""EN 16931's list (VATEX) grows; its codes all have this form."""

_PREFIX = re.compile(r"[A-Z][A-Z0-9/-]{0,9}", re.ASCII)
CREDIT_NOTES = "CN-"
"""With it begin the numbers of credit notes, which are counted on their own."""
MOST_NUMBER = 900_000_000

MOST_TAX_RATES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRate:
    """`percent` is a decimal text, as people write it: "13.5". Stored before categories, a rate has none."""

    code: str
    name: str
    percent: str
    category: TaxCategory | None = None
    exemption_code: str = ""
    exemption_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How clients reach the clinic; every field may be empty, but a new clinic has a phone or an e-mail address."""

    phone: str = ""
    email: str = ""
    address: str = ""
    hours: str = ""

    @property
    def reachable(self) -> bool:
        return bool(self.phone or self.email)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberStart:
    """The number that the first invoice of this year has, where others were issued elsewhere before it."""

    year: int
    number: int


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
    least_part: int | None = None
    """In minor units of `currency`; None where clients may not pay an invoice in parts."""
    deposits: bool = False
    pay_links: bool = True
    lost_dispute_reopens: bool = False
    undo_hours: int = 0
    """How long corrections and refunds are held and can be undone; 0: they are done at once."""
    reminders: tuple[int, ...] = ()
    """The days, counted from the due date, on which clients are reminded of an unpaid invoice."""
    amounts_in_subjects: bool = False
    """The subjects of e-mails to clients say sums: lock screens show them."""
    attach_documents: bool = False
    """E-mails about a new invoice, a payment and a credit note carry the document as PDF."""
    prices: PriceMode = "net"
    tax_number: str = ""
    postal_address: BillingAddress = field(default_factory=BillingAddress)
    """The seller's address in parts, as e-invoices need it. `contact.address` is for people."""
    e_invoices: bool = False
    """Invoices and credit notes are issued as e-invoices too."""
    external_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    number_prefix: str = ""
    number_start: NumberStart | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clinic(ClinicSettings):
    """A clinic with its settings. `version` counts its changes, as `clinic.updated` does."""

    id: UUID
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """A clinic as a document names it; all but the name may be empty. `e_invoices`: it issued e-invoices then."""

    name: str
    address: str = ""
    phone: str = ""
    email: str = ""
    tax_number: str = ""
    postal_address: BillingAddress = field(default_factory=BillingAddress)
    e_invoices: bool = False


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


class InvalidNumbers(DomainError):
    code = "invalid_numbers"
    status = 422


class NumbersBegun(DomainError):
    """The year's invoices are numbered already: another start would leave numbers out or repeat them."""

    code = "numbers_begun"
    status = 409


class InvalidUndoHours(DomainError):
    code = "invalid_undo_hours"
    status = 422


class InvalidReminders(DomainError):
    code = "invalid_reminders"
    status = 422


class InvalidTaxRate(DomainError):
    code = "invalid_tax_rate"
    status = 422


class EInvoicesIncomplete(DomainError):
    """An e-invoice names its seller by a tax number and an address in parts."""

    code = "e_invoices_incomplete"
    status = 422


class ContactMissing(DomainError):
    """A client who needs help would find nobody."""

    code = "contact_missing"
    status = 422


def checked(given: ClinicSettings, before: ClinicSettings | None) -> ClinicSettings:
    """The settings in the form in which they are stored, as they follow those before.

    Raises the errors of this module and of `checks`; the first names all.
    """
    refusals = Refusals()
    settings = refusals.of(given, tidy, given)
    refusals.of(None, check_phone, settings, before)
    refusals.of(None, check_reachable, settings, before)
    if before is None or before.postal_address.country != settings.postal_address.country:
        refusals.of(None, addresses.check_country, settings.postal_address.country, "postal_address")
    refusals.check()
    return settings


def tidy(given: ClinicSettings) -> ClinicSettings:
    """The settings in the form in which they are stored. Raises the errors of this module and of `checks`."""
    refusals = Refusals()
    of = refusals.of
    settings = replace(
        given,
        slug=of(given.slug, _slug, given.slug),
        name=of(given.name, texts.text, given.name, "name", least=1, most=200),
        currency=of(given.currency, known_currency, given.currency),
        time_zone=of(given.time_zone, _time_zone, given.time_zone),
        locale=of(given.locale, _locale, given.locale),
        methods=tuple(sorted(set(given.methods))),
        contact=_contact(given.contact, refusals),
        accent=of(given.accent, _accent, given.accent),
        tax_rates=of(given.tax_rates, _tax_rates, given.tax_rates),
        least_part=of(given.least_part, _least_part, given.least_part, given.currency),
        undo_hours=of(0, _undo_hours, given.undo_hours),
        reminders=of((), _reminders, given.reminders),
        tax_number=of("", texts.text, given.tax_number, "tax_number", most=50),
        postal_address=of(given.postal_address, addresses.tidy, given.postal_address, "postal_address"),
        external_id=of(None, checks.external_id, given.external_id),
        metadata=of({}, checks.metadata, given.metadata),
        number_prefix=of("", _number_prefix, given.number_prefix),
        number_start=of(None, _number_start, given.number_start),
    )
    refusals.of(None, _check_e_invoices, settings)
    refusals.check()
    return settings


def _check_e_invoices(settings: ClinicSettings) -> None:
    """Refuse e-invoices without what they say about the seller. Raises `EInvoicesIncomplete`, which names all."""
    address = settings.postal_address
    needed = {
        "tax_number": settings.tax_number,
        "postal_address.lines": any(address.lines),
        "postal_address.city": address.city,
        "postal_address.country": address.country,
    }
    refusals = Refusals()
    for field_name, given in needed.items():
        if settings.e_invoices and not given:
            refusals.add(
                EInvoicesIncomplete("e-invoices need it: give it, or leave them off", field=field_name)
            )
    refusals.check()


def check_reachable(given: ClinicSettings, before: ClinicSettings | None) -> None:
    """Refuse a clinic that clients can neither call nor write to, unless it was so before the rule.

    Raises `ContactMissing`.
    """
    kept = before is not None and not before.contact.reachable
    if not kept and not given.contact.reachable:
        raise ContactMissing("needs a phone number or an e-mail address, for clients to ask", field="contact")


def check_phone(given: ClinicSettings, before: ClinicSettings | None) -> None:
    """Refuse a text that is no phone number, unless it is kept from before the rule. Raises `PhoneNotValid`."""
    phone = given.contact.phone
    kept = before is not None and before.contact.phone == phone
    if phone and not kept and not is_phone(phone, given.locale):
        raise PhoneNotValid(
            "not a phone number: write it with + and the country's code, and an extension as x3",
            field="contact.phone",
        )


def _undo_hours(hours: int) -> int:
    if not 0 <= hours <= MOST_UNDO_HOURS:
        raise InvalidUndoHours(f"0 to {MOST_UNDO_HOURS} hours", field="undo_hours")
    return hours


def _reminders(days: Iterable[int]) -> tuple[int, ...]:
    kept = tuple(sorted(set(days)))
    if len(kept) > MOST_REMINDERS or any(not EARLIEST_REMINDER <= day <= LATEST_REMINDER for day in kept):
        raise InvalidReminders(
            f"at most {MOST_REMINDERS} days from {EARLIEST_REMINDER} to {LATEST_REMINDER}, counted from the due date",
            field="reminders",
        )
    return kept


def _number_prefix(prefix: str) -> str:
    if prefix and not _PREFIX.fullmatch(prefix):
        raise InvalidNumbers(
            "a prefix begins with a capital letter, and has up to ten of A to Z, 0 to 9, / and -",
            field="number_prefix",
        )
    if prefix.startswith(CREDIT_NOTES):
        raise InvalidNumbers("the numbers of credit notes begin so", field="number_prefix")
    return prefix


def _number_start(start: NumberStart | None) -> NumberStart | None:
    if start is not None and not (2000 <= start.year <= 9999 and 1 <= start.number <= MOST_NUMBER):
        raise InvalidNumbers(f"a year, and a number from 1 to {MOST_NUMBER}", field="number_start")
    return start


def _slug(slug: str) -> str:
    if not _SLUG.fullmatch(slug):
        raise InvalidSlug("a slug is 1 to 63 small letters, digits and inner hyphens", field="slug")
    return slug


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


def _contact(given: Contact, refusals: Refusals) -> Contact:
    of = refusals.of
    long: dict[str, Any] = {"most": 500, "multiline": True}
    return Contact(
        phone=of(given.phone, texts.text, given.phone, "contact.phone", most=50),
        email=of(given.email, emails.address, given.email, "contact.email") if given.email.strip() else "",
        address=of(given.address, texts.text, given.address, "contact.address", **long),
        hours=of(given.hours, texts.text, given.hours, "contact.hours", **long),
    )


def _accent(colour: str) -> str:
    colour = colour.lower()
    if not _COLOUR.fullmatch(colour):
        raise UnreadableAccent("a colour is written like #0b6e6e", field="accent")
    if colours.contrast(colours.from_hex(colour), colours.WHITE) < colours.READABLE:
        raise UnreadableAccent("too pale: contrast with white is below 4.5 to 1", field="accent")
    return colour


def _least_part(minor: int | None, currency: str) -> int | None:
    """A part is a charge of its own. Raises `AmountOutOfRange`."""
    known = CURRENCIES.get(currency)
    if minor is not None and known is not None and charge_of(minor, currency) != "possible":
        raise checks.AmountOutOfRange(
            f"a part in {currency} is a multiple of {known.step} from {known.minimum} to {known.card_maximum}",
            field="least_part",
        )
    return minor


def _tax_rates(rates: Iterable[TaxRate]) -> tuple[TaxRate, ...]:
    refusals = Refusals()
    kept = tuple(
        refusals.of(rate, _tax_rate, rate, f"tax_rates.{position}") for position, rate in enumerate(rates)
    )
    if len(kept) > MOST_TAX_RATES or len({rate.code for rate in kept}) < len(kept):
        refusals.add(InvalidTaxRate("at most 50 tax rates, each with a code of its own", field="tax_rates"))
    refusals.check()
    return kept


def _tax_rate(rate: TaxRate, field: str) -> TaxRate:
    refusals = Refusals()
    code = refusals.of(rate.code, _tax_code, rate.code, f"{field}.code")
    name = refusals.of(rate.name, texts.text, rate.name, f"{field}.name", least=1, most=60)
    percent = refusals.of(rate.percent, _percent, rate.percent, f"{field}.percent")
    exemption_code = refusals.of("", _exemption_code, rate.exemption_code, f"{field}.exemption_code")
    exemption_text = refusals.of("", texts.text, rate.exemption_text, f"{field}.exemption_text", most=200)
    refusals.check()
    category = _tax_category(rate, Decimal(percent), f"{field}.category")
    tidied = TaxRate(
        code=code,
        name=name,
        percent=percent,
        category=category,
        exemption_code=exemption_code,
        exemption_text=exemption_text,
    )
    return _check_exemption(tidied, field)


def _tax_code(code: str, field: str) -> str:
    if not _TAX_CODE.fullmatch(code):
        raise InvalidTaxRate("a tax code is 1 to 20 letters, digits, - and _", field=field)
    return code


def _percent(given: str, field: str) -> str:
    percent = checks.decimal(given, field)
    if percent > 100:
        raise InvalidTaxRate("a tax is at most 100 percent", field=field)
    return checks.plain(percent)


def _tax_category(rate: TaxRate, percent: Decimal, field: str) -> TaxCategory:
    category = rate.category or category_of(percent)
    if (category == "S") != (percent > 0):
        raise InvalidTaxRate("the category S has a percent above 0, the others have none", field=field)
    return category


def category_of(percent: Decimal) -> TaxCategory:
    """The category of a rate that names none."""
    return "S" if percent > 0 else "Z"


def _exemption_code(code: str, field: str) -> str:
    if code and not _EXEMPTION_CODE.fullmatch(code):
        raise InvalidTaxRate("an exemption code is one of VATEX", field=field)
    return code


def _check_exemption(rate: TaxRate, field: str) -> TaxRate:
    if bool(rate.exemption_code or rate.exemption_text) != (rate.category in EXEMPT_CATEGORIES):
        raise InvalidTaxRate(
            "the categories E, AE and O need a reason for the exemption, the others have none",
            field=f"{field}.exemption_code",
        )
    return rate


def seller_of(clinic: Clinic) -> Seller:
    """The clinic as the documents that it issues now name it."""
    contact = clinic.contact
    return Seller(
        name=clinic.name,
        address=contact.address,
        phone=contact.phone,
        email=contact.email,
        tax_number=clinic.tax_number,
        postal_address=clinic.postal_address,
        e_invoices=clinic.e_invoices,
    )


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
        least_part=clinic.least_part,
        deposits=clinic.deposits,
        pay_links=clinic.pay_links,
        lost_dispute_reopens=clinic.lost_dispute_reopens,
        undo_hours=clinic.undo_hours,
        reminders=clinic.reminders,
        amounts_in_subjects=clinic.amounts_in_subjects,
        attach_documents=clinic.attach_documents,
    )
