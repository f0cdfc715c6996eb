"""Kinds of payment method: what each shows of itself, and how paying with it goes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from deploy.sandbox.cards import Card
from deploy.sandbox.errors import Json

Flow = Literal["card", "redirect", "delayed"]
PASSED = {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"}


@dataclass(frozen=True)
class Kind:
    flow: Flow
    currencies: frozenset[str] | None = None
    """None: any."""


_PAYPAL = "aud cad chf czk dkk eur gbp hkd nok nzd pln sek sgd usd"
KINDS = {
    "card": Kind("card"),
    "paypal": Kind("redirect", frozenset(_PAYPAL.split())),
    "ideal": Kind("redirect", frozenset(["eur"])),
    "bancontact": Kind("redirect", frozenset(["eur"])),
    "eps": Kind("redirect", frozenset(["eur"])),
    "p24": Kind("redirect", frozenset(["eur", "pln"])),
    "sepa_debit": Kind("delayed", frozenset(["eur"])),
    "us_bank_account": Kind("delayed", frozenset(["usd"])),
}
SAVABLE = frozenset(["card", "sepa_debit", "us_bank_account"])
"""Kinds that can be attached to a customer here."""
AUTOMATIC = ("card", "paypal", "ideal", "bancontact", "eps", "p24")
"""The methods that `automatic_payment_methods` offers, as if switched on in the Dashboard."""


def automatic_for(currency: str | None) -> list[str]:
    return [name for name in AUTOMATIC if takes(name, currency)]


def takes(name: str, currency: str | None) -> bool:
    kind = KINDS.get(name)
    return kind is not None and (currency is None or kind.currencies is None or currency in kind.currencies)


def shown_card(card: Card, exp_month: int, exp_year: int, fingerprint: str) -> Json:
    return {
        "brand": card.brand,
        "checks": PASSED | dict.fromkeys(card.failing, "fail"),
        "country": card.country,
        "display_brand": card.brand,
        "exp_month": exp_month,
        "exp_year": exp_year,
        "fingerprint": fingerprint,
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def charge_details(method: Json, authenticated: bool) -> Json:
    """`payment_method_details` of a charge made with the method."""
    kind = method["type"]
    return {"type": kind, kind: _CHARGED[kind](method[kind], authenticated)}


def _charged_card(card: Json, authenticated: bool) -> Json:
    kept = {
        name: card[name] for name in ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint")
    }
    return kept | {
        "amount_authorized": None,
        "authorization_code": None,
        "extended_authorization": {"status": "disabled"},
        "funding": card["funding"],
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card["last4"],
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": None,
        "regulated_status": "unregulated",
        "three_d_secure": _AUTHENTICATED if authenticated else None,
        "transaction_link_id": None,
        "wallet": None,
    }


_AUTHENTICATED = {
    "authentication_flow": "challenge",
    "electronic_commerce_indicator": "05",
    "exemption_indicator": None,
    "result": "authenticated",
    "result_reason": None,
    "transaction_id": None,
    "version": "2.2.0",
}
_BANK = {"bank": None, "bic": None, "generated_sepa_debit": None, "generated_sepa_debit_mandate": None}
_US_ACCOUNT = ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4", "routing_number")
_CHARGED: dict[str, Callable[[Json, bool], Json]] = {
    "card": _charged_card,
    "paypal": lambda method, _: {
        "country": method["country"],
        "payer_email": method["payer_email"],
        "payer_id": method["payer_id"],
        "payer_name": None,
        "seller_protection": {"dispute_categories": None, "status": "not_eligible"},
        "transaction_id": None,
    },
    "ideal": lambda method, _: {**_BANK, "bank": method["bank"], "iban_last4": "5264", "verified_name": None},
    "bancontact": lambda _method, _: {
        "bank_code": "VAPE",
        "bank_name": "VAN DE PUT & CO",
        "bic": "VAPEBE22",
        "generated_sepa_debit": None,
        "generated_sepa_debit_mandate": None,
        "iban_last4": "7061",
        "preferred_language": "en",
        "verified_name": None,
    },
    "eps": lambda _method, _: {"bank": None, "verified_name": None},
    "p24": lambda _method, _: {"bank": None, "reference": None, "verified_name": None},
    "sepa_debit": lambda method, _: (
        {name: method[name] for name in ("bank_code", "branch_code", "country", "fingerprint", "last4")}
        | {"mandate": None}
    ),
    "us_bank_account": lambda method, _: {name: method[name] for name in _US_ACCOUNT},
}
