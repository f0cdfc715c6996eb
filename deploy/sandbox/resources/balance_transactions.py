"""Balance transactions: what a charge brings the account after Stripe's fee, and what a refund takes from it."""

from deploy.sandbox.errors import Json
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

FEE_PER_MILLE = 15
FIXED_FEE = 25
DAYS_UNTIL_AVAILABLE = 2
_OTHER_REFUNDS = ("payment_refund", "payment_failure_refund")


def retrieve(call: Call) -> Json:
    return call.get("balance_transaction", call.id, "id")


def list_all(call: Call) -> Json:
    return page(call, "balance_transaction", "/v1/balance_transactions", type=call.params.get("type"))


def book(call: Call, charge: Json) -> None:
    """Book the charge's amount less fee, and name the booking on the charge."""
    transaction = shape(call, charge)
    call.put(transaction)
    charge["balance_transaction"] = transaction["id"]


def book_refund(call: Call, refund: Json, *, back: bool = False) -> str:
    """Book a refund, or that it came back since it failed; the booking's id. Stripe's fees stay with Stripe."""
    amount = refund["amount"] if back else -refund["amount"]
    types = ("refund", "refund_failure") if refund["id"].startswith("re_") else _OTHER_REFUNDS
    transaction = shape(call, refund) | {"amount": amount, "fee": 0, "fee_details": [], "net": amount}
    transaction |= {"type": types[back], "reporting_category": "refund_failure" if back else "refund"}
    return str(call.put(transaction)["id"])


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
