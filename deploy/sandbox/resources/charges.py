"""Charges: one for every attempt that reached the card network or the bank."""

from deploy.sandbox.declines import DECLINES
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
BLOCKED = {"network_status": "not_sent_to_network", "reason": "highest_risk_level", "risk_level": "highest"}
SCORES = {"normal": 12, "elevated": 68, "highest": 92}


def retrieve(call: Call) -> Json:
    return call.get("charge", call.id, "id")


def list_all(call: Call) -> Json:
    filters = {name: call.params.get(name) for name in ("customer", "payment_intent")}
    return page(call, "charge", "/v1/charges", **filters)


def succeed(call: Call, intent: Json, method: Json, authenticated: bool) -> Json:
    """An authorisation that is captured by hand counts as a success too; its money is booked when it is captured."""
    charge = shape(call, intent, method, authenticated)
    if intent["capture_method"] == "manual":
        charge |= {"captured": False, "amount_captured": 0}
        call.put(charge)
    else:
        _book(call, charge)
    call.emit("charge.succeeded", charge)
    return charge


def capture(call: Call, charge: Json, amount: int) -> Json:
    """Take the authorised amount or less; the rest is let go, and shows as refunded."""
    charge |= {"captured": True, "amount_captured": amount, "amount_refunded": charge["amount"] - amount}
    _book(call, charge)
    call.emit("charge.captured", charge)
    return charge


def let_go(call: Call, charge: Json) -> None:
    """End an authorisation that was not captured."""
    charge |= {"amount_refunded": charge["amount"], "refunded": True}
    call.put(charge)
    call.emit("charge.refunded", charge)


def _book(call: Call, charge: Json) -> None:
    if call.unsure.booked_later:
        call.put(charge)
        call.sandbox.later(0, call.account, lambda then: _book_later(then, charge["id"]))
        return
    balance_transactions.book(call, charge)
    call.put(charge)


def _book_later(call: Call, id: str) -> None:
    charge = call.get("charge", id)
    balance_transactions.book(call, charge)
    call.put(charge)
    call.emit("charge.updated", charge, {"balance_transaction": None})


def fail(call: Call, intent: Json, method: Json, reason: str) -> Json:
    decline = DECLINES[reason]
    charge = shape(call, intent, method, False) | {
        "amount_captured": 0,
        "captured": False,
        "failure_code": decline.code,
        "failure_message": decline.message,
        "outcome": APPROVED
        | {
            "advice_code": decline.advice,
            "network_status": "declined_by_network",
            "reason": decline.reason,
            "seller_message": "The bank did not return any further details with this decline.",
            "type": decline.outcome,
        }
        | ({**BLOCKED, "risk_score": SCORES["highest"]} if decline.outcome == "blocked" else {}),
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


def change(call: Call, charge: Json, status: str, **fields: object) -> None:
    charge |= {"status": status, **fields}
    call.put(charge)
    call.emit(f"charge.{status}", charge)


def shape(call: Call, intent: Json, method: Json, authenticated: bool) -> Json:
    risk = call.hidden(method["id"]).get("risk", "normal")
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
        "outcome": APPROVED | {"risk_level": risk, "risk_score": SCORES[risk]},
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
        "shipping": intent["shipping"],
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
