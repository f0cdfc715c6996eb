"""Payouts: what an account sends to its bank by hand."""

from deploy.sandbox.errors import BadParameter, Json, invalid
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.metadata import changed
from deploy.sandbox.resources import balance_transactions
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

DAYS_UNDER_WAY = 2
_NEXT = {"pending": ("in_transit", "paid", "failed"), "in_transit": ("paid", "failed"), "paid": ("failed",)}


def create(call: Call) -> Json:
    amount, currency = call.params["amount"], call.params["currency"].lower()
    if amount < 1:
        raise BadParameter(
            "This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer"
        )
    if amount > balance_transactions.available(call, currency):
        message = "You have insufficient funds in your Stripe account for this transfer."
        raise invalid(message, "balance_insufficient")
    payout = shape(call, amount, currency)
    payout["balance_transaction"] = balance_transactions.book_payout(call, payout)
    call.put(payout)
    call.emit("payout.created", payout)
    return payout


def retrieve(call: Call) -> Json:
    return call.get("payout", call.id, "payout")


def list_all(call: Call) -> Json:
    status = call.params.get("status")
    return page(call, "payout", "/v1/payouts", lambda each: status in (None, each["status"]))


def update(call: Call) -> Json:
    payout = retrieve(call)
    payout["metadata"] = changed(payout["metadata"], call.params.get("metadata"))
    call.put(payout)
    call.emit("payout.updated", payout)
    return payout


def cancel(call: Call) -> Json:
    payout = retrieve(call)
    if payout["status"] != "pending":
        raise invalid("Payouts can only be canceled while they are pending.")
    payout["status"] = "canceled"
    payout["failure_balance_transaction"] = balance_transactions.book_payout(
        call, payout, back="payout_cancel"
    )
    call.put(payout)
    call.emit("payout.canceled", payout)
    return payout


def may_become(status: str, outcome: str) -> bool:
    return outcome in _NEXT.get(status, ())


def settle(call: Call, payout: Json, outcome: str) -> Json:
    """The bank's answer. One that was paid may still fail within days."""
    payout["status"] = outcome
    if outcome == "failed":
        payout |= {"failure_code": "account_closed", "failure_message": "The bank account has been closed."}
        back = balance_transactions.book_payout(call, payout, back="payout_failure")
        payout["failure_balance_transaction"] = back
    call.put(payout)
    call.emit("payout.updated" if outcome == "in_transit" else f"payout.{outcome}", payout)
    return payout


def shape(call: Call, amount: int, currency: str) -> Json:
    nothing = (
        "application_fee application_fee_amount balance_transaction destination failure_balance_transaction"
        " failure_code failure_message original_payout payout_method reversed_by trace_id"
    )
    given = {name: call.params.get(name) for name in ("description", "statement_descriptor")}
    return {
        **dict.fromkeys(nothing.split()),
        **given,
        "id": new_id("po"),
        "object": "payout",
        "amount": amount,
        "arrival_date": call.now + DAYS_UNDER_WAY * 86_400,
        "automatic": False,
        "created": call.now,
        "currency": currency,
        "livemode": False,
        "metadata": changed({}, call.params.get("metadata")),
        "method": call.params.get("method", "standard"),
        "reconciliation_status": "not_applicable",
        "source_type": call.params.get("source_type", "card"),
        "status": "pending",
        "type": "bank_account",
    }


ROUTES = (
    Route("GET", "/v1/payouts", list_all),
    Route("POST", "/v1/payouts", create),
    Route("GET", "/v1/payouts/{payout}", retrieve),
    Route("POST", "/v1/payouts/{payout}", update),
    Route("POST", "/v1/payouts/{payout}/cancel", cancel),
)
