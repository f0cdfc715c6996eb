"""Charges: one for every attempt that reached the card network or the bank."""

from deploy.sandbox.cards import DECLINES
from deploy.sandbox.errors import Json
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.methods import charge_details
from deploy.sandbox.resources import balance_transactions
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

APPROVED = {
    "advice_code": None,
    "network_advice_code": None,
    "network_decline_code": None,
    "network_status": "approved_by_network",
    "reason": None,
    "risk_level": "normal",
    "risk_score": 12,
    "seller_message": "Payment complete.",
    "type": "authorized",
}


def retrieve(call: Call) -> Json:
    return call.get("charge", call.id, "id")


def list_all(call: Call) -> Json:
    filters = {name: call.params.get(name) for name in ("customer", "payment_intent")}
    return page(call, "charge", "/v1/charges", **filters)


def succeed(call: Call, intent: Json, method: Json, authenticated: bool) -> Json:
    charge = shape(call, intent, method, authenticated)
    balance_transactions.book(call, charge)
    call.put(charge)
    call.emit("charge.succeeded", charge)
    return charge


def fail(call: Call, intent: Json, method: Json, reason: str) -> Json:
    decline = DECLINES[reason]
    charge = shape(call, intent, method, False) | {
        "amount_captured": 0,
        "captured": False,
        "failure_code": decline.code,
        "failure_message": decline.message,
        "outcome": APPROVED
        | {
            "network_status": "declined_by_network",
            "reason": decline.reason,
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        },
        "paid": False,
        "status": "failed",
    }
    call.put(charge)
    call.emit("charge.failed", charge)
    return charge


def begin(call: Call, intent: Json, method: Json) -> Json:
    """A bank debit under way."""
    charge = shape(call, intent, method, False) | {"paid": False, "status": "pending"}
    call.put(charge)
    call.emit("charge.pending", charge)
    return charge


def dispute(call: Call, charge: Json, status: str, reason: str) -> Json:
    """`disputed` stays true, however the dispute ends."""
    charge["disputed"] = True
    call.put(charge)
    made = {
        "id": new_id("du"),
        "object": "dispute",
        "amount": charge["amount"],
        "balance_transactions": [],
        "charge": charge["id"],
        "created": call.now,
        "currency": charge["currency"],
        "is_charge_refundable": status.startswith("warning_"),
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": status,
    }
    call.put(made)
    call.emit("charge.dispute.created", made)
    return made


def change(call: Call, charge: Json, status: str, **fields: object) -> None:
    charge |= {"status": status, **fields}
    call.put(charge)
    call.emit(f"charge.{status}", charge)


def shape(call: Call, intent: Json, method: Json, authenticated: bool) -> Json:
    return {
        "id": new_id("ch" if method["type"] == "card" else "py"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"],
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": intent["application_fee_amount"],
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "CLINICPAY",
        "captured": True,
        "created": call.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": APPROVED,
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": charge_details(method, authenticated),
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }


ROUTES = (
    Route("GET", "/v1/charges", list_all),
    Route("GET", "/v1/charges/{charge}", retrieve),
)
