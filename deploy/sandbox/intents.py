"""The common part of payment intents and setup intents."""

from typing import Literal

from deploy.sandbox import methods
from deploy.sandbox.errors import BadParameter, Json, invalid
from deploy.sandbox.ids import new_id
from deploy.sandbox.resources import payment_methods
from deploy.sandbox.resources.customers import live
from deploy.sandbox.sandbox import Call

Kind = Literal["payment_intent", "setup_intent"]
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
NAMES = {"payment_intent": "PaymentIntent", "setup_intent": "SetupIntent"}


def in_address(call: Call, kind: Kind) -> Json:
    """The intent of the address; a browser must know its client secret."""
    intent = call.get(kind, call.id, "intent")
    if call.public and call.params.get("client_secret") != intent["client_secret"]:
        message = (
            f"The client_secret provided does not match the client_secret associated with the {NAMES[kind]}."
            if "client_secret" in call.params
            else "Missing required param: client_secret."
        )
        raise invalid(message, f"{kind}_invalid_parameter", param="client_secret")
    return intent


def chosen_types(call: Call, currency: str | None) -> Json:
    """The fields that say which kinds of method the intent takes."""
    given = call.params.get("payment_method_types")
    automatic = call.params.get("automatic_payment_methods")
    if given and automatic and automatic["enabled"]:
        raise invalid(
            "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.",
            param="payment_method_types",
        )
    for name in given or ():
        if not methods.takes(name, currency):
            raise _unfit_type(name, currency)
    if given or (automatic and not automatic["enabled"]):
        return {"automatic_payment_methods": None, "payment_method_types": given or ["card"]}
    redirects = (automatic or {}).get("allow_redirects", "always")
    left_out = call.params.get("excluded_payment_method_types") or ()
    offered = methods.automatic_for(currency) if redirects == "always" else ["card"]
    names = [name for name in offered if name not in left_out]
    if not names:
        raise invalid(
            "No valid payment method types for this Payment Intent. Please ensure that you have activated payment "
            "methods compatible with your chosen currency in your dashboard."
        )
    return {
        "automatic_payment_methods": {"allow_redirects": redirects, "enabled": True},
        "payment_method_types": names,
    }


def _unfit_type(name: str, currency: str | None) -> BadParameter:
    if name in methods.KINDS:
        message = f'The payment method type "{name}" is not supported for the currency {currency}.'
    else:
        message = f"The payment method type provided: {name} is invalid."
    return BadParameter(message, "payment_method_types")


def chosen_method(call: Call, intent: Json) -> Json | None:
    """The method that the request names or brings, else the one that the intent has."""
    if data := call.params.get("payment_method_data"):
        method = payment_methods.make(call, data)
    elif named := call.params.get("payment_method") or intent["payment_method"]:
        method = payment_methods.usable(call, named)
    else:
        return None
    _check_method(method, intent)
    return method


def take_method(call: Call, intent: Json) -> Json | None:
    """Put the chosen method into the intent, which then waits to be confirmed with it."""
    method = chosen_method(call, intent)
    if method:
        intent |= {"payment_method": method["id"], "status": "requires_confirmation"}
    return method


def _check_method(method: Json, intent: Json) -> None:
    name = NAMES[intent["object"]]
    if method["type"] not in intent["payment_method_types"]:
        allowed = ", ".join(intent["payment_method_types"])
        raise invalid(
            f"The PaymentMethod provided ({method['type']}) is not allowed for this {name}. Please attempt again with "
            f"a payment method of one of these types: {allowed}.",
            param="payment_method",
        )
    owner, customer = method["customer"], intent["customer"]
    if owner and customer is None:
        raise invalid(
            f"The payment method you provided ({method['id']}) belongs to the Customer {owner}. Please include the "
            f"Customer in the `customer` parameter on the {name}.",
            "parameter_missing",
            param="source",
        )
    if owner and owner != customer:
        raise invalid(
            "The PaymentMethod does not belong to the Customer you supplied.", param="payment_method"
        )


def chosen_customer(call: Call) -> str | None:
    customer: str | None = call.params.get("customer")
    return live(call, customer)["id"] if customer else None


def check_return_url(call: Call, intent: Json) -> None:
    """As at Stripe: a server that confirms must say where a redirect would come back, or rule redirects out."""
    automatic = intent["automatic_payment_methods"]
    if not automatic or automatic["allow_redirects"] == "never" or call.public or "return_url" in call.params:
        return
    name = NAMES[intent["object"]]
    raise invalid(
        f"This {name} is configured to accept payment methods enabled in your Dashboard. Because some of these payment "
        f"methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to "
        f"accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "
        f"`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."
    )


def unexpected_state(intent: Json, verb: str, allowed: tuple[str, ...]) -> Exception:
    kind, name = intent["object"], NAMES[intent["object"]]
    message = (
        f"You cannot {verb} this {name} because it has a status of {intent['status']}. Only a {name} with one of the "
        f"following statuses may be {verb.removesuffix('e')}ed: {', '.join(allowed)}."
    )
    return invalid(message, f"{kind}_unexpected_state", **{kind: intent})


def wait_for_payer(call: Call, intent: Json, step: str) -> Json:
    intent |= {"status": "requires_action", "next_action": _next_action(call, intent, step)}
    call.put(intent)
    call.emit(f"{intent['object']}.requires_action", intent)
    return intent


def _next_action(call: Call, intent: Json, kind: str) -> Json:
    """Where the payer must go: into Stripe.js's own window when it drives, else to a page and back again."""
    return_url = call.params.get("return_url")
    token = new_id("src")
    call.store.add_challenge(token, call.account, intent["id"], kind, return_url)
    url = f"{call.sandbox.settings.public_url}/{kind}/{token}"
    if kind == "challenge" and (call.params.get("use_stripe_sdk") or return_url is None):
        return {
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"type": "three_d_secure_redirect", "source": token, "stripe_js": url},
        }
    if return_url is None:
        raise invalid(
            "A `return_url` must be provided to confirm with a payment method that redirects.",
            param="return_url",
        )
    return {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": url}}
