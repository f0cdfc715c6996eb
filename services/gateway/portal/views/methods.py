"""Ways to pay, in words: what was used, what a clinic accepts, what a client has saved."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.shapes import MethodRef, SavedMethod

BRANDS = {
    "visa": "Visa",
    "mastercard": "Mastercard",
    "amex": "American Express",
    "discover": "Discover",
    "diners": "Diners Club",
    "jcb": "JCB",
    "unionpay": "UnionPay",
}
KINDS = {
    "card": "Card",
    "redirect": "Online payment",
    "cash": "Cash",
    "credit": "Credit",
    "bank_transfer": "Bank transfer",
    "sepa_debit": "Bank debit",
    "paypal": "PayPal",
    "ideal": "iDEAL",
    "bancontact": "Bancontact",
    "revolut_pay": "Revolut Pay",
}
ACCEPTED = {"card": "card", "redirect": "online payment"}


def used(method: MethodRef | SavedMethod | None) -> str:
    """What money came by: "Visa ending 4242", "Cash"; empty when not known."""
    if method is None:
        return ""
    if method.last4:
        return f"{_name(method)} ending {method.last4}"
    return _name(method)


def accepted(kinds: Sequence[str]) -> str:
    """The ways that a clinic takes: "Card or online payment"; empty when it takes none online."""
    words = [ACCEPTED[kind] for kind in kinds if kind in ACCEPTED]
    return " or ".join(words).capitalize()


@dataclass(frozen=True)
class SavedView:
    """A saved method as a list or a choice shows it."""

    id: str
    label: str
    expiry: str
    default: bool

    @classmethod
    def of(cls, method: SavedMethod) -> "SavedView":
        return cls(str(method.id), used(method), _expiry(method), method.default)


def saved(methods: Sequence[SavedMethod]) -> list[SavedView]:
    """The client's methods, the default one first."""
    return [SavedView.of(method) for method in sorted(methods, key=lambda method: not method.default)]


def _name(method: MethodRef | SavedMethod) -> str:
    if method.brand:
        return BRANDS.get(method.brand, method.brand.replace("_", " ").title())
    return KINDS.get(method.kind, method.kind.replace("_", " ").capitalize())


def _expiry(method: SavedMethod) -> str:
    if method.exp_month is None or method.exp_year is None:
        return ""
    return f"Expires {method.exp_month:02d}/{method.exp_year % 100:02d}"
