"""Payment intents: from what is to be paid to what was."""

from deploy.sandbox import currencies, intents, payments
from deploy.sandbox.errors import Json, invalid
from deploy.sandbox.ids import client_secret, new_id
from deploy.sandbox.listing import page
from deploy.sandbox.metadata import changed
from deploy.sandbox.resources import accounts
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

PLAIN = (
    "application_fee_amount",
    "description",
    "receipt_email",
    "setup_future_usage",
    "statement_descriptor_suffix",
)
CANCELABLE = (*intents.OPEN, "requires_capture")


def create(call: Call) -> Json:
    amount, currency = call.params["amount"], call.params["currency"].lower()
    accounts.check_charges(call)
    intent = shape(call, amount, currency) | intents.chosen_types(call, currency)
    currencies.check(amount, currency, intent["payment_method_types"])
    intent |= {name: call.params[name] for name in PLAIN if name in call.params}
    intent |= {
        "customer": intents.chosen_customer(call),
        "metadata": changed({}, call.params.get("metadata")),
    }
    method = intents.chosen_method(call, intent)
    if method:
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
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
    currencies.check(intent["amount"], currency, intent["payment_method_types"])
    if "payment_method" in call.params or "payment_method_data" in call.params:
        method = intents.chosen_method(call, intent)
        assert method, "the request names a method"
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
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
    if intent["status"] not in CANCELABLE:
        raise intents.unexpected_state(intent, "cancel", CANCELABLE)
    intent |= {
        "status": "canceled",
        "canceled_at": call.now,
        "cancellation_reason": call.params.get("cancellation_reason"),
        "next_action": None,
    }
    call.put(intent)
    call.emit("payment_intent.canceled", intent)
    return intent


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
    currencies.check_method(intent["amount"], intent["currency"], method["type"], brand)
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
)
