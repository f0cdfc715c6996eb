"""Stripe's snapshots as a `StripeEvent`: one reading for webhooks and for objects that the sweeper retrieves.

An allow-list: names, e-mail addresses and card holders of the raw objects go no further than here.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from contracts.events.envelope import event_id
from contracts.events.stripe import BalanceMove, StripeDispute, StripeEvent
from services.chassis.locale.money import from_stripe
from services.payment.stripe import fields
from services.payment.stripe.seal import Seal

_TYPE_OF_STATUS = {
    "succeeded": "payment_intent.succeeded",
    "canceled": "payment_intent.canceled",
    "processing": "payment_intent.processing",
    "requires_action": "payment_intent.requires_action",
}
SWEEP = "sweep"


class Unreadable(ValueError):
    """Not a snapshot event of Stripe's."""


def read_event(body: Mapping[str, Any], seal: Seal | None = None) -> StripeEvent:
    """The observation in a snapshot event, with its origin if a seal is given. Raises `Unreadable`.

    Every other field may be absent.
    """
    found = fields.object_of(fields.object_of(body.get("data")).get("object"))
    stripe_event_id, event_type = fields.text_of(body.get("id")), fields.text_of(body.get("type"))
    object_id, object_type = fields.text_of(found.get("id")), fields.text_of(found.get("object"))
    created = _time_of(body.get("created"))
    if not (stripe_event_id and event_type and object_id and object_type and created):
        raise Unreadable("id, type, created or data.object is missing")
    if not isinstance(body.get("livemode"), bool):
        raise Unreadable("livemode is missing")
    account = fields.text_of(body.get("account"))
    return StripeEvent(
        id=event_id(created, account or "", stripe_event_id),
        time=created,
        traceparent=fields.traceparent_of(fields.object_of(found.get("metadata")).get("traceparent")),
        stripe_event_id=stripe_event_id,
        event_type=event_type,
        created=created,
        account=account,
        livemode=body["livemode"],
        api_version=fields.text_of(body.get("api_version")),
        object_id=object_id,
        object_type=object_type,
        origin=seal.origin(fields.object_of(found.get("metadata"))) if seal else None,
        **_facts_of({**found, **_owner_before(body, found)}, object_type),
    )


def _owner_before(body: Mapping[str, Any], found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The customer of a method that was detached: the object has none any more, the event tells whose it was."""
    before = fields.object_of(fields.object_of(body.get("data")).get("previous_attributes"))
    detached = body.get("type") == "payment_method.detached" and found.get("customer") is None
    return {"customer": before.get("customer")} if detached else {}


def looked_up(intent: Mapping[str, Any], account: str, now: datetime) -> StripeEvent | None:
    """The observation in a PaymentIntent that was retrieved at `now`; None while it waits for the client.

    A success is dated by its capture.
    """
    failed = intent.get("status") == "requires_payment_method" and intent.get("last_payment_error")
    event_type = "payment_intent.payment_failed" if failed else _TYPE_OF_STATUS.get(str(intent.get("status")))
    if event_type is None:
        return None
    # Stripe's clock has whole seconds: a webhook of this very second must not look older than this.
    second = int(now.timestamp())
    if event_type == "payment_intent.succeeded":
        second = _captured(intent) or second
    return read_event(
        {
            "id": id_of_answer(intent, second),
            "type": event_type,
            "created": second,
            "livemode": intent.get("livemode"),
            "account": account or None,
            "data": {"object": intent},
        }
    )


def observed_by(seen: StripeEvent) -> str:
    """The id of Stripe's event, or `SWEEP` for what Stripe answered when it was asked."""
    return SWEEP if seen.stripe_event_id.startswith("sweeper-") else seen.stripe_event_id


def id_of_answer(body: Mapping[str, Any], second: int) -> str:
    """A name for what Stripe answered about an object, in the place of an event's id."""
    return f"sweeper-{body.get('id')}-{body.get('status')}-{second}"


def _captured(intent: Mapping[str, Any]) -> int | None:
    """When Stripe captured an intent's charge. A debit's charge is older: its money came with the transaction."""
    charge = fields.object_of(intent.get("latest_charge"))
    transaction = fields.object_of(charge.get("balance_transaction"))
    return fields.int_of(transaction.get("created")) or fields.int_of(charge.get("created"))


def _facts_of(found: Mapping[str, Any], object_type: str) -> dict[str, Any]:
    metadata = fields.object_of(found.get("metadata"))
    method = _method_of(found, object_type)
    exp_month, exp_year = fields.expiry_of(method)
    error = _error_of(found)
    currency = fields.currency_of(found.get("currency"))
    abilities = fields.abilities_of(found) if object_type == "account" else (None, None, None)
    return {
        "payment_intent": fields.text_of(
            found.get("id" if object_type == "payment_intent" else "payment_intent")
        ),
        "customer": fields.text_of(found.get("customer")),
        "payment_method": fields.text_of(
            found.get("id" if object_type == "payment_method" else "payment_method")
        ),
        "status": fields.text_of(found.get("status")),
        "amount": _amount_of(found, "amount", currency),
        "amount_received": _amount_of(found, "amount_received", currency),
        "currency": currency,
        "clinic": fields.uuid_of(metadata.get("clinic_id")),
        "payment_id": fields.uuid_of(metadata.get("payment_id")),
        "client_id": fields.uuid_of(metadata.get("client_id")),
        "refund_id": fields.uuid_of(metadata.get("refund_id")),
        "attempt": _attempt_of(found) if object_type == "payment_intent" else None,
        "failure_code": fields.text_of(error.get("code")) or fields.text_of(found.get("failure_reason")),
        "decline_code": fields.text_of(error.get("decline_code")),
        "charge": fields.text_of(error.get("charge")),
        "method": fields.method_of(method),
        "method_exp_month": exp_month,
        "method_exp_year": exp_year,
        "method_fingerprint": fields.fingerprint_of(method),
        "charges_enabled": abilities[0],
        "disabled_reason": abilities[1],
        "capabilities": abilities[2],
        "dispute": _dispute_of(found) if object_type == "dispute" else None,
    }


def _dispute_of(found: Mapping[str, Any]) -> StripeDispute | None:
    opened = _time_of(found.get("created"))
    if opened is None:
        return None
    evidence = fields.object_of(found.get("evidence_details"))
    moves = found.get("balance_transactions")
    return StripeDispute(
        charge=fields.text_of(found.get("charge")),
        reason=fields.reason_of(found.get("reason")),
        opened=opened,
        due_by=_time_of(evidence.get("due_by")),
        has_evidence=evidence.get("has_evidence") is True,
        submissions=max(0, fields.int_of(evidence.get("submission_count")) or 0),
        moves=tuple(moves_of(moves if isinstance(moves, list) else [])),
    )


def moves_of(moves: Iterable[Any]) -> Iterable[BalanceMove]:
    """The readable ones. A part of a minor unit, which no amount of ours can be, is rounded away from nothing."""
    for move in map(fields.object_of, moves):
        id_, currency = fields.text_of(move.get("id")), fields.currency_of(move.get("currency"))
        amount, created = fields.int_of(move.get("amount")), _time_of(move.get("created"))
        if id_ and currency and amount is not None and created:
            fee = fields.int_of(move.get("fee")) or 0
            yield BalanceMove(
                id=id_,
                amount=_rounded(amount, currency),
                fee=_rounded(fee, currency),
                currency=currency,
                created=created,
            )


def _rounded(amount: int, currency: str) -> int:
    minor = from_stripe(amount, currency)
    return minor if minor is not None else _rounded(amount + (1 if amount > 0 else -1), currency)


def _method_of(found: Mapping[str, Any], object_type: str) -> Mapping[str, Any]:
    """Where an object keeps how it was paid. An intent's newest charge is there only when asked for."""
    if object_type == "payment_method":
        return found
    charge = fields.object_of(found.get("latest_charge")) if object_type == "payment_intent" else found
    details = fields.object_of(charge.get("payment_method_details"))
    return details or fields.object_of(_error_of(found).get("payment_method"))


def _attempt_of(intent: Mapping[str, Any]) -> str:
    """The charge and the method of an intent's newest attempt. One that fails before its charge has a method only."""
    error, charge = _error_of(intent), intent.get("latest_charge")
    failed_with = fields.object_of(error.get("payment_method")).get("id")
    charged = error.get("charge") or fields.object_of(charge).get("id") or charge
    method = failed_with or intent.get("payment_method")
    return "/".join(fields.text_of(part) or "" for part in (charged, method))


def _error_of(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return fields.object_of(found.get("last_payment_error"))


def _amount_of(found: Mapping[str, Any], name: str, currency: str | None) -> int | None:
    amount = fields.int_of(found.get(name))
    return None if amount is None or currency is None else from_stripe(amount, currency)


def _time_of(value: Any) -> datetime | None:
    seconds = fields.int_of(value)
    if seconds is None or not 0 < seconds < 2**35:
        return None
    return datetime.fromtimestamp(seconds, UTC)
