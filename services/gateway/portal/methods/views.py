"""Payment methods as pages name them: the used one, the clinic's accepted ones, the client's saved ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.http.common import PaidWith
from contracts.http.methods import SavedMethodOut
from contracts.vocabulary import ACCEPTED_METHODS, METHOD_NAMES, method_name


def used(method: PaidWith | SavedMethodOut | None) -> str:
    """The method of a payment: "Visa ending 4242", "Cash"; empty when not known."""
    return method_name(method.kind, method.brand, method.last4) if method else ""


def accepted(kinds: Sequence[str]) -> str:
    """The ways to pay that a clinic accepts: "Card or online payment"; empty when it accepts none online."""
    names = [METHOD_NAMES[kind].lower() for kind in kinds if kind in ACCEPTED_METHODS]
    return " or ".join(names).capitalize()


@dataclass(frozen=True)
class SavedView:
    """A saved method as a list or a choice shows it."""

    id: str
    label: str
    expiry: str
    default: bool
    expired: bool

    @classmethod
    def of(cls, method: SavedMethodOut) -> "SavedView":
        return cls(str(method.id), used(method), _expiry(method), method.default, method.expired)


def saved(methods: Sequence[SavedMethodOut]) -> list[SavedView]:
    """The client's methods, the default one first."""
    return [SavedView.of(method) for method in sorted(methods, key=lambda method: not method.default)]


def _expiry(method: SavedMethodOut) -> str:
    if method.exp_month is None or method.exp_year is None:
        return ""
    word = "Expired" if method.expired else "Expires"
    return f"{word} {method.exp_month:02d}/{method.exp_year % 100:02d}"
