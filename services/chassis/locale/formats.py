"""Money, numbers, days and times as one country writes them.

Pages and e-mails are in English. A sentence's days and times are words of it: English, in the order of the clinic's
country, with the month as a word, so that nobody reads 4/12 for 12/4. Sums and numbers are written as its locale does.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Protocol, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date, format_time, get_timezone_location
from babel.localedata import locale_identifiers
from babel.numbers import format_decimal

from services.chassis.locale.money import written

FALLBACK_LOCALE = "en_IE"
_GROUPS_AND_PLACEHOLDERS = frozenset({"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"})
"""Codes of two letters that CLDR names beside those of countries."""


class Regional(Protocol):
    """Anything with a locale such as `en-IE` and a time zone such as `Europe/Dublin`."""

    @property
    def locale(self) -> str: ...

    @property
    def time_zone(self) -> str: ...


class Amount(Protocol):
    """Integer minor units of a currency."""

    @property
    def minor(self) -> int: ...

    @property
    def currency(self) -> str: ...


@dataclass(frozen=True)
class Formats:
    """Money in one locale, days in its country's English, moments in one time zone.

    An unknown locale is Ireland's, an unknown zone UTC.
    """

    locale: Locale
    zone: ZoneInfo

    @classmethod
    def of(cls, regional: Regional) -> Self:
        return cls(_locale(regional.locale), _zone(regional.time_zone))

    def money(self, amount: Amount) -> str:
        """€125.00, ¥125, KWD 1.250: the currency's own number of decimals."""
        return written(amount.minor, amount.currency, self.locale)

    def number(self, decimals: str) -> str:
        """A quantity or percent from its decimal string, without trailing zeros: "1.50" is 1.5."""
        return format_decimal(Decimal(decimals).normalize(), format="#,##0.######", locale=self.locale)

    def day(self, day: date) -> str:
        """24 November 2026; November 24, 2026."""
        return self._written(day, "d MMMM y", "MMMM d, y")

    def short_day(self, day: date) -> str:
        """24 Nov 2026; Nov 24, 2026."""
        return self._written(day, "d MMM y", "MMM d, y")

    def day_of(self, moment: datetime) -> str:
        """The day on which the moment fell."""
        return self.day(self.local(moment).date())

    def short_day_of(self, moment: datetime) -> str:
        return self.short_day(self.local(moment).date())

    def moment(self, moment: datetime) -> str:
        """Tuesday 24 November 2026, 14:30; Tuesday, November 24, 2026, 2:30 PM."""
        day = self._written(self.local(moment).date(), "EEEE d MMMM y", "EEEE, MMMM d, y")
        return f"{day}, {self.clock(moment)}"

    def clock(self, moment: datetime) -> str:
        """14:30, in 12 or 24 hours as the locale has it."""
        hours = "HH:mm" if "H" in self.locale.time_formats["short"].pattern else "h:mm\u00a0a"
        return format_time(self.local(moment), format=hours, locale=_english(self.locale))

    def zone_name(self) -> str:
        """Whose clock the times are on, as people say it: "Ireland Time", "UTC", "UTC+3", "Coyhaique time"."""
        if not _country_of(self.zone.key):
            return _zone_without_country(self.zone)
        return get_timezone_location(self.zone, locale=_english(self.locale))

    def country(self, code: str) -> str:
        """`Ireland` for `IE`."""
        return country_name(code)

    def _written(self, day: date, day_first: str, month_first: str) -> str:
        words = _english(self.locale)
        in_order = month_first if words.date_formats["long"].pattern.startswith("M") else day_first
        return format_date(day, format=in_order, locale=words)

    def local(self, moment: datetime) -> datetime:
        """The moment on the zone's clock; a moment without a zone is UTC."""
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(self.zone)


@cache
def _english(locale: Locale) -> Locale:
    """The English of the locale's country; where that has none of its own, the world's."""
    known = f"en_{locale.territory}"
    return Locale.parse(known if known in locale_identifiers() else "en_001")


def country_name(code: str) -> str:
    """`Ireland` for `IE`, in the language of our pages. The code itself, if it is no country's."""
    return str(Locale("en").territories.get(code.upper(), code))


@cache
def countries() -> tuple[str, ...]:
    """The ISO 3166 codes that have a name on our pages."""
    codes = {code for code in map(str, Locale("en").territories) if len(code) == 2}
    return tuple(sorted(codes - _GROUPS_AND_PLACEHOLDERS))


@cache
def languages() -> tuple[str, ...]:
    """The ISO 639 codes of two letters that have a name in the language of our pages."""
    return tuple(sorted(code for code in map(str, Locale("en").languages) if len(code) == 2))


def _country_of(zone: str) -> str | None:
    territory: str | None = get_global("zone_territories").get(get_global("zone_aliases").get(zone, zone))
    return None if territory in ("001", "ZZ") else territory


def _zone_without_country(zone: ZoneInfo) -> str:
    """A fixed offset, which IANA's `Etc/GMT-3` has with the other sign; or a place that Babel does not know yet."""
    area, _, place = zone.key.rpartition("/")
    if area not in ("", "Etc"):
        return f"{place.replace('_', ' ')} time"
    offset = datetime(2000, 1, 1, tzinfo=zone).utcoffset() or timedelta(0)
    hours = int(offset.total_seconds() // 3600)
    return f"UTC{hours:+d}" if hours else "UTC"


@lru_cache(maxsize=256)
def _locale(name: str) -> Locale:
    try:
        locale = Locale.parse(name.replace("-", "_"))
        return locale if locale.language != "root" else Locale.parse(FALLBACK_LOCALE)
    except (UnknownLocaleError, ValueError):
        return Locale.parse(FALLBACK_LOCALE)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
