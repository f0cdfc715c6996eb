"""Which charges and refunds at Stripe are ours: decided by the functions that payment's consumers use."""

from collections import Counter
from collections.abc import AsyncIterable, Iterator, Sequence
from typing import Any

from contracts.events.stripe import StripeEvent
from services.chassis.ids import Key
from services.payment.payments import origins as payments_origins
from services.payment.payments import store as payments
from services.payment.payments.origins import Known, UnknownPayment
from services.payment.refunds import origins as refunds_origins
from services.payment.refunds import store as refunds
from services.payment.refunds.origins import UnknownRefund
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

    async def refunds(self, bodies: AsyncIterable[Json]) -> list[tuple[Json, Key]]:
        """Ours, each with the key that it names."""
        ours: list[tuple[Json, Key]] = []
        async for some in _in_parts(bodies):
            events = [self._seen(body, "refund.updated") for body in some]
            keys = {(seen.clinic, seen.refund_id) for seen in events if seen.clinic and seen.refund_id}
            known = await refunds.find_refunds(self._payment, keys)
            for body, seen in zip(some, events, strict=True):
                if seen.clinic is None or seen.refund_id is None:
                    self.others[origins.reason_of(seen)] += 1
                elif self._is_refund_of_ours(seen, known.get((seen.clinic, seen.refund_id))):
                    ours.append((body, (seen.clinic, seen.refund_id)))
        return ours

    def _is_refund_of_ours(self, seen: StripeEvent, named: refunds_origins.KnownRefund | None) -> bool:
        try:
            reason = refunds_origins.refund_refused(seen, named)
        except UnknownRefund:
            return True
        if reason is not None:
            self.others[reason] += 1
        return reason is None

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


async def _in_parts(bodies: AsyncIterable[Json]) -> Any:
    some: list[Json] = []
    async for body in bodies:
        some.append(body)
        if len(some) == AT_ONCE:
            yield some
            some = []
    if some:
        yield some
