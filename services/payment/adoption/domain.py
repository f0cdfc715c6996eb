"""A payment or refund whose row was lost, read again from the object that we made at Stripe. Pure decisions.

Ids, shares and client come from the metadata, which this installation's seal covers. So what is booked has the ids that
it had. Amounts are integer minor units.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from contracts.money import Money
from contracts.vocabulary import DEBIT_TYPES, PaymentKind
from services.chassis.ids import Key, made_at
from services.chassis.locale.money import from_stripe
from services.payment.ledger.domain import Entry
from services.payment.payments.domain import Allocation, Payment
from services.payment.receivables.domain import Receivable
from services.payment.refunds import domain as refunds
from services.payment.refunds.domain import Refund, Share
from services.payment.refunds.planning import Refundable
from services.payment.stripe import fields
from services.payment.stripe.limits import MADE_AFTER, MADE_BEFORE
from services.payment.stripe.mismatches import StripeMismatch
from services.payment.stripe.seal import DEPOSIT, SHARE, Seal

V = TypeVar("V")


class CannotAdopt(StripeMismatch):
    """The object at Stripe does not prove whose it is. An operator decides."""

    code = "stripe_cannot_adopt"


def payment_of(intent: Mapping[str, Any], account: str, seal: Seal | None) -> Payment:
    """The payment that an intent of ours was made for, as its row was when it was begun. Raises `CannotAdopt`."""
    metadata = _sealed(intent, seal)
    payment_id = _known(fields.uuid_of(metadata.get("payment_id")), "payment")
    shares = dict(_shares(metadata))
    deposit = _deposit(metadata)
    amounts = [deposit] if deposit and not shares else list(shares.values())
    currencies = {each.currency for each in amounts}
    if len(currencies) != 1:
        raise CannotAdopt("The metadata names no invoices, or several currencies.")
    begun = made_at(payment_id)
    made = datetime.fromtimestamp(fields.int_of(intent.get("created")) or 0, UTC)
    if not begun - MADE_BEFORE <= made <= begun + MADE_AFTER:
        raise CannotAdopt("The intent was not made when its payment was begun: its metadata may be a copy.")
    return Payment(
        clinic_id=_known(fields.uuid_of(metadata.get("clinic_id")), "clinic"),
        id=payment_id,
        client_id=_known(fields.uuid_of(metadata.get("client_id")), "client"),
        account=account,
        livemode=intent.get("livemode") is True,
        status="created",
        amount=sum(each.minor for each in amounts),
        currency=currencies.pop(),
        kind=_kind(intent),
        save=intent.get("setup_future_usage") is not None,
        idempotency_key=f"payment-{payment_id}",
        created_at=begun,
        updated_at=begun,
        allocations=tuple(Allocation(receivable_id, share.minor) for receivable_id, share in shares.items()),
        intent_id=fields.text_of(intent.get("id")),
        customer_id=fields.text_of(intent.get("customer")),
        traceparent=fields.traceparent_of(metadata.get("traceparent")),
        installation=fields.text_of(metadata.get("installation")),
        signature=fields.text_of(metadata.get("signature")),
        deposit=not shares,
    )


def refund_of(body: Mapping[str, Any], payment: Payment, seal: Seal | None) -> Refund:
    """The refund that an object of ours was made for, of its payment. Raises `CannotAdopt`."""
    metadata = _sealed(body, seal)
    refund_id = _known(fields.uuid_of(metadata.get("refund_id")), "refund")
    currency = fields.currency_of(body.get("currency")) or ""
    amount = from_stripe(fields.int_of(body.get("amount")) or 0, currency)
    if amount is None or metadata.get("amount") != f"{amount} {currency}" or currency != payment.currency:
        raise CannotAdopt("The refund has another amount than its metadata.")
    if fields.text_of(body.get("payment_intent")) != payment.intent_id or payment.intent_id is None:
        raise CannotAdopt("The refund is of another PaymentIntent than the payment that it names.")
    made = made_at(refund_id)
    return Refund(
        clinic_id=payment.clinic_id,
        id=refund_id,
        client_id=payment.client_id,
        payment_id=payment.id,
        account=payment.account,
        livemode=payment.livemode,
        intent_id=payment.intent_id,
        status="created",
        amount=amount,
        currency=currency,
        created_at=made,
        updated_at=made,
        traceparent=fields.traceparent_of(metadata.get("traceparent")),
        installation=fields.text_of(metadata.get("installation")),
        signature=fields.text_of(metadata.get("signature")),
        shares=tuple(Share(receivable_id, share.minor) for receivable_id, share in _shares(metadata)),
    )


def set_aside(refund: Refund, left: Refundable | None, now: datetime) -> Entry:
    """The entry with which the refund begins. Raises `CannotAdopt` if less is left of its payment."""
    credit = refund.amount - sum(refund.parts.values())
    if left is None or not 0 <= credit <= left.surplus:
        raise CannotAdopt("The payment left less credit than was refunded.")
    if any(part > left.kept.get(receivable_id, 0) for receivable_id, part in refund.parts.items()):
        raise CannotAdopt("Less of the payment is left on an invoice than was refunded.")
    return refunds.set_aside(refund, now)


def check_receivables(payment: Payment, found: Mapping[Key, Receivable]) -> None:
    """Refuse unless every invoice of the payment is here, its client's and in its currency. Raises `CannotAdopt`."""
    for share in payment.allocations:
        receivable = found.get((payment.clinic_id, share.receivable_id))
        if receivable is None:
            raise CannotAdopt("An invoice of the payment is not here.")
        if (receivable.client_id, receivable.currency) != (payment.client_id, payment.currency):
            raise CannotAdopt("An invoice of the payment is another client's, or in another currency.")


def check_account(payment: Payment, account_then: str) -> None:
    """Refuse a charge on another account than the clinic's when the payment was begun. Raises `CannotAdopt`."""
    if payment.account != account_then:
        raise CannotAdopt("The clinic did not have this Stripe account when the payment was begun.")


def _sealed(body: Mapping[str, Any], seal: Seal | None) -> Mapping[str, Any]:
    metadata = fields.object_of(body.get("metadata"))
    if seal is None or seal.origin(metadata) != "ours":
        raise CannotAdopt("The metadata is not sealed by this installation.")
    return metadata


def _known(value: V | None, name: str) -> V:
    if value is None:
        raise CannotAdopt(f"The metadata names no {name}.")
    return value


def _shares(metadata: Mapping[str, Any]) -> Iterator[tuple[UUID, Money]]:
    """Each invoice's share, as `stripe_params.metadata_of` wrote it."""
    for name, value in metadata.items():
        if name.startswith(SHARE):
            receivable_id, amount, currency = str(value).split()
            yield UUID(receivable_id), Money(minor=int(amount), currency=currency)


def _deposit(metadata: Mapping[str, Any]) -> Money | None:
    amount, _, currency = str(metadata.get(DEPOSIT, "")).partition(" ")
    return Money(minor=int(amount), currency=currency) if amount else None


def _kind(intent: Mapping[str, Any]) -> PaymentKind:
    automatic = fields.object_of(intent.get("automatic_payment_methods")).get("enabled")
    if automatic:
        return "redirect"
    types = intent.get("payment_method_types")
    return "debit" if isinstance(types, list) and set(types) & set(DEBIT_TYPES.values()) else "card"
