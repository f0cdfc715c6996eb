"""Payment methods as pages name them: the used one, the clinic's accepted ones, the client's saved ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.http.clinics import ClinicOut
from contracts.http.common import PaidWith
from contracts.http.methods import SavedMethodOut
from contracts.vocabulary import ACCEPTED_METHODS, METHOD_NAMES, method_name
from services.chassis.locale.formats import Formats


def used(method: PaidWith | SavedMethodOut | None) -> str:
    """The method of a payment: "Visa ending 4242", "Cash"; empty when not known."""
    return method_name(method.kind, method.brand, method.last4) if method else ""


def accepted(kinds: Sequence[str]) -> str:
    """The ways to pay that a clinic accepts: "Card or online payment"; empty when it accepts none online."""
    names = [METHOD_NAMES[kind].lower() for kind in kinds if kind in ACCEPTED_METHODS]
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names).capitalize()


@dataclass(frozen=True)
class SavedView:
    """A saved method as a list or a choice shows it."""

    id: str
    label: str
    nickname: str
    brand: str
    """Stripe's code of the card's brand, which names its picture."""
    expiry: str
    default: bool
    expired: bool
    agreed: str
    """The text that the client agreed to when it was saved; empty when an earlier release saved it."""
    agreed_on: str

    @classmethod
    def of(cls, method: SavedMethodOut, clinic: ClinicOut | None) -> "SavedView":
        agreed = method.agreed if clinic else None
        return cls(
            str(method.id),
            used(method),
            method.nickname,
            method.brand or "",
            _expiry(method),
            method.default,
            method.expired,
            agreed.text if agreed else "",
            Formats.of(clinic).day_of(agreed.agreed_at) if agreed and clinic else "",
        )


def saved(methods: Sequence[SavedMethodOut], clinic: ClinicOut | None = None) -> list[SavedView]:
    """The client's methods, the default one first; at their clinic with what was agreed to."""
    return [SavedView.of(method, clinic) for method in sorted(methods, key=lambda method: not method.default)]


def _expiry(method: SavedMethodOut) -> str:
    if method.exp_month is None or method.exp_year is None:
        return ""
    word = "Expired" if method.expired else "Expires"
    return f"{word} {method.exp_month:02d}/{method.exp_year % 100:02d}"
