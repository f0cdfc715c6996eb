"""Clients at Stripe and their saved payment methods. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter
from types import MappingProxyType
from uuid import UUID

from contracts.events.envelope import Method, event_id
from contracts.events.payment import PaymentMethodExpiring
from services.chassis.errors import DomainError
from services.payment.stripe.limits import NEVER

EXPIRES_SOON = timedelta(days=31)
"""So long before a saved card's last day is over its client is told."""


class MethodNotFound(DomainError):
    code = "payment_method_not_found"
    status = 404


class MethodExpired(DomainError):
    code = "payment_method_expired"
    status = 409


@dataclass(frozen=True, slots=True)
class Customer:
    """A client on one Stripe account. Without `stripe_id` it is still to be made, with `idempotency_key`."""

    clinic_id: UUID
    client_id: UUID
    account: str
    idempotency_key: str
    stripe_id: str | None

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata at Stripe of the customer, and of a SetupIntent of it."""
        return {"clinic_id": str(self.clinic_id), "client_id": str(self.client_id)}


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """A payment method that a client keeps. Ours by `id`, Stripe's by `stripe_id` on `account`.

    `fingerprint` is the same for the same card. `seen_at` is Stripe's time of the newest details, and with `doubtful`
    others have the same time.
    """

    clinic_id: UUID
    id: UUID
    client_id: UUID
    account: str
    stripe_id: str
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    created_at: datetime
    fingerprint: str | None = None
    seen_at: datetime = NEVER
    doubtful: bool = False

    @property
    def details(self) -> tuple[object, ...]:
        return self.brand, self.last4, self.exp_month, self.exp_year, self.fingerprint

    def is_expired(self, today: date) -> bool:
        """Whether the card's last month is over."""
        if self.exp_year is None or self.exp_month is None:
            return False
        return (self.exp_year, self.exp_month) < (today.year, today.month)

    @property
    def shown(self) -> Method:
        """As much of it as events may hold."""
        return Method(kind=self.kind, brand=self.brand, last4=self.last4)


@dataclass(frozen=True, slots=True)
class Listed:
    """A card as its client sees it, once, however often it was saved."""

    method: SavedMethod
    default: bool
    expired: bool
    nickname: str = ""


def listed(
    kept: Iterable[SavedMethod],
    chosen: UUID | None,
    today: date,
    nicknames: Mapping[UUID, str] = MappingProxyType({}),
) -> list[Listed]:
    """A client's cards, the default first. Of one saved several times, the one that expires last.

    The default is the client's choice, else the oldest; an expired card is none. A card keeps its nickname when it is
    saved again.
    """
    cards: dict[str, list[SavedMethod]] = {}
    for method in sorted(kept, key=attrgetter("id")):
        cards.setdefault(method.fingerprint or method.stripe_id, []).append(method)
    groups = sorted(cards.values(), key=lambda card: chosen not in {each.id for each in card})
    shown = [max(card, key=_expires) for card in groups]
    names = [next(filter(None, (nicknames.get(each.id) for each in card)), "") for card in groups]
    able = next((method for method in shown if not method.is_expired(today)), None)
    rows = [
        Listed(method, method is able, method.is_expired(today), name)
        for method, name in zip(shown, names, strict=True)
    ]
    return sorted(rows, key=lambda row: not row.default)


def _expires(method: SavedMethod) -> tuple[int, int, UUID]:
    return method.exp_year or 0, method.exp_month or 0, method.id


def newest(held: SavedMethod | None, seen: SavedMethod) -> SavedMethod:
    """The newer by Stripe's clock of two observations of a method; one that knows its details before one without."""
    if held is None or seen.seen_at > held.seen_at:
        return seen
    if seen.seen_at == held.seen_at != NEVER and seen.details != held.details:
        return replace(held, doubtful=True)
    return held


@dataclass(frozen=True, slots=True)
class ExpiryNotice:
    """A client is told that a card expires. `card` names it however often it was saved."""

    clinic_id: UUID
    client_id: UUID
    account: str
    card: str
    expires_on: date
    method_id: UUID
    brand: str | None
    last4: str | None
    published_at: datetime


def last_day(year: int, month: int) -> date:
    """The last day of a card's month of expiry."""
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def months_to_tell(today: date) -> list[tuple[int, int]]:
    """The (year, month) of expiry of cards whose clients are to be told today."""
    months = [(today.year, today.month), (today.year + today.month // 12, today.month % 12 + 1)]
    return [each for each in months if last_day(*each) - today < EXPIRES_SOON]


def expiring(rows: Iterable[Listed], now: datetime) -> ExpiryNotice | None:
    """The notice of the card with which a client's payments begin; None while it is not to be told.

    Another card, or one that Stripe has renewed, leaves the client nothing to do.
    """
    for method in (row.method for row in rows if row.default):
        if (method.exp_year, method.exp_month) in months_to_tell(now.date()):
            assert method.exp_year is not None and method.exp_month is not None, "it is in a list of months"
            return ExpiryNotice(
                method.clinic_id,
                method.client_id,
                method.account,
                method.fingerprint or method.stripe_id,
                last_day(method.exp_year, method.exp_month),
                method.id,
                method.brand,
                method.last4,
                now,
            )
    return None


def fact_about(notice: ExpiryNotice) -> PaymentMethodExpiring:
    """Build `payment.method_expiring`. Its id is the same in each run, and after a restore."""
    begins = datetime.combine(notice.expires_on - EXPIRES_SOON, time(), tzinfo=UTC)
    topic, day = PaymentMethodExpiring.topic.name, notice.expires_on
    return PaymentMethodExpiring(
        id=event_id(begins, topic, notice.clinic_id, notice.client_id, notice.account, notice.card, day),
        time=notice.published_at,
        clinic_id=notice.clinic_id,
        method_id=notice.method_id,
        client_id=notice.client_id,
        method=Method(kind="card", brand=notice.brand, last4=notice.last4),
        expires_on=day,
    )
