"""Refunds: money on its way back to where a charge took it from. One that succeeded may still fail, days later."""

from deploy.sandbox import currencies
from deploy.sandbox.errors import BadParameter, Json, invalid, missing
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.metadata import changed
from deploy.sandbox.resources import balance_transactions, disputes
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

_NEXT = {
    "pending": ("succeeded", "failed", "canceled"),
    "requires_action": ("succeeded", "failed", "canceled"),
    "succeeded": ("failed",),
}


def create(call: Call) -> Json:
    charge = _charge(call)
    amount = call.params.get("amount", _left(charge))
    _check_amount(call, charge, amount)
    refund = shape(call, charge, amount)
    refund["balance_transaction"] = balance_transactions.book_refund(call, refund)
    call.put(refund)
    _count_back(call, charge, amount)
    call.emit("refund.created", refund)
    call.emit("charge.refunded", charge)
    if charge["refunded"]:
        disputes.settle_inquiries(call, charge)
    return refund


def retrieve(call: Call) -> Json:
    return call.get("refund", call.id, "refund")


def list_all(call: Call) -> Json:
    intent = call.params.get("payment_intent")
    if named := call.params.get("charge"):
        # A charge that took money is its intent's only one.
        intent = call.get("charge", named, "charge")["payment_intent"]
    return page(call, "refund", "/v1/refunds", payment_intent=intent)


def update(call: Call) -> Json:
    refund = retrieve(call)
    refund["metadata"] = changed(refund["metadata"], call.params.get("metadata"))
    call.put(refund)
    _say(call, refund)
    return refund


def cancel(call: Call) -> Json:
    """Only while the payer still has to say where it should go."""
    refund = retrieve(call)
    if refund["status"] != "requires_action":
        raise invalid("Canceling this refund is unsupported.")
    return settle(call, refund, "canceled")


def may_become(status: str, outcome: str) -> bool:
    return outcome in _NEXT.get(status, ())


def fail_disputed(call: Call, charge: Json) -> None:
    """A chargeback takes the charge's money back: a refund that is still on its way fails."""
    found, _ = call.store.page(
        call.account, "refund", {"payment_intent": charge["payment_intent"], "limit": 100}
    )
    for refund in found:
        if refund["charge"] == charge["id"] and refund["status"] == "pending":
            settle(call, refund, "failed", "charge_for_pending_refund_disputed")


def settle(call: Call, refund: Json, outcome: str, reason: str = "expired_or_canceled_card") -> Json:
    """The bank's result. A refund that failed or was canceled comes back to the account's balance."""
    before, refund["status"] = refund["status"], outcome
    refund.pop("pending_reason", None)
    previous: Json = {"status": before}
    if outcome != "succeeded":
        previous |= {"failure_reason": None, "failure_balance_transaction": None}
        refund["failure_reason"] = "merchant_request" if outcome == "canceled" else reason
        back = balance_transactions.book_refund(call, refund, back=True)
        refund["failure_balance_transaction"] = back
        if call.unsure.failed_refund_counts_back:
            _count_back(call, call.get("charge", refund["charge"]), -refund["amount"])
    call.put(refund)
    if outcome == "failed":
        call.emit("refund.failed", refund)
    _say(call, refund, previous)
    return refund


def _say(call: Call, refund: Json, previous: Json | None = None) -> None:
    call.emit("refund.updated", refund, previous)
    call.emit("charge.refund.updated", refund, previous)


def _charge(call: Call) -> Json:
    """The charge to give back, named by itself or by its intent."""
    named, intent = call.params.get("charge"), call.params.get("payment_intent")
    if intent is not None and named is None:
        named = call.get("payment_intent", intent, "payment_intent")["latest_charge"]
        if named is None:
            raise invalid(f"This PaymentIntent ({intent}) does not have a successful charge to refund.")
    elif named is None or intent is not None:
        raise invalid(
            "One of the following params should be provided for this request: payment_intent or charge."
        )
    charge = call.store.get(call.account, named)
    if charge is None or charge["object"] != "charge":
        raise missing("charge", named, "id", 404)
    _check_charge(call, charge)
    return charge


def _check_charge(call: Call, charge: Json) -> None:
    if charge["status"] != "succeeded" or not charge["captured"]:
        intent = charge["payment_intent"]
        raise invalid(f"This PaymentIntent ({intent}) does not have a successful charge to refund.")
    if not all(each["is_charge_refundable"] for each in disputes.of_charge(call, charge)):
        raise invalid(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", "charge_disputed"
        )


def _left(charge: Json) -> int:
    return int(charge["amount"] - charge["amount_refunded"])


def _check_amount(call: Call, charge: Json, amount: int) -> None:
    if _left(charge) == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", "charge_already_refunded")
    if amount < 1:
        raise BadParameter(
            "This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer"
        )
    currencies.check_multiple(amount, charge["currency"], call.unsure)
    if amount > _left(charge):
        asked, left = (currencies.written(each, charge["currency"]) for each in (amount, _left(charge)))
        raise invalid(
            f"Refund amount ({asked}) is greater than unrefunded amount on charge ({left})", param="amount"
        )


def _count_back(call: Call, charge: Json, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = _left(charge) == 0
    call.put(charge)


def shape(call: Call, charge: Json, amount: int) -> Json:
    pending = call.hidden(charge["payment_method"]).get("refund") == "pending"
    card = charge["payment_method_details"]["type"] == "card"
    details: Json = {"card": {"type": "pending" if pending else "refund"}, "type": "card"}
    return {
        "id": new_id("re" if card else "pyr"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": call.now,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        **({"destination_details": details} if card else {}),
        "metadata": changed({}, call.params.get("metadata")),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        **({"pending_reason": "processing"} if pending else {}),
        "reason": call.params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending" if pending else "succeeded",
        "transfer_reversal": None,
    }


ROUTES = (
    Route("POST", "/v1/refunds", create),
    Route("GET", "/v1/refunds", list_all),
    Route("GET", "/v1/refunds/{refund}", retrieve),
    Route("POST", "/v1/refunds/{refund}", update),
    Route("POST", "/v1/refunds/{refund}/cancel", cancel),
)
