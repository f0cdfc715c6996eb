"""The effect of an attempt to pay on a payment intent: charge, decline, wait for the payer or for the bank."""

from deploy.sandbox import intents, outcomes
from deploy.sandbox.declines import authentication_failed, card_error, delayed_failure
from deploy.sandbox.errors import Json, StripeError
from deploy.sandbox.methods import KINDS
from deploy.sandbox.resources import balance_transactions, charges, payment_methods
from deploy.sandbox.sandbox import Call


def attempt(call: Call, intent: Json, method: Json) -> Json:
    """Try the method; StripeError 402 when it is declined (what that changed stays)."""
    intent |= {"payment_method": method["id"], "last_payment_error": None, "next_action": None}
    off_session = call.params.get("off_session") not in (None, False)
    step, reason = outcomes.first_step(
        method["type"], call.hidden(method["id"]), setup=False, off_session=off_session
    )
    if step in ("challenge", "redirect") and call.params.get("error_on_requires_action"):
        step, reason = "decline", "authentication_required"
    match step:
        case "challenge" | "redirect":
            return _wait_for_payer(call, intent, step)
        case "process":
            return _wait_for_bank(call, intent, method)
        case _:
            return _finish(call, intent, method, reason, authenticated=False)


def finish_challenge(call: Call, intent: Json, passed: bool) -> Json:
    """The payer came back from 3-D Secure or from the other payment system."""
    method = call.get("payment_method", intent["payment_method"])
    if not passed:
        return _fail(call, intent, method, authentication_failed(setup=False, method=method))
    _, reason = outcomes.after_authentication(call.hidden(method["id"]), setup=False)
    try:
        return _finish(call, intent, method, reason, authenticated=KINDS[method["type"]].flow == "card")
    except StripeError:
        return intent


def finish_processing(call: Call, intent: Json, paid: bool) -> Json:
    """The bank has answered a debit that was `processing`."""
    method = call.get("payment_method", intent["payment_method"])
    charge = call.get("charge", intent["latest_charge"])
    if paid and not call.hidden(method["id"]).get("fails_later"):
        balance_transactions.book(call, charge)
        charges.change(call, charge, "succeeded", paid=True)
        return _succeed(call, intent, method, charge)
    failure = delayed_failure(method)
    charges.change(call, charge, "failed", paid=False, failure_message=failure.body["message"])
    return _fail(call, intent, method, failure)


def _finish(call: Call, intent: Json, method: Json, reason: str | None, *, authenticated: bool) -> Json:
    if reason is None:
        charge = charges.succeed(call, intent, method, authenticated)
        return _succeed(call, intent, method, charge)
    charge = charges.fail(call, intent, method, reason)
    intent["latest_charge"] = charge["id"]
    error = card_error(reason, charge=charge["id"], payment_method=method)
    _fail(call, intent, method, error)
    error.body["payment_intent"] = intent
    raise error


def _succeed(call: Call, intent: Json, method: Json, charge: Json) -> Json:
    intent |= {
        "status": "succeeded",
        "amount_received": intent["amount"],
        "latest_charge": charge["id"],
        "next_action": None,
        "processing": None,
    }
    if intent["setup_future_usage"] and intent["customer"]:
        payment_methods.attach_to(call, method, intent["customer"])
        call.put(method, call.hidden(method["id"]) | {"set_up": True})
    payment_methods.use_up(call, method)
    call.put(intent)
    call.emit("payment_intent.succeeded", intent)
    return intent


def _fail(call: Call, intent: Json, method: Json, error: StripeError) -> Json:
    """Back to the start: the intent can be tried again with another method."""
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "last_payment_error": dict(error.body),
        "next_action": None,
        "processing": None,
    }
    call.put(intent)
    call.emit("payment_intent.payment_failed", intent)
    return intent


def _wait_for_payer(call: Call, intent: Json, step: outcomes.Step) -> Json:
    intent |= {"status": "requires_action", "next_action": intents.next_action(call, intent, step)}
    call.put(intent)
    call.emit("payment_intent.requires_action", intent)
    return intent


def _wait_for_bank(call: Call, intent: Json, method: Json) -> Json:
    charge = charges.begin(call, intent, method)
    intent |= {"status": "processing", "latest_charge": charge["id"]}
    call.put(intent)
    call.emit("payment_intent.processing", intent)
    return intent
