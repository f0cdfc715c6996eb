"""Reading Stripe's JSON: only what may go on, and never an error over what is not as expected."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from contracts.events.envelope import Method

_NAME = re.compile(r"[a-z0-9_]{2,40}")
_FINGERPRINT = re.compile(r"[A-Za-z0-9]{4,64}")
_REASON = re.compile(r"[a-z0-9_.]{2,80}")
MOST_CAPABILITIES = 100
"""Stripe has about fifty."""
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_LAST4 = re.compile(r"[0-9]{4}")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def object_of(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def text_of(value: Any) -> str | None:
    """A string, or the id of an expanded object. One with a NUL is none: no reader of the event could keep it."""
    value = object_of(value).get("id", value) if isinstance(value, dict) else value
    return value if isinstance(value, str) and value and "\x00" not in value else None


def int_of(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def uuid_of(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def reason_of(value: Any) -> str | None:
    """One of Stripe's own words, such as `fraudulent`."""
    return _matching(_NAME, value)


def currency_of(value: Any) -> str | None:
    return value.upper() if isinstance(value, str) and _CURRENCY.fullmatch(value) else None


def traceparent_of(value: Any) -> str | None:
    """A well-formed W3C traceparent: the metadata it comes from can be changed by the account's owner."""
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None


def method_of(details: Any) -> Method | None:
    """From a charge's `payment_method_details` or a payment method: kind, brand and last four, no more."""
    details = object_of(details)
    kind = _matching(_NAME, details.get("type"))
    if kind is None:
        return None
    of_kind = object_of(details.get(kind))
    return Method(
        kind=kind,
        brand=_matching(_NAME, of_kind.get("brand")),
        last4=_matching(_LAST4, of_kind.get("last4")),
    )


def expiry_of(details: Any) -> tuple[int | None, int | None]:
    details = object_of(details)
    card = object_of(details.get("card"))
    return int_of(card.get("exp_month")), int_of(card.get("exp_year"))


def fingerprint_of(details: Any) -> str | None:
    """Stripe's name for a card's number: the same for the same card on one account."""
    details = object_of(details)
    return _matching(_FINGERPRINT, object_of(details.get(str(details.get("type")))).get("fingerprint"))


def abilities_of(account: Any) -> tuple[bool, str | None, tuple[str, ...] | None]:
    """Of an account: whether it may charge, Stripe's reason if not, and its active capabilities if it names any."""
    account = object_of(account)
    named = object_of(account.get("capabilities"))
    active = tuple(name for name, status in named.items() if status == "active" and _NAME.fullmatch(name))
    reason = _matching(_REASON, object_of(account.get("requirements")).get("disabled_reason"))
    return account.get("charges_enabled") is True, reason, active[:MOST_CAPABILITIES] if named else None


def _matching(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
