"""Customers. A deleted one remains as a stub, as at Stripe."""

from deploy.sandbox.errors import Json, missing
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.metadata import changed
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

GIVEN = ("address", "description", "email", "name", "phone", "shipping")


def create(call: Call) -> Json:
    customer = shape(call)
    customer |= {name: call.params[name] for name in GIVEN if name in call.params}
    customer["metadata"] = changed({}, call.params.get("metadata"))
    call.put(customer)
    call.emit("customer.created", customer)
    return customer


def retrieve(call: Call) -> Json:
    return _stub(customer) if (customer := call.get("customer", call.id, "id")).get("deleted") else customer


def update(call: Call) -> Json:
    customer = live(call, call.id, "id")
    customer |= {name: call.params[name] for name in GIVEN if name in call.params}
    customer["metadata"] = changed(customer["metadata"], call.params.get("metadata"))
    settings = call.params.get("invoice_settings", {})
    customer["invoice_settings"] |= {
        name: settings[name] for name in ("default_payment_method",) if name in settings
    }
    call.put(customer)
    call.emit("customer.updated", customer)
    return customer


def list_all(call: Call) -> Json:
    return page(call, "customer", "/v1/customers", lambda customer: not customer.get("deleted"))


def delete(call: Call) -> Json:
    customer = live(call, call.id, "id")
    methods, _ = call.store.page(call.account, "payment_method", {"customer": customer["id"], "limit": 1000})
    for method in methods:
        call.put(method | {"customer": None}, call.hidden(method["id"]) | {"used": True})
    call.put(_stub(customer) | {"created": customer["created"]})
    call.emit("customer.deleted", customer)
    return _stub(customer)


def payment_methods(call: Call) -> Json:
    live(call, call.id, "customer")
    url = f"/v1/customers/{call.id}/payment_methods"
    return page(call, "payment_method", url, customer=call.id, type=call.params.get("type"))


def _stub(customer: Json) -> Json:
    return {"id": customer["id"], "object": "customer", "deleted": True}


def live(call: Call, id: str, param: str = "customer") -> Json:
    """The customer, unless it was deleted."""
    customer = call.get("customer", id, param)
    if customer.get("deleted"):
        raise missing("customer", id, param, 404 if id == call.id else 400)
    return customer


def shape(call: Call) -> Json:
    return {
        "id": new_id("cus", 14),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": call.now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": new_id("x", 8)[2:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


ROUTES = (
    Route("POST", "/v1/customers", create),
    Route("GET", "/v1/customers", list_all),
    Route("GET", "/v1/customers/{customer}", retrieve),
    Route("POST", "/v1/customers/{customer}", update),
    Route("DELETE", "/v1/customers/{customer}", delete),
    Route("GET", "/v1/customers/{customer}/payment_methods", payment_methods),
)
