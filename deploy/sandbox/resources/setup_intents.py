"""Setup intents: save a method for later, without a payment."""

from deploy.sandbox import intents, setups
from deploy.sandbox.errors import Json, invalid
from deploy.sandbox.ids import client_secret, new_id
from deploy.sandbox.listing import page
from deploy.sandbox.metadata import changed
from deploy.sandbox.methods import SAVABLE
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call


def create(call: Call) -> Json:
    intent = shape(call) | intents.chosen_types(call, None)
    intent["payment_method_types"] = [name for name in intent["payment_method_types"] if name in SAVABLE]
    intent |= {
        "customer": intents.chosen_customer(call),
        "description": call.params.get("description"),
        "metadata": changed({}, call.params.get("metadata")),
        "usage": call.params.get("usage", "off_session"),
    }
    method = intents.take_method(call, intent)
    call.put(intent)
    call.emit("setup_intent.created", intent)
    return _confirm(call, intent, method) if call.params.get("confirm") else intent


def retrieve(call: Call) -> Json:
    return intents.in_address(call, "setup_intent")


def list_all(call: Call) -> Json:
    return page(call, "setup_intent", "/v1/setup_intents", customer=call.params.get("customer"))


def update(call: Call) -> Json:
    intent = retrieve(call)
    if intent["status"] not in intents.OPEN and set(call.params) - {"metadata", "description"}:
        raise intents.unexpected_state(intent, "update", intents.OPEN)
    intent["description"] = call.params.get("description", intent["description"])
    intent["metadata"] = changed(intent["metadata"], call.params.get("metadata"))
    if "customer" in call.params:
        intent["customer"] = intents.chosen_customer(call)
    if "payment_method" in call.params:
        intents.take_method(call, intent)
    return call.put(intent)


def confirm(call: Call) -> Json:
    intent = retrieve(call)
    if intent["status"] not in intents.OPEN:
        raise intents.unexpected_state(intent, "confirm", intents.OPEN)
    return _confirm(call, intent, intents.chosen_method(call, intent))


def cancel(call: Call) -> Json:
    intent = retrieve(call)
    if intent["status"] not in intents.OPEN:
        raise intents.unexpected_state(intent, "cancel", intents.OPEN)
    intent |= {
        "status": "canceled",
        "cancellation_reason": call.params.get("cancellation_reason"),
        "next_action": None,
    }
    call.put(intent)
    call.emit("setup_intent.canceled", intent)
    return intent


def _confirm(call: Call, intent: Json, method: Json | None) -> Json:
    if method is None:
        raise invalid(
            "You cannot confirm this SetupIntent because it's missing a payment method.",
            "setup_intent_unexpected_state",
            setup_intent=intent,
        )
    intents.check_return_url(call, intent)
    return setups.attempt(call, intent, method)


def shape(call: Call) -> Json:
    intent_id = new_id("seti")
    nothing = (
        "application cancellation_reason customer customer_account description excluded_payment_method_types"
        " flow_directions last_setup_error latest_attempt mandate next_action on_behalf_of payment_method"
        " payment_method_configuration_details single_use_mandate"
    )
    return dict.fromkeys(nothing.split()) | {
        "id": intent_id,
        "object": "setup_intent",
        "client_secret": client_secret(intent_id),
        "created": call.now,
        "livemode": False,
        "metadata": {},
        "payment_method_options": {},
        "status": "requires_payment_method",
        "usage": "off_session",
    }


ROUTES = (
    Route("POST", "/v1/setup_intents", create),
    Route("GET", "/v1/setup_intents", list_all),
    Route("GET", "/v1/setup_intents/{intent}", retrieve, public=True),
    Route("POST", "/v1/setup_intents/{intent}", update),
    Route("POST", "/v1/setup_intents/{intent}/confirm", confirm, public=True),
    Route("POST", "/v1/setup_intents/{intent}/cancel", cancel),
)
