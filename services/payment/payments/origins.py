"""Which payment of ours an event of Stripe's is about.

The id of an intent that a row of ours holds decides first, whatever the metadata names. `clinicpay verify` decides by
the same functions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from contracts.events.stripe import StripeEvent
from services.chassis.ids import Key
from services.payment.stripe.mismatches import StripeMismatch
from services.payment.stripe.origins import Reason, intent_of, is_lost, reason_of, refuses


@dataclass(frozen=True, slots=True)
class Known:
    """A payment of ours as far as telling events apart goes, and what to lock for it. `intent` is with its account.

    `made`: the intent's id is Stripe's answer to our own call. Else it is not there yet, or it was found by its
    metadata, or an earlier release kept it: then another intent may be the one that we made.
    """

    key: Key
    intent: tuple[str, str | None]
    receivable_ids: list[UUID]
    sealed: bool
    made: bool


class Register:
    """The payments that a set of events may be about."""

    def __init__(self, found: Iterable[Known]) -> None:
        self._by_key: Mapping[Key, Known] = {each.key: each for each in found}
        self._by_intent = {each.intent: each for each in self._by_key.values()}

    def about(self, seen: StripeEvent) -> Known | Reason:
        """The payment that an event is about, or whose it is. Raises `UnknownPayment`."""
        named = self._by_key.get((seen.clinic, seen.payment_id)) if seen.clinic and seen.payment_id else None
        return payment_of(seen, named, self._by_intent.get(intent_of(seen)))


def names_in(seen: Iterable[StripeEvent]) -> tuple[set[Key], set[tuple[str, str]]]:
    """The payments that events name, and the intents that they are of, with their accounts."""
    seen = list(seen)
    keys = {(event.clinic, event.payment_id) for event in seen if event.clinic and event.payment_id}
    intents = {(event.account or "", event.payment_intent) for event in seen if event.payment_intent}
    return keys, intents


def payment_of(seen: StripeEvent, named: Known | None, of_intent: Known | None) -> Known | Reason:
    """The payment that an event is about, of the one that it names and the one that has its intent; or whose it is.

    Raises `UnknownPayment` for an event of ours whose payment is not here.
    """
    if seen.payment_id is None:
        return of_intent or reason_of(seen)
    if named is None and (of_intent is not None or is_lost(seen)):
        raise UnknownPayment("No payment has the id that the event names.")
    if named is None:
        return reason_of(seen)
    return of_intent or refuses(seen, named.sealed) or _copied(seen, named) or named


def _copied(seen: StripeEvent, named: Known) -> Reason | None:
    """One payment makes one intent, under one key on one account: any other one that names it was made elsewhere."""
    is_known = named.made and named.intent[1] is not None
    return "copied" if is_known and intent_of(seen) != named.intent else None


class UnknownPayment(StripeMismatch):
    code = "stripe_unknown_payment"
