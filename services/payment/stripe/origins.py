"""Whose an event of Stripe's is. Events that are not ours are counted by account and reason, and not parked.

Stripe's own id decides first: an intent or refund whose id a row of ours holds is ours, whatever its metadata says,
since the owner of the account can edit metadata and not ids. Else the seal decides. A seal can be copied, so it is of
no use on an object that is surely not the one that we made. `payments.origins` and `refunds.origins` compare with rows.
"""

from collections import Counter as Numbers
from collections.abc import Iterable
from typing import Literal

import structlog

from contracts.events.stripe import Origin, StripeEvent
from services.chassis.telemetry.metrics import Counter

log = structlog.get_logger()
_foreign = Counter(
    "clinicpay.stripe.event.not_ours",
    "{event}",
    "Events of other installations and of accounts' own use; the log names the account",
    "reason",
)

Reason = Origin | Literal["unknown_customer", "copied"]
"""`copied`: the metadata is that of an object of ours, on another object."""
Foreign = tuple[StripeEvent, Reason]


def intent_of(seen: StripeEvent) -> tuple[str, str | None]:
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
    counted: Numbers[tuple[str, Reason]] = Numbers()
    for seen, reason in foreign:
        first.setdefault((seen.account or "", reason), seen)
        counted[seen.account or "", reason] += 1
    for (account, reason), events in counted.items():
        _foreign.add(events, reason)
        log.info(
            "stripe_events_not_ours",
            reason=reason,
            account=account,
            events=events,
            stripe_event_id=first[account, reason].stripe_event_id[:80],
        )
