"""Our captures against the charges of one account at Stripe. Each kind of difference has a name of its own."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.ops.stripe_client import name_of
from deploy.ops.verify.report import Breach
from deploy.ops.verify.stripe_refunds import NOTHING, Returned
from services.chassis.locale.money import to_stripe
from services.payment.payments.origins import Known
from services.payment.stripe.fields import object_of, text_of, uuid_of

SAYS = {
    "charges_are_booked": "Every charge of ours at Stripe is booked",
    "charged_amounts_agree": "A charge is booked with the amount that Stripe took",
    "charged_currencies_agree": "A charge is booked in the currency that Stripe took",
    "charges_are_their_payments": "A charge names the clinic and payment under which it is booked, in the same mode",
    "bookings_are_charged": "Every capture that is booked has its charge at Stripe",
    "charged_once": "Every capture that is booked has no second charge at Stripe",
    "charges_are_on_their_account": "A charge is on the Stripe account on which its payment is booked",
    "charges_are_refunded_as_booked": "What Stripe has refunded of a charge is what our refunds of its payment make",
}

BOOKED = """
    SELECT e.stripe_object_id AS intent, p.clinic_id, p.id, p.livemode, s.amount, s.currency
    FROM payments AS p
    JOIN entries AS e ON (e.clinic_id, e.payment_id) = (p.clinic_id, p.id) AND e.effect = 'capture'
    JOIN postings AS s ON (s.clinic_id, s.entry_id) = (e.clinic_id, e.id) AND s.account = 'stripe'
    WHERE p.account = $1
"""


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge of ours that succeeded. `amount` as Stripe counts it; ids of its payment or its metadata."""

    id: str
    intent: str | None
    amount: int
    currency: str
    livemode: bool
    payment_id: Any
    clinic_id: Any
    refunded: int

    @classmethod
    def of(cls, body: Any, known: Known | None) -> "Charge":
        metadata = object_of(body.get("metadata"))
        return cls(
            id=body["id"],
            intent=text_of(body.get("payment_intent")),
            amount=body["amount"],
            currency=body["currency"].upper(),
            livemode=body["livemode"],
            payment_id=known.key[1] if known else uuid_of(metadata.get("payment_id")),
            clinic_id=known.key[0] if known else uuid_of(metadata.get("clinic_id")),
            refunded=body["amount_refunded"],
        )


def unbooked(account: str, charges: Iterable[Charge], booked: Mapping[str, Any]) -> Iterator[Breach]:
    """Charges of ours without a booking."""
    for charge in charges:
        if (charge.intent or "") not in booked:
            yield Breach("charges_are_booked", _named(account, charge) | {"wrong": "not booked"})


def booked_otherwise(account: str, charges: Iterable[Charge], booked: Mapping[str, Any]) -> Iterator[Breach]:
    """Charges that differ from their booking."""
    for charge in charges:
        if booking := booked.get(charge.intent or ""):
            for check, wrong in _differences(charge, booking):
                yield Breach(check, _named(account, charge) | {"wrong": wrong})


def _differences(charge: Charge, booking: Any) -> Iterator[tuple[str, str]]:
    """(check, both values). Amounts in two currencies are not compared."""
    amount = to_stripe(int(booking["amount"]), booking["currency"])
    if charge.currency != booking["currency"]:
        yield "charged_currencies_agree", f"currency {charge.currency} ≠ {booking['currency']}"
    elif charge.amount != amount:
        yield "charged_amounts_agree", f"amount {charge.amount} ≠ {amount}"
    pairs = {
        "mode": (charge.livemode, booking["livemode"]),
        "payment": (charge.payment_id or booking["id"], booking["id"]),
        "clinic": (charge.clinic_id or booking["clinic_id"], booking["clinic_id"]),
    }
    wrong = [f"{name} {theirs} ≠ {ours}" for name, (theirs, ours) in pairs.items() if theirs != ours]
    if wrong:
        yield "charges_are_their_payments", "; ".join(wrong)


def uncharged(account: str, charges: Iterable[Charge], booked: Mapping[str, Any]) -> Iterator[Breach]:
    """Bookings without a charge, or with more than one."""
    by_intent: dict[str | None, list[str]] = {}
    for charge in charges:
        by_intent.setdefault(charge.intent, []).append(charge.id)
    for intent, booking in booked.items():
        found = by_intent.get(intent, [])
        if len(found) != 1:
            row = {
                "account": name_of(account),
                "payment_intent": intent,
                "clinic_id": booking["clinic_id"],
                "payment_id": booking["id"],
                "amount": to_stripe(int(booking["amount"]), booking["currency"]),
                "currency": booking["currency"],
                "charges": ", ".join(sorted(found)) or "none",
            }
            yield Breach("charged_once" if found else "bookings_are_charged", row)


def on_another_account(breach: Breach, elsewhere: Mapping[str, tuple[str, str]]) -> Breach:
    """The breach, or, where another account has the booking's charge, the one which says so.

    `elsewhere`: (account, charge) by the id of its intent, of which Stripe has one among all accounts.
    """
    found = elsewhere.get(breach.row.get("payment_intent", ""))
    if breach.check != "bookings_are_charged" or found is None:
        return breach
    account, charge = found
    row = {**breach.row, "charges": charge, "charged on": name_of(account)}
    return Breach("charges_are_on_their_account", row)


def refunded_otherwise(
    account: str,
    charges: Iterable[Charge],
    before: Mapping[str, Returned],
    after: Mapping[str, Returned],
    named: Collection[Any],
) -> Iterator[Breach]:
    """Charges of which another sum is refunded than by our refunds; `named` are intents whose refunds differ.

    Refunds may be made while Stripe is read: it has at least what was sent before, at most what was made by then.
    """
    for charge in charges:
        least = before.get(charge.intent or "", NOTHING).sent
        then = after.get(charge.intent or "", NOTHING)
        fits = any(least <= charge.refunded - back <= then.made for back in (0, then.back))
        if not fits and charge.intent not in named:
            more = charge.refunded > then.made
            wrong = "refunded at Stripe, not in the books" if more else "not refunded at Stripe"
            row = _named(account, charge) | {
                "refunded": charge.refunded,
                "booked": then.made,
                "wrong": wrong,
            }
            yield Breach("charges_are_refunded_as_booked", row)


def _named(account: str, charge: Charge) -> dict[str, Any]:
    return {
        "account": name_of(account),
        "charge": charge.id,
        "payment_intent": charge.intent,
        "clinic_id": charge.clinic_id,
        "payment_id": charge.payment_id,
        "amount": charge.amount,
        "currency": charge.currency,
    }
