"""Payment methods: made from test tokens or from fields, attached to customers, used up by one payment otherwise."""

import hashlib
import time

from deploy.sandbox import banks
from deploy.sandbox.cards import CARDS, Card, card_of, passes_check_digit
from deploy.sandbox.declines import card_error
from deploy.sandbox.errors import BadParameter, Json, StripeError, invalid, missing
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.metadata import changed
from deploy.sandbox.methods import KINDS, SAVABLE, shown_card
from deploy.sandbox.resources.customers import live
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

USED = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a "
    "connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use "
    "a PaymentMethod multiple times, you must attach it to a Customer first."
)


def create(call: Call) -> Json:
    return make(call, call.params)


def retrieve(call: Call) -> Json:
    return call.get("payment_method", call.id, "payment_method")


def update(call: Call) -> Json:
    method = retrieve(call)
    method["metadata"] = changed(method["metadata"], call.params.get("metadata"))
    if details := call.params.get("billing_details"):
        method["billing_details"] |= details
    call.put(method)
    call.emit("payment_method.updated", method)
    return method


def list_all(call: Call) -> Json:
    filters = {name: call.params.get(name) for name in ("customer", "type")}
    return page(call, "payment_method", "/v1/payment_methods", **filters)


def attach(call: Call) -> Json:
    method = usable(call, call.id)
    if "customer" not in call.params:
        raise BadParameter("Missing required param: customer.", "customer", "parameter_missing")
    customer = live(call, call.params["customer"])
    if method["customer"] not in (None, customer["id"]):
        raise invalid("The payment method you provided has already been attached to a customer.")
    hidden = call.hidden(method["id"])
    if hidden.get("decline") and not hidden.get("saves"):
        raise card_error(hidden["decline"], call.unsure, payment_method=method)
    return attach_to(call, method, customer["id"])


def attach_to(call: Call, method: Json, customer: str) -> Json:
    """Keep the method with the customer; to do it again changes nothing."""
    if method["customer"] == customer or method["type"] not in SAVABLE:
        return method
    method["customer"] = customer
    call.put(method)
    call.emit("payment_method.attached", method)
    return method


def detach(call: Call) -> Json:
    method = retrieve(call)
    if method["customer"] is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    previous, method["customer"] = method["customer"], None
    call.put(method, call.hidden(method["id"]) | {"used": True})
    call.emit("payment_method.detached", method, {"customer": previous})
    return method


def usable(call: Call, id: str) -> Json:
    """The method of that id, or a new one made from a test token; not one that has been used up."""
    if id in CARDS:
        return _card(call, CARDS[id], 12, _year() + 3, {})
    method = call.get("payment_method", id, "payment_method")
    if method["customer"] is None and call.hidden(id).get("used"):
        raise invalid(USED, call.unsure.used_method_code or None, param="payment_method")
    return method


def use_up(call: Call, method: Json) -> None:
    if method["customer"] is None:
        call.put(method, call.hidden(method["id"]) | {"used": True})


def make(call: Call, data: Json) -> Json:
    kind = data.get("type")
    if kind is None:
        raise BadParameter("Missing required param: type.", "type", "parameter_missing")
    if kind not in KINDS:
        raise BadParameter(f"The sandbox has no payment method of type {kind}.", "type")
    if kind == "card":
        return _card_from_fields(call, data)
    given = data.get(kind, {})
    if kind in _BANKS:
        own, account = _BANKS[kind](given)
        return _put(call, kind, own, data, _bank_behaviour(account))
    return _put(call, kind, _REDIRECTS.get(kind, {}) | given, data, {})


def _card_from_fields(call: Call, data: Json) -> Json:
    fields = data.get("card", {})
    if token := fields.get("token"):
        named = CARDS.get(token.replace("tok_", "pm_card_", 1))
        if named is None:
            raise missing("token", token, "card[token]")
        return _card(call, named, 12, _year() + 3, data)
    if "number" not in fields:
        raise BadParameter("Missing required param: card.", "card", "parameter_missing")
    number = fields["number"].replace(" ", "")
    _check_card(number, fields)
    card = card_of(number)
    if card.decline == "incorrect_cvc" and "cvc" not in fields:
        card = Card(number)
    return _card(call, card, fields["exp_month"], fields["exp_year"] % 100 + 2000, data)


def _check_card(number: str, fields: Json) -> None:
    today = time.gmtime()
    month, year = fields["exp_month"], fields["exp_year"] % 100 + 2000
    if not passes_check_digit(number):
        raise _refused("incorrect_number", "Your card number is incorrect.", "number")
    if not 1 <= month <= 12:
        raise _refused("invalid_expiry_month", "Your card's expiration month is invalid.", "exp_month")
    if not (today.tm_year, today.tm_mon) <= (year, month) <= (today.tm_year + 50, 12):
        raise _refused("invalid_expiry_year", "Your card's expiration year is invalid.", "exp_year")
    if (cvc := fields.get("cvc")) is not None and not (cvc.isdecimal() and len(cvc) in (3, 4)):
        raise _refused("invalid_cvc", "Your card's security code is invalid.", "cvc")


def _refused(code: str, message: str, param: str) -> StripeError:
    return StripeError(402, "card_error", message, code=code, param=param)


def _card(call: Call, card: Card, exp_month: int, exp_year: int, data: Json) -> Json:
    behaviour: Json = {"decline": card.decline, "authentication": card.authentication, "saves": card.saves}
    behaviour |= {"refund": card.refund, "disputed": card.disputed, "warned": card.warned}
    behaviour |= {"available": card.available, "risk": card.risk}
    return _put(
        call, "card", shown_card(card, exp_month, exp_year, _fingerprint(card.number)), data, behaviour
    )


def _put(call: Call, kind: str, own: Json, data: Json, hidden: Json) -> Json:
    return call.put(shape(call, kind, own, data), hidden)


def _sepa(given: Json) -> tuple[Json, banks.Account]:
    iban = banks.iban_of(given.get("iban", ""))
    shown = {
        "bank_code": iban[4:12],
        "branch_code": "",
        "country": iban[:2],
        "fingerprint": _fingerprint(iban),
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": iban[-4:],
    }
    return shown, banks.SEPA.get(iban, banks.GOOD)


def _us(given: Json) -> tuple[Json, banks.Account]:
    number, routing = given.get("account_number", ""), given.get("routing_number", "")
    if not (number.isdecimal() and len(routing) == 9 and routing.isdecimal()):
        raise BadParameter("Missing required param: us_bank_account.", "us_bank_account", "parameter_missing")
    shown = {
        "account_holder_type": given.get("account_holder_type", "individual"),
        "account_type": given.get("account_type", "checking"),
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": _fingerprint(routing + number),
        "last4": number[-4:],
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": routing,
        "status_details": {},
    }
    return shown, banks.ACH.get(number, banks.GOOD)


def _fingerprint(number: str) -> str:
    return hashlib.sha256(number.encode()).hexdigest()[:16]


def _bank_behaviour(account: banks.Account) -> Json:
    return {
        "failure": account.failure,
        "returned": account.disputed,
        "stays": account.stays,
        "refused": account.refused,
    }


def shape(call: Call, kind: str, own: Json, data: Json) -> Json:
    details = data.get("billing_details", {})
    nobody = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    address = nobody | details.get("address", {}) if isinstance(details.get("address", {}), dict) else nobody
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": data.get("allow_redisplay", "unspecified"),
        "billing_details": {name: details.get(name) or None for name in ("email", "name", "phone", "tax_id")}
        | {"address": address},
        kind: own,
        "created": call.now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": changed({}, data.get("metadata")),
        "type": kind,
    }


def _year() -> int:
    return time.gmtime().tm_year


_REDIRECTS: dict[str, Json] = {
    "paypal": {"country": "IE", "payer_email": "payer@example.com", "payer_id": "LSX6VJMQ4WEDA"},
    "ideal": {"bank": None, "bic": None},
    "eps": {"bank": None},
    "p24": {"bank": None},
}

_BANKS = {"sepa_debit": _sepa, "us_bank_account": _us}

ROUTES = (
    Route("POST", "/v1/payment_methods", create, public=True),
    Route("GET", "/v1/payment_methods", list_all),
    Route("GET", "/v1/payment_methods/{payment_method}", retrieve),
    Route("POST", "/v1/payment_methods/{payment_method}", update),
    Route("POST", "/v1/payment_methods/{payment_method}/attach", attach),
    Route("POST", "/v1/payment_methods/{payment_method}/detach", detach),
)
