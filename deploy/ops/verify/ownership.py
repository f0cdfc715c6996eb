"""Which charges and refunds at Stripe are ours: decided by the functions that payment's consumers use."""

from collections import Counter
from collections.abc import AsyncIterable, Container, Iterator, Mapping, Sequence
from typing import Any

from contracts.events.stripe import StripeEvent
from services.chassis.ids import Key
from services.payment.payments import origins as payments_origins
from services.payment.payments import store as payments
from services.payment.payments.origins import Known, UnknownPayment
from services.payment.refunds import origins as refunds_origins
from services.payment.refunds import store as refunds
from services.payment.refunds.origins import KnownRefund, UnknownRefund
from services.payment.stripe import origins
from services.payment.stripe.observations import read_event
from services.payment.stripe.origins import Reason
from services.payment.stripe.seal import Seal

AT_ONCE = 1000
Json = dict[str, Any]


class Ownership:
    """Sorts an account's objects into ours and others'. `others` counts the latter by reason, as consumers do."""

    def __init__(self, payment: Any, seal: Seal, account: str) -> None:
        """`payment` is a connection to the payment service's database."""
        self._payment, self._seal, self._account = payment, seal, account
        self.others: Counter[Reason] = Counter()
        self.dismissed = 0
        """Charges whose row is lost and that an operator discarded."""
        self.copied: dict[str, str] = {}
        """Charges, by intent, that name a payment of ours which has another intent, or is on another account."""

    async def charges(self, bodies: AsyncIterable[Json]) -> list[tuple[Json, Known | None]]:
        """Ours, each with its payment; None where that is lost, or may be of another charge."""
        ours: list[tuple[Json, Known | None]] = []
        async for some in _in_parts(bodies):
            events = [self._seen(body, "charge.succeeded") for body in some]
            known = payments_origins.Register(
                await payments.find_payments(self._payment, *payments_origins.names_in(events))
            )
            ours += self._ours(known, some, events)
        return ours

    def _ours(
        self, known: payments_origins.Register, bodies: Sequence[Json], events: Sequence[StripeEvent]
    ) -> Iterator[tuple[Json, Known | None]]:
        for body, seen in zip(bodies, events, strict=True):
            try:
                about = known.about(seen)
            except UnknownPayment:
                yield body, None
                continue
            if isinstance(about, Known):
                yield body, about
            else:
                self.others[about] += 1
                if about == "copied" and seen.payment_intent:
                    self.copied[seen.payment_intent] = body["id"]

    async def refunds(
        self, bodies: AsyncIterable[Json], intents: Container[Any]
    ) -> list[tuple[Json, Key | None]]:
        """Ours, each with the key that it names; None for one that was made at Stripe of one of our `intents`."""
        ours: list[tuple[Json, Key | None]] = []
        async for some in _in_parts(bodies):
            events = [self._seen(body, "refund.updated") for body in some]
            keys = {(seen.clinic, seen.refund_id) for seen in events if seen.clinic and seen.refund_id}
            known = await refunds.find_refunds(self._payment, keys)
            booked = await refunds.find_made_at_stripe(
                self._payment, self._account, [body["id"] for body in some]
            )
            for body, seen in zip(some, events, strict=True):
                if body["id"] in booked:
                    ours.append((body, booked[body["id"]]))
                    continue
                key, reason = _refund_of(seen, known)
                if reason is None or body.get("payment_intent") in intents:
                    ours.append((body, key if reason is None else None))
                else:
                    self.others[reason] += 1
        return ours

    def _seen(self, body: Json, event_type: str) -> StripeEvent:
        """The event that Stripe would send about an object."""
        event = {
            "id": f"verify-{body['id']}",
            "type": event_type,
            "created": body["created"],
            "livemode": body.get("livemode", False),
            "account": self._account or None,
            "data": {"object": body},
        }
        return read_event(event, self._seal)


def _refund_of(seen: StripeEvent, known: Mapping[Key, KnownRefund]) -> tuple[Key | None, Reason | None]:
    """The refund that an object names, and why it is not ours all the same."""
    if seen.clinic is None or seen.refund_id is None:
        return None, origins.reason_of(seen)
    key = (seen.clinic, seen.refund_id)
    try:
        return key, refunds_origins.refund_refused(seen, known.get(key))
    except UnknownRefund:
        return key, None


async def _in_parts(bodies: AsyncIterable[Json]) -> Any:
    some: list[Json] = []
    async for body in bodies:
        some.append(body)
        if len(some) == AT_ONCE:
            yield some
            some = []
    if some:
        yield some
