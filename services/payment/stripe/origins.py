"""Whose an event of Stripe's is. What is not ours is counted by account and reason, and not parked.

Stripe's own id decides first: an intent or refund whose id a row of ours holds is ours, whatever its metadata says,
since the owner of the account can edit metadata and not ids. Else the seal decides. A seal can be copied, so it is of
no use on an object that is surely not the one that we made. `clinicpay verify` decides by the same functions.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import structlog
from opentelemetry import metrics

from contracts.stripe import Origin, StripeEvent
from services.chassis.ids import Key
from services.payment.payments.lifecycle import UnknownPayment
from services.payment.refunds.domain import Refund, UnknownRefund

log = structlog.get_logger()
_foreign = metrics.get_meter("clinicpay").create_counter(
    "stripe_events_not_ours",
    description="Events of other installations and of accounts' own use, by account and reason",
)

Reason = Origin | Literal["unknown_customer", "copied"]
"""`copied`: the metadata is that of an object of ours, on another object."""
Foreign = tuple[StripeEvent, Reason]


@dataclass(frozen=True, slots=True)
class Known:
    """A payment of ours as far as telling events apart goes, and what to lock for it. `intent` is with its account.

    `made`: the intent's id is Stripe's answer to our own call. Else it is not there yet, or it was found by its
    metadata, or an earlier release kept it: then another intent may be the one that we made.
    """

    key: Key
    intent: tuple[str, str | None]
    payable_ids: list[UUID]
    sealed: bool
    made: bool


@dataclass(frozen=True, slots=True)
class KnownRefund:
    """A refund of ours as far as telling events apart goes. `of_intent` is with its account."""

    stripe_id: str | None
    of_intent: tuple[str, str | None]
    sealed: bool

    @classmethod
    def of(cls, refund: Refund) -> "KnownRefund":
        of_intent = (refund.account, refund.intent_id)
        return cls(refund.stripe_refund_id, of_intent, refund.signature is not None)


class Register:
    """The payments that a set of events may be about."""

    def __init__(self, found: Iterable[Known]) -> None:
        self._by_key: Mapping[Key, Known] = {each.key: each for each in found}
        self._by_intent = {each.intent: each for each in self._by_key.values()}

    def about(self, seen: StripeEvent) -> Known | Reason:
        """The payment that an event is about, or whose it is. Raises `UnknownPayment`."""
        named = self._by_key.get((seen.clinic, seen.payment_id)) if seen.clinic and seen.payment_id else None
        return payment_of(seen, named, self._by_intent.get(_intent_of(seen)))


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


def refund_refused(seen: StripeEvent, named: KnownRefund | None) -> Reason | None:
    """Why an event is about no refund of ours; None if it is about the one that it names. Raises `UnknownRefund`."""
    if named is None and seen.refund_id is not None and is_lost(seen):
        raise UnknownRefund("No refund has the id that the event names.")
    if named is None:
        return reason_of(seen)
    if named.stripe_id == seen.object_id:
        return None
    return refuses(seen, named.sealed) or ("copied" if _intent_of(seen) != named.of_intent else None)


def _copied(seen: StripeEvent, named: Known) -> Reason | None:
    """One payment makes one intent, under one key on one account: any other one that names it was made elsewhere."""
    is_known = named.made and named.intent[1] is not None
    return "copied" if is_known and _intent_of(seen) != named.intent else None


def _intent_of(seen: StripeEvent) -> tuple[str, str | None]:
    return seen.account or "", seen.payment_intent


def refuses(seen: StripeEvent, sealed: bool) -> Reason | None:
    """Why an event that names our row is not about it; None if it is. An earlier release sealed no row.

    An event that an earlier release published says nothing of its origin: the row's own checks decide then.
    """
    if seen.origin in (None, "ours") or (seen.origin == "unsigned" and not sealed):
        return None
    return seen.origin


def is_lost(seen: StripeEvent) -> bool:
    """Whether an event that names a row which is not here is ours all the same: the row was lost."""
    return seen.origin in (None, "ours")


def reason_of(seen: StripeEvent) -> Reason:
    """Why an event that names no row of ours is not ours."""
    return "unsigned" if seen.origin in (None, "ours") else seen.origin


def count(foreign: Iterable[Foreign]) -> None:
    """Count what is not ours. One line in the log for each account and reason of a batch."""
    first: dict[tuple[str, Reason], StripeEvent] = {}
    counted: Counter[tuple[str, Reason]] = Counter()
    for seen, reason in foreign:
        first.setdefault((seen.account or "", reason), seen)
        counted[seen.account or "", reason] += 1
    for (account, reason), events in counted.items():
        _foreign.add(events, {"account": account, "reason": reason})
        log.info(
            "stripe_events_not_ours",
            reason=reason,
            account=account,
            events=events,
            stripe_event_id=first[account, reason].stripe_event_id[:80],
        )
