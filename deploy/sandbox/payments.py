"""The effect of an attempt to pay on a payment intent: charge, decline, wait for the payer or for the bank."""

from deploy.sandbox import banks, intents, outcomes
from deploy.sandbox.declines import authentication_failed, card_error, delayed_failure
from deploy.sandbox.errors import Json, StripeError
from deploy.sandbox.ids import new_id
from deploy.sandbox.methods import KINDS
from deploy.sandbox.resources import balance_transactions, charges, disputes, payment_methods
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
            return intents.wait_for_payer(call, intent, step)
        case "process":
            return _wait_for_bank(call, intent, method)
        case _:
            return _finish(call, intent, method, reason, authenticated=False)


def finish_challenge(call: Call, intent: Json, passed: bool) -> Json:
    """The payer came back from 3-D Secure or from the other payment system."""
    method = call.get("payment_method", intent["payment_method"])
    if not passed:
        return _fail(call, intent, authentication_failed(setup=False, method=method))
    _, reason = outcomes.after_authentication(call.hidden(method["id"]), setup=False)
    try:
        return _finish(call, intent, method, reason, authenticated=KINDS[method["type"]].flow == "card")
    except StripeError:
        return intent


def finish_processing(call: Call, intent: Json, paid: bool) -> Json:
    """The bank has answered a debit that was `processing`. A test account that fails does so in any case."""
    method = call.get("payment_method", intent["payment_method"])
    charge = call.get("charge", intent["latest_charge"])
    bank = call.hidden(method["id"])
    if paid and not bank.get("failure"):
        balance_transactions.book(call, charge)
        charges.change(call, charge, "succeeded", paid=True)
        done = _succeed(call, intent, method, charge)
        if bank.get("returned"):
            disputes.end(call, disputes.open_(call, charge, "needs_response", "debit_not_authorized"), "lost")
        return done
    failure = delayed_failure(method, bank.get("failure"))
    charges.change(
        call,
        charge,
        "failed",
        paid=False,
        failure_code=bank.get("failure"),
        failure_message=failure.body["message"],
    )
    return _fail(call, intent, failure)


def capture(call: Call, intent: Json, amount: int) -> Json:
    """Take an authorised amount or less."""
    charge = charges.capture(call, call.get("charge", intent["latest_charge"]), amount)
    return _succeed(call, intent, call.get("payment_method", intent["payment_method"]), charge)


def _finish(call: Call, intent: Json, method: Json, reason: str | None, *, authenticated: bool) -> Json:
    if reason is None:
        charge = charges.succeed(call, intent, method, authenticated)
        if intent["capture_method"] == "manual":
            return _wait_for_capture(call, intent, charge)
        return _succeed(call, intent, method, charge)
    named = {"payment_method": method}
    if reason != "authentication_required":
        charge = charges.fail(call, intent, method, reason)
        intent["latest_charge"] = charge["id"]
        named["charge"] = charge["id"]
    error = card_error(reason, call.unsure, **named)
    _fail(call, intent, error)
    error.body["payment_intent"] = intent
    raise error


def _succeed(call: Call, intent: Json, method: Json, charge: Json) -> Json:
    _follow(call, method, charge)
    intent |= {
        "status": "succeeded",
        "amount_capturable": 0,
        "amount_received": charge["amount_captured"],
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


def _follow(call: Call, method: Json, charge: Json) -> None:
    """Disputes and warnings that a test card makes: they come before the payment's own success."""
    card = call.hidden(method["id"])
    for reason in card.get("disputed", ()):
        status = "warning_needs_response" if reason.endswith("?") else "needs_response"
        disputes.open_(call, charge, status, reason.removesuffix("?"))
    if card.get("warned"):
        call.emit("radar.early_fraud_warning.created", _warning(call, charge))


def _warning(call: Call, charge: Json) -> Json:
    return {
        "id": new_id("issfr"),
        "object": "radar.early_fraud_warning",
        "actionable": True,
        "charge": charge["id"],
        "created": call.now,
        "fraud_type": "misc",
        "livemode": False,
        "payment_intent": charge["payment_intent"],
    }


def _fail(call: Call, intent: Json, error: StripeError) -> Json:
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


def _wait_for_capture(call: Call, intent: Json, charge: Json) -> Json:
    intent |= {"status": "requires_capture", "latest_charge": charge["id"], "next_action": None}
    intent["amount_capturable"] = intent["amount"]
    call.put(intent)
    call.emit("payment_intent.amount_capturable_updated", intent)
    return intent


def _wait_for_bank(call: Call, intent: Json, method: Json) -> Json:
    bank = call.hidden(method["id"])
    if bank.get("refused"):
        raise banks.refusal(bank["refused"])
    charge = charges.begin(call, intent, method)
    intent |= {"status": "processing", "latest_charge": charge["id"]}
    call.put(intent)
    call.emit("payment_intent.processing", intent)
    if call.sandbox.bank_seconds is not None and not bank.get("stays"):
        call.sandbox.later(call.sandbox.bank_seconds, call.account, lambda then: _answer(then, intent["id"]))
    return intent


def _answer(call: Call, id: str) -> None:
    """The bank's answer by itself, unless the debit has ended since."""
    intent = call.get("payment_intent", id)
    if intent["status"] == "processing":
        finish_processing(call, intent, paid=True)
