"""Domains on which an account may show the buttons of wallets."""

import re

from deploy.sandbox.errors import BadParameter, Json
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

DOMAIN = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
WALLETS = ("amazon_pay", "apple_pay", "google_pay", "klarna", "link", "paypal")


def create(call: Call) -> Json:
    """To register a domain again answers with the one that is there."""
    name = call.params["domain_name"].lower()
    if not DOMAIN.fullmatch(name):
        raise BadParameter(f"Invalid domain name: {name}", "domain_name")
    domain = _of_name(call, name) or shape(call, name)
    if "enabled" in call.params:
        domain["enabled"] = call.params["enabled"]
    return call.put(domain)


def retrieve(call: Call) -> Json:
    return call.get("payment_method_domain", call.id, "payment_method_domain")


def list_all(call: Call) -> Json:
    wanted = {name: call.params[name] for name in ("domain_name", "enabled") if name in call.params}
    url = "/v1/payment_method_domains"
    return page(call, "payment_method_domain", url, lambda domain: wanted.items() <= domain.items())


def update(call: Call) -> Json:
    domain = retrieve(call)
    return call.put(domain | {"enabled": call.params.get("enabled", domain["enabled"])})


def validate(call: Call) -> Json:
    domain = retrieve(call)
    return call.put(domain | {wallet: {"status": "active"} for wallet in WALLETS})


def _of_name(call: Call, name: str) -> Json | None:
    found, _ = call.store.page(call.account, "payment_method_domain", {"limit": 1000})
    return next((each for each in found if each["domain_name"] == name), None)


def shape(call: Call, name: str) -> Json:
    return {
        "id": new_id("pmd"),
        "object": "payment_method_domain",
        "created": call.now,
        "domain_name": name,
        "enabled": True,
        "livemode": False,
        **{wallet: {"status": "active"} for wallet in WALLETS},
    }


ROUTES = (
    Route("GET", "/v1/payment_method_domains", list_all),
    Route("POST", "/v1/payment_method_domains", create),
    Route("GET", "/v1/payment_method_domains/{payment_method_domain}", retrieve),
    Route("POST", "/v1/payment_method_domains/{payment_method_domain}", update),
    Route("POST", "/v1/payment_method_domains/{payment_method_domain}/validate", validate),
)
