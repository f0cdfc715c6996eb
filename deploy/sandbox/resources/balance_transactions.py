"""Balance transactions: what a charge brings the account after Stripe's fee, and what a refund takes from it."""

from deploy.sandbox.errors import Json
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

FEE_PER_MILLE = 15
FIXED_FEE = 25
DAYS_UNTIL_AVAILABLE = 2
DISPUTE_FEE = 1500
"""In the charge's currency here; Stripe takes it in the currency that the account settles in."""
_OTHER_REFUNDS = ("payment_refund", "payment_failure_refund")


def retrieve(call: Call) -> Json:
    return call.get("balance_transaction", call.id, "id")


def list_all(call: Call) -> Json:
    return page(call, "balance_transaction", "/v1/balance_transactions", type=call.params.get("type"))


def book(call: Call, charge: Json) -> None:
    """Book the charge's amount less fee, and name the booking on the charge."""
    transaction = shape(call, charge | {"amount": charge["amount_captured"]})
    if call.hidden(charge["payment_method"]).get("available"):
        transaction |= {"available_on": call.now, "status": "available"}
    call.put(transaction)
    charge["balance_transaction"] = transaction["id"]


def book_refund(call: Call, refund: Json, *, back: bool = False) -> str:
    """Book a refund, or that it came back since it failed; the booking's id. Stripe's fees stay with Stripe."""
    amount = refund["amount"] if back else -refund["amount"]
    types = ("refund", "refund_failure") if refund["id"].startswith("re_") else _OTHER_REFUNDS
    transaction = shape(call, refund) | {"amount": amount, "fee": 0, "fee_details": [], "net": amount}
    transaction |= {"type": types[back], "reporting_category": "refund_failure" if back else "refund"}
    return str(call.put(transaction)["id"])


def book_dispute(call: Call, dispute: Json, amount: int, fee: int, category: str, about: str) -> Json:
    """Book what a dispute takes, or that it came back. Stripe has no type of its own for it."""
    detail = {"amount": fee, "application": None, "currency": dispute["currency"], "type": "stripe_fee"}
    return call.put(
        shape(call, dispute)
        | {"amount": amount, "fee": fee, "net": amount - fee, "description": about, "type": "adjustment"}
        | {"fee_details": [{**detail, "description": "Dispute fee"}] if fee else []}
        | {"reporting_category": category}
    )


def book_payout(call: Call, payout: Json, *, back: str | None = None) -> str:
    """Book a payout, or that it came back: `payout_failure` or `payout_cancel`."""
    amount = payout["amount"] if back else -payout["amount"]
    transaction = shape(call, payout) | {"amount": amount, "fee": 0, "fee_details": [], "net": amount}
    transaction |= {"status": "available", "available_on": call.now, "type": back or "payout"}
    transaction["reporting_category"] = "payout_reversal" if back else "payout"
    return str(call.put(transaction)["id"])


def available(call: Call, currency: str) -> int:
    """The balance that can be paid out now."""
    found, _ = call.store.page(call.account, "balance_transaction", {"limit": 10_000})
    return sum(
        each["net"]
        for each in found
        if each["currency"] == currency
        and (each["status"] == "available" or each["available_on"] <= call.now)
    )


def shape(call: Call, charge: Json) -> Json:
    fee = (charge["amount"] * FEE_PER_MILLE + 500) // 1000 + FIXED_FEE
    detail = {"amount": fee, "application": None, "currency": charge["currency"], "type": "stripe_fee"}
    return {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": charge["amount"],
        "available_on": call.now + DAYS_UNTIL_AVAILABLE * 86_400,
        "balance_type": "payments",
        "created": call.now,
        "currency": charge["currency"],
        "description": charge.get("description"),
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [{**detail, "description": "Stripe processing fees"}],
        "net": charge["amount"] - fee,
        "reporting_category": "charge",
        "source": charge["id"],
        "status": "pending",
        "type": "charge" if charge["id"].startswith("ch_") else "payment",
    }


ROUTES = (
    Route("GET", "/v1/balance_transactions", list_all),
    Route("GET", "/v1/balance_transactions/{id}", retrieve),
)
