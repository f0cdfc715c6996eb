"""Disputes at the payer's bank: how observations change one, and what its money does to the books. Pure decisions.

The newest state by Stripe's clock wins. The money does not depend on the order of events: it follows the dispute's
balance transactions, each of which is booked once, oldest first, as soon as its payment is booked. Amounts are integer
minor units.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.events.envelope import event_id
from contracts.events.payment import PaymentDisputed, PaymentSettled
from contracts.events.payment import Share as PublishedShare
from contracts.events.stripe import BalanceMove, StripeEvent
from contracts.money import Money
from contracts.vocabulary import OPEN_DISPUTES, DisputeStatus, MovementKind
from services.chassis.errors import DomainError
from services.chassis.ids import Key, made_at
from services.payment.ledger import domain as ledger
from services.payment.ledger.domain import Entry, Posting
from services.payment.payments.domain import Payment
from services.payment.receivables.domain import Receivable
from services.payment.stripe.mismatches import WrongCharge, WrongMode


class DisputeNotFound(DomainError):
    code = "dispute_not_found"
    status = 404


_STATUS_OF: Mapping[str | None, DisputeStatus] = {
    "warning_needs_response": "warning_needs_response",
    "warning_under_review": "warning_under_review",
    "warning_closed": "warning_closed",
    "needs_response": "needs_response",
    "under_review": "under_review",
    "won": "won",
    "lost": "lost",
    "prevented": "prevented",
    "charge_refunded": "charge_refunded",
    # Of a later version of Stripe's: the bank has taken the case up again.
    "appeal_needs_response": "needs_response",
    "appeal_under_review": "under_review",
}
_RANK: Mapping[DisputeStatus, int] = {
    "warning_needs_response": 0,
    "warning_under_review": 1,
    "needs_response": 2,
    "under_review": 3,
}
_ENDED = 4
_BEGIN: Mapping[bool, DisputeStatus] = {True: "under_review", False: "warning_under_review"}
"""The status of a new dispute whose own is none that we know, by whether it took money."""


_Holder = Literal["stripe", "disputed_rest"]
"""The account that has the money which a dispute takes: at Stripe, or taken before of nothing that was kept."""


@dataclass(frozen=True, slots=True)
class Share:
    """The part that a dispute took of one receivable: `reopened` is due again, `taken` is not."""

    receivable_id: UUID
    taken: int = 0
    reopened: int = 0


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute of a payment of ours.

    `credit_amount` is what it holds of credit, `rest_amount` what it took above all that was kept of the payment.
    `reopened`: whether its loss made the receivables due again; None while it is not lost. `booked` and `waiting` are
    its balance transactions. `version` counts its published states, `taken_up` how often the
    bank took it up again after an end.
    """

    clinic_id: UUID
    id: UUID
    client_id: UUID
    payment_id: UUID
    stripe_dispute_id: str
    charge_id: str | None
    status: DisputeStatus
    reason: str | None
    amount: int
    currency: str
    due_by: datetime | None
    has_evidence: bool
    submissions: int
    opened_at: datetime
    updated_at: datetime
    seen_at: datetime
    credit_amount: int = 0
    rest_amount: int = 0
    reopened: bool | None = None
    version: int = 0
    taken_up: int = 0
    shares: tuple[Share, ...] = ()
    booked: tuple[BalanceMove, ...] = ()
    waiting: tuple[BalanceMove, ...] = ()

    @property
    def key(self) -> Key:
        return self.clinic_id, self.id

    @property
    def taken_amount(self) -> int:
        """The sum that the bank has taken and not given back, as far as it is booked."""
        return sum(each.taken + each.reopened for each in self.shares) + self.credit_amount + self.rest_amount

    @property
    def fees(self) -> dict[str, int]:
        """Stripe's fees by currency, as far as they are booked."""
        sums: dict[str, int] = {}
        for move in self.booked:
            sums[move.currency] = sums.get(move.currency, 0) + move.fee
        return {currency: amount for currency, amount in sums.items() if amount}


@dataclass(frozen=True, slots=True)
class Kept:
    """A payment's share of a receivable, and its parts since. `kept` is still there for a dispute to take."""

    receivable_id: UUID
    settled: int
    moved: int = 0
    refunded: int = 0
    reversed: int = 0
    disputed: int = 0

    @property
    def kept(self) -> int:
        return self.settled - self.moved - self.refunded - self.reversed - self.disputed


@dataclass(frozen=True, slots=True)
class Holding:
    """All that is kept of a payment: its shares, newest receivable first, and its surplus that is not refunded.

    `credit` is the client's balance: a surplus may have been used. `came_back` is the surplus that is there again since
    a dispute took all that there was: a refund failed. `receivables` are those of the shares.
    """

    payment: Payment
    shares: tuple[Kept, ...]
    surplus: int
    credit: int
    receivables: Mapping[UUID, Receivable]
    came_back: int = 0


@dataclass(frozen=True, slots=True)
class DisputeChange:
    """The effect of an observation: the dispute and the payment's money after it, and the bookings. Often nothing."""

    dispute: Dispute
    holding: Holding
    entries: tuple[Entry, ...] = ()
    movements: tuple[PaymentSettled, ...] = ()
    fact: PaymentDisputed | None = None


def id_of(payment: Key, stripe_dispute_id: str) -> UUID:
    """Our id of a dispute: the same on every path, and in a service that was restored from a backup."""
    clinic_id, payment_id = payment
    return event_id(made_at(payment_id), "dispute", clinic_id, stripe_dispute_id)


def observe(
    known: Dispute | None, holding: Holding, seen: StripeEvent, reopens: bool, now: datetime
) -> DisputeChange:
    """The effect of one observation. `reopens` is the clinic's setting. Raises a `StripeMismatch`."""
    _check_match(holding.payment, seen)
    dispute = _merged(known or _begin(holding.payment, seen, now), seen)
    if holding.payment.status != "succeeded":
        return _published(DisputeChange(_stated(known, dispute, now), holding), known)
    change = DisputeChange(dispute, holding)
    for move in sorted(dispute.waiting, key=lambda move: (move.created, move.amount, move.id)):
        change = _book(change, move, now)
    change = _end(_take_back(change, now), reopens, now)
    return _published(replace(change, dispute=_stated(known, change.dispute, now)), known)


def status_of(at_stripe: str | None) -> DisputeStatus | None:
    """Our word for Stripe's; None for one of a later version that we do not know."""
    return _STATUS_OF.get(at_stripe)


def is_doubtful(dispute: Dispute | None, seen: StripeEvent) -> bool:
    """Whether Stripe has to be asked which of two states is the newer. Its clock has whole seconds."""
    status = _STATUS_OF.get(seen.status)
    return dispute is not None and status not in (None, dispute.status) and seen.created == dispute.seen_at


def _check_match(payment: Payment, seen: StripeEvent) -> None:
    """Refuse a dispute in another mode or currency than its payment: what it took of an invoice would be a guess."""
    if seen.livemode != payment.livemode:
        raise WrongMode("The dispute and the payment are not both live or both test.")
    if seen.amount is None or seen.currency != payment.currency or seen.dispute is None:
        raise WrongCharge("The dispute has another currency than its payment, or no amount.")


def _begin(payment: Payment, seen: StripeEvent, now: datetime) -> Dispute:
    assert seen.dispute is not None and seen.amount is not None, "checked"
    return Dispute(
        clinic_id=payment.clinic_id,
        id=id_of(payment.key, seen.object_id),
        client_id=payment.client_id,
        payment_id=payment.id,
        stripe_dispute_id=seen.object_id,
        charge_id=seen.dispute.charge,
        status=_STATUS_OF.get(seen.status) or _BEGIN[bool(seen.dispute.moves)],
        reason=seen.dispute.reason,
        amount=seen.amount,
        currency=payment.currency,
        due_by=seen.dispute.due_by,
        has_evidence=seen.dispute.has_evidence,
        submissions=seen.dispute.submissions,
        opened_at=seen.dispute.opened,
        updated_at=now,
        seen_at=seen.created,
    )


def _merged(dispute: Dispute, seen: StripeEvent) -> Dispute:
    """The dispute with the transactions that are new, and with the state if it is the newer one."""
    assert seen.dispute is not None and seen.amount is not None, "checked"
    had = {move.id for move in (*dispute.booked, *dispute.waiting)}
    new = tuple(move for move in seen.dispute.moves if move.id not in had)
    dispute = replace(dispute, waiting=(*dispute.waiting, *new))
    status = _STATUS_OF.get(seen.status, dispute.status)
    if not _is_news(dispute, status, seen.created):
        return dispute
    return replace(
        dispute,
        status=status,
        charge_id=seen.dispute.charge or dispute.charge_id,
        reason=seen.dispute.reason,
        amount=seen.amount,
        due_by=seen.dispute.due_by,
        has_evidence=seen.dispute.has_evidence,
        submissions=seen.dispute.submissions,
        seen_at=seen.created,
        taken_up=dispute.taken_up + (dispute.status not in OPEN_DISPUTES and status in OPEN_DISPUTES),
    )


def _is_news(dispute: Dispute, status: DisputeStatus, created: datetime) -> bool:
    if created != dispute.seen_at:
        return created > dispute.seen_at
    # Of two states of one second the later rung holds until Stripe is asked.
    return _RANK.get(status, _ENDED) >= _RANK.get(dispute.status, _ENDED)


def _stated(known: Dispute | None, dispute: Dispute, now: datetime) -> Dispute:
    """The dispute with the version and the time of its newest state, if it changed."""
    if known is not None and replace(known, seen_at=dispute.seen_at) == dispute:
        return dispute
    return replace(dispute, version=dispute.version + 1, updated_at=now)


def _published(change: DisputeChange, known: Dispute | None) -> DisputeChange:
    """The change with the event of the new version, if there is one."""
    same = known is not None and known.version == change.dispute.version
    return change if same else replace(change, fact=fact_about(change.dispute))


def fact_about(dispute: Dispute) -> PaymentDisputed:
    """Build `payment.disputed`. The same row always gives the same event."""
    topic = PaymentDisputed.topic.name
    return PaymentDisputed(
        id=event_id(made_at(dispute.payment_id), topic, dispute.id, dispute.version),
        time=dispute.updated_at,
        clinic_id=dispute.clinic_id,
        version=dispute.version,
        dispute_id=dispute.id,
        payment_id=dispute.payment_id,
        client_id=dispute.client_id,
        status=dispute.status,
        reason=dispute.reason,
        amount=Money(minor=dispute.amount, currency=dispute.currency),
        taken=Money(minor=dispute.taken_amount, currency=dispute.currency),
        fees=tuple(Money(minor=fee, currency=currency) for currency, fee in sorted(dispute.fees.items())),
        due_by=dispute.due_by,
        has_evidence=dispute.has_evidence,
        opened_at=dispute.opened_at,
        taken_up=dispute.taken_up,
        invoices=tuple(
            PublishedShare(
                invoice_id=share.receivable_id,
                amount=Money(minor=share.taken + share.reopened, currency=dispute.currency),
            )
            for share in sorted(dispute.shares, key=lambda share: share.receivable_id, reverse=True)
            if share.taken + share.reopened
        ),
    )


def taken_by(dispute: Dispute, move: BalanceMove) -> int:
    """The sum that a balance transaction took, in the dispute's currency; below zero it gave back.

    An account that settles in another currency got its rate: the bank took, or gave back, the disputed amount.
    """
    if move.currency == dispute.currency:
        return -move.amount
    return dispute.amount if move.amount < 0 else -dispute.amount if move.amount > 0 else 0


def _book(change: DisputeChange, move: BalanceMove, now: datetime) -> DisputeChange:
    dispute = change.dispute
    dispute = replace(
        dispute,
        booked=(*dispute.booked, move),
        waiting=tuple(each for each in dispute.waiting if each.id != move.id),
    )
    change = replace(change, dispute=dispute)
    if move.fee:
        fee = _entry(change, "dispute_fee", move.id, ledger.fee(move.fee, move.currency), now)
        change = replace(change, entries=(*change.entries, fee))
    amount = taken_by(dispute, move)
    if amount > 0:
        return _withdraw(change, move.id, amount, now)
    return _reinstate(change, move.id, -amount, now) if amount < 0 else change


def _withdraw(
    change: DisputeChange, cause: str, amount: int, now: datetime, held_by: _Holder = "stripe"
) -> DisputeChange:
    """Take it of the payment's receivables, newest first, then of its surplus as far as that is still credit.

    The rest was refunded or used before: nobody's balance is overdrawn for it.
    """
    dispute, holding = change.dispute, change.holding
    parts = ledger.allocate(amount, ((share.receivable_id, share.kept) for share in holding.shares))
    parts = {receivable_id: part for receivable_id, part in parts.items() if part}
    above = amount - sum(parts.values())
    credit = max(0, min(above, holding.surplus, holding.credit))
    rest = above - credit - (amount if held_by == "disputed_rest" else 0)
    postings = _postings(
        dispute,
        ("disputed", sum(parts.values())),
        ("client_credit", credit),
        ("disputed_rest", rest),
        ("stripe", -amount if held_by == "stripe" else 0),
    )
    dispute = replace(
        _with_shares(dispute, {each: (part, 0) for each, part in parts.items()}),
        credit_amount=dispute.credit_amount + credit,
        rest_amount=dispute.rest_amount + rest,
    )
    after = replace(change, dispute=dispute, holding=_held(holding, parts, {}, credit))
    moved = [_movement(change, each, "dispute", -part, cause, now) for each, part in parts.items()]
    return _with(after, _entry(change, "dispute", cause, postings, now), moved)


def _take_back(change: DisputeChange, now: datetime) -> DisputeChange:
    """Take the rest of what is kept again since the withdrawal: a refund of the payment failed, and the bank has it.

    A surplus that was used is no such thing: credit that the client has by now is of other money.
    """
    dispute, holding = change.dispute, change.holding
    credit = max(0, min(holding.came_back, holding.surplus, holding.credit))
    amount = min(dispute.rest_amount, sum(share.kept for share in holding.shares) + credit)
    if amount <= 0:
        return change
    # Each time is of another version of the dispute: it changes.
    return _withdraw(
        change, f"{dispute.stripe_dispute_id}:rest:{dispute.version}", amount, now, "disputed_rest"
    )


def _reinstate(change: DisputeChange, cause: str, amount: int, now: datetime) -> DisputeChange:
    """Give it back to where it was taken from: receivables, credit, and last the rest.

    A receivable that was due again is paid by it. If it was paid otherwise meanwhile, that becomes credit.
    """
    dispute = change.dispute
    open_ = ledger.allocate(amount, ((share.receivable_id, share.taken) for share in dispute.shares))
    left = amount - sum(open_.values())
    again = ledger.allocate(left, ((share.receivable_id, share.reopened) for share in dispute.shares))
    left -= sum(again.values())
    credit = min(left, dispute.credit_amount)
    postings = _postings(
        dispute,
        ("stripe", amount),
        ("disputed", -sum(open_.values())),
        ("client_credit", -credit),
        ("disputed_rest", credit - left),
    ) + tuple(
        Posting("receivable", -part, dispute.currency, receivable_id=each)
        for each, part in again.items()
        if part
    )
    given = {each: (-part, -again[each]) for each, part in open_.items()}
    after = replace(
        change,
        dispute=replace(
            _with_shares(dispute, given),
            credit_amount=dispute.credit_amount - credit,
            rest_amount=dispute.rest_amount - (left - credit),
        ),
        holding=_held(
            change.holding,
            {each: taken for each, (taken, _) in given.items()},
            {each: reopened for each, (_, reopened) in given.items()},
            -credit,
        ),
    )
    moved = [
        *(_movement(change, each, "dispute", part, cause, now) for each, part in open_.items() if part),
        *(_movement(change, each, "reversal", part, cause, now) for each, part in again.items() if part),
    ]
    return _with(after, _entry(change, "dispute_returned", cause, postings, now), moved)


def _end(change: DisputeChange, reopens: bool, now: datetime) -> DisputeChange:
    """When the dispute is lost, decide once by the clinic's setting whether its receivables are due again."""
    dispute = change.dispute
    if dispute.status != "lost":
        return replace(change, dispute=replace(dispute, reopened=None))
    reopened = reopens if dispute.reopened is None else dispute.reopened
    change = replace(change, dispute=replace(dispute, reopened=reopened))
    parts = {share.receivable_id: share.taken for share in dispute.shares if share.taken}
    return _reopen(change, parts, now) if reopened and parts else change


def _reopen(change: DisputeChange, parts: Mapping[UUID, int], now: datetime) -> DisputeChange:
    dispute = change.dispute
    # A dispute may be lost again after the bank took it up once more.
    cause = f"{dispute.stripe_dispute_id}:lost:{len(dispute.booked)}:{dispute.version}"
    postings = tuple(
        Posting("receivable", part, dispute.currency, receivable_id=each) for each, part in parts.items()
    ) + _postings(dispute, ("disputed", -sum(parts.values())))
    after = replace(
        change,
        dispute=_with_shares(dispute, {each: (-part, part) for each, part in parts.items()}),
        holding=_held(change.holding, {each: -part for each, part in parts.items()}, parts, 0),
    )
    moved = [
        *(_movement(change, each, "dispute", part, cause, now) for each, part in parts.items()),
        *(_movement(change, each, "reversal", -part, cause, now) for each, part in parts.items()),
    ]
    return _with(after, _entry(change, "dispute_reopened", cause, postings, now), moved)


def _with(change: DisputeChange, entry: Entry, moved: Sequence[PaymentSettled]) -> DisputeChange:
    return replace(change, entries=(*change.entries, entry), movements=(*change.movements, *moved))


def _with_shares(dispute: Dispute, by: Mapping[UUID, tuple[int, int]]) -> Dispute:
    """The dispute whose shares have more, or less, (taken, reopened)."""
    shares = {share.receivable_id: share for share in dispute.shares}
    for each, (taken, reopened) in by.items():
        share = shares.get(each, Share(each))
        shares[each] = Share(each, share.taken + taken, share.reopened + reopened)
    return replace(dispute, shares=tuple(shares.values()))


def _held(holding: Holding, taken: Mapping[UUID, int], reopened: Mapping[UUID, int], credit: int) -> Holding:
    """The shares as they are kept after the bank took, or reopened, these parts; below zero it gave them back."""
    shares = tuple(
        replace(
            share,
            disputed=share.disputed + taken.get(share.receivable_id, 0),
            reversed=share.reversed + reopened.get(share.receivable_id, 0),
        )
        for share in holding.shares
    )
    receivables = {
        each: replace(
            receivable,
            returned_amount=receivable.returned_amount + taken.get(each, 0),
            settled_amount=receivable.settled_amount - reopened.get(each, 0),
        )
        for each, receivable in holding.receivables.items()
    }
    return replace(
        holding,
        shares=shares,
        receivables=receivables,
        surplus=holding.surplus - credit,
        credit=holding.credit - credit,
        came_back=holding.came_back - max(0, credit),
    )


_Side = tuple[Literal["stripe", "disputed", "disputed_rest", "client_credit"], int]


def _postings(dispute: Dispute, *sides: _Side) -> tuple[Posting, ...]:
    return tuple(
        Posting(
            account,
            amount,
            dispute.currency,
            client_id=dispute.client_id if account == "client_credit" else None,
        )
        for account, amount in sides
        if amount
    )


def _entry(
    change: DisputeChange,
    effect: ledger.Effect,
    cause: str,
    postings: Iterable[Posting],
    now: datetime,
) -> Entry:
    dispute = change.dispute
    return ledger.entry_of(
        dispute.clinic_id, dispute.payment_id, dispute.payment_id, effect, cause, postings, now
    )


def _movement(
    change: DisputeChange, receivable_id: UUID, kind: MovementKind, amount: int, cause: str, now: datetime
) -> PaymentSettled:
    dispute = change.dispute
    topic = PaymentSettled.topic.name
    movement_id = event_id(made_at(dispute.payment_id), topic, cause, receivable_id, kind)
    return PaymentSettled(
        id=movement_id,
        time=now,
        clinic_id=dispute.clinic_id,
        movement_id=movement_id,
        invoice_id=receivable_id,
        payment_id=dispute.payment_id,
        kind=kind,
        amount=Money(minor=amount, currency=dispute.currency),
        method=change.holding.payment.method,
        stripe_object_id=cause,
    )
