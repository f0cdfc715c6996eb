"""Payment intents: from what is to be paid to what was."""

from deploy.sandbox import currencies, intents, payments
from deploy.sandbox.errors import Json, invalid
from deploy.sandbox.ids import client_secret, new_id
from deploy.sandbox.listing import page
from deploy.sandbox.metadata import changed
from deploy.sandbox.resources import accounts, charges
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

PLAIN = (
    "application_fee_amount",
    "description",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "statement_descriptor_suffix",
)
HOW = ("capture_method", "confirmation_method")
EARLY_SECONDS = 60
CANCELABLE = (*intents.OPEN, "requires_capture")


def create(call: Call) -> Json:
    amount, currency = call.params["amount"], call.params["currency"].lower()
    accounts.check_charges(call)
    intent = shape(call, amount, currency) | intents.chosen_types(call, currency)
    currencies.check(amount, currency, intent["payment_method_types"], call.unsure)
    intent |= {name: call.params[name] for name in (*PLAIN, *HOW) if name in call.params}
    intent |= {
        "customer": intents.chosen_customer(call),
        "metadata": changed({}, call.params.get("metadata")),
    }
    method = intents.take_method(call, intent)
    call.put(intent)
    call.emit("payment_intent.created", intent)
    return _confirm(call, intent, method) if call.params.get("confirm") else intent


def retrieve(call: Call) -> Json:
    return intents.in_address(call, "payment_intent")


def list_all(call: Call) -> Json:
    return page(call, "payment_intent", "/v1/payment_intents", customer=call.params.get("customer"))


def update(call: Call) -> Json:
    intent = retrieve(call)
    if intent["status"] not in intents.OPEN and set(call.params) - {"metadata", "description"}:
        raise intents.unexpected_state(intent, "update", intents.OPEN)
    currency = str(call.params.get("currency", intent["currency"])).lower()
    intent |= {"amount": call.params.get("amount", intent["amount"]), "currency": currency}
    intent |= {name: call.params[name] or None for name in PLAIN if name in call.params}
    intent["metadata"] = changed(intent["metadata"], call.params.get("metadata"))
    if "customer" in call.params:
        intent["customer"] = intents.chosen_customer(call)
    if "payment_method_types" in call.params:
        intent |= intents.chosen_types(call, currency)
    currencies.check(intent["amount"], currency, intent["payment_method_types"], call.unsure)
    if "payment_method" in call.params or "payment_method_data" in call.params:
        intents.take_method(call, intent)
    return call.put(intent)


def confirm(call: Call) -> Json:
    intent = retrieve(call)
    if intent["status"] not in intents.OPEN:
        raise _cannot_confirm(intent)
    if "setup_future_usage" in call.params:
        intent["setup_future_usage"] = call.params["setup_future_usage"] or None
    return _confirm(call, intent, intents.chosen_method(call, intent))


def cancel(call: Call) -> Json:
    intent = retrieve(call)
    if intent["status"] not in CANCELABLE and not _is_early(call, intent):
        raise intents.unexpected_state(intent, "cancel", CANCELABLE)
    if intent["status"] == "requires_capture":
        charges.let_go(call, call.get("charge", intent["latest_charge"]))
    if intent["status"] == "processing":
        charges.change(call, call.get("charge", intent["latest_charge"]), "failed", paid=False)
    intent |= {
        "status": "canceled",
        "amount_capturable": 0,
        "canceled_at": call.now,
        "cancellation_reason": call.params.get("cancellation_reason"),
        "next_action": None,
    }
    call.put(intent)
    call.emit("payment_intent.canceled", intent)
    return intent


def capture(call: Call) -> Json:
    intent = retrieve(call)
    if intent["status"] != "requires_capture":
        raise intents.unexpected_state(intent, "capture", ("requires_capture",))
    amount = call.params.get("amount_to_capture") or intent["amount"]
    if not 0 < amount <= intent["amount"]:
        message = "The provided amount_to_capture must be between 1 and the amount that can be captured."
        raise invalid(message, "amount_too_large" if amount > 0 else None, param="amount_to_capture")
    currencies.check_multiple(amount, intent["currency"], call.unsure)
    return payments.capture(call, intent, amount)


def _is_early(call: Call, intent: Json) -> bool:
    """A US bank debit can be canceled for a short while after it was confirmed."""
    if intent["status"] != "processing" or intent["payment_method"] is None:
        return False
    method = call.get("payment_method", intent["payment_method"])
    early = call.now - call.get("charge", intent["latest_charge"])["created"] < EARLY_SECONDS
    return early and bool(method["type"] == "us_bank_account")


def _confirm(call: Call, intent: Json, method: Json | None) -> Json:
    if method is None:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken.",
            "payment_intent_unexpected_state",
            payment_intent=intent,
        )
    intents.check_return_url(call, intent)
    brand = method.get("card", {}).get("brand")
    currencies.check_method(intent["amount"], intent["currency"], method["type"], brand, call.unsure)
    return payments.attempt(call, intent, method)


def _cannot_confirm(intent: Json) -> Exception:
    if intent["status"] == "succeeded":
        message = (
            "You cannot confirm this PaymentIntent because it has already succeeded after being confirmed."
        )
        return invalid(message, "payment_intent_unexpected_state", payment_intent=intent)
    return intents.unexpected_state(intent, "confirm", intents.OPEN)


def shape(call: Call, amount: int, currency: str) -> Json:
    intent_id = new_id("pi")
    nothing = (
        "application application_fee_amount canceled_at cancellation_reason customer_account description"
        " excluded_payment_method_types last_payment_error latest_charge next_action on_behalf_of payment_method"
        " payment_method_configuration_details processing receipt_email review setup_future_usage shipping"
        " statement_descriptor statement_descriptor_suffix transfer_data transfer_group"
    )
    return dict.fromkeys(nothing.split()) | {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": client_secret(intent_id),
        "confirmation_method": "automatic",
        "created": call.now,
        "currency": currency,
        "livemode": False,
        "metadata": {},
        "payment_method_options": {},
        "status": "requires_payment_method",
    }


ROUTES = (
    Route("POST", "/v1/payment_intents", create),
    Route("GET", "/v1/payment_intents", list_all),
    Route("GET", "/v1/payment_intents/{intent}", retrieve, public=True),
    Route("POST", "/v1/payment_intents/{intent}", update),
    Route("POST", "/v1/payment_intents/{intent}/confirm", confirm, public=True),
    Route("POST", "/v1/payment_intents/{intent}/cancel", cancel),
    Route("POST", "/v1/payment_intents/{intent}/capture", capture),
)
