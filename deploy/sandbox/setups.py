"""The effect of an attempt to save a method on a setup intent."""

from deploy.sandbox import intents, outcomes
from deploy.sandbox.declines import authentication_failed, card_error
from deploy.sandbox.errors import Json, StripeError
from deploy.sandbox.resources import payment_methods
from deploy.sandbox.sandbox import Call


def attempt(call: Call, intent: Json, method: Json) -> Json:
    """Try to save the method; StripeError 402 when it is declined (what that changed stays)."""
    intent |= {"payment_method": method["id"], "last_setup_error": None, "next_action": None}
    step, reason = outcomes.first_step(
        method["type"], call.hidden(method["id"]), setup=True, off_session=False
    )
    if step in ("challenge", "redirect"):
        return intents.wait_for_payer(call, intent, step)
    return _finish(call, intent, method, reason)


def finish_challenge(call: Call, intent: Json, passed: bool) -> Json:
    method = call.get("payment_method", intent["payment_method"])
    if not passed:
        return _fail(call, intent, authentication_failed(setup=True, method=method))
    _, reason = outcomes.after_authentication(call.hidden(method["id"]), setup=True)
    try:
        return _finish(call, intent, method, reason)
    except StripeError:
        return intent


def _finish(call: Call, intent: Json, method: Json, reason: str | None) -> Json:
    if reason:
        error = card_error(reason, call.unsure, payment_method=method)
        _fail(call, intent, error)
        error.body["setup_intent"] = intent
        raise error
    if intent["customer"]:
        payment_methods.attach_to(call, method, intent["customer"])
    call.put(method, call.hidden(method["id"]) | {"set_up": True})
    intent |= {"status": "succeeded", "next_action": None}
    call.put(intent)
    call.emit("setup_intent.succeeded", intent)
    return intent


def _fail(call: Call, intent: Json, error: StripeError) -> Json:
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "last_setup_error": dict(error.body),
        "next_action": None,
    }
    call.put(intent)
    call.emit("setup_intent.setup_failed", intent)
    return intent
