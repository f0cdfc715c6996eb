"""Events as the API tells them: those of one account, newest first."""

from deploy.sandbox.errors import Json
from deploy.sandbox.listing import page
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call


def retrieve(call: Call) -> Json:
    return _with_pending(call, call.get("event", call.id, "id"))


def list_all(call: Call) -> Json:
    answer = page(call, "event", "/v1/events", type=call.params.get("types") or call.params.get("type"))
    shown = [_with_pending(call, event) for event in answer["data"]]
    wanted = call.params.get("delivery_success")
    return answer | {"data": [each for each in shown if wanted in (None, not each["pending_webhooks"])]}


def _with_pending(call: Call, event: Json) -> Json:
    """An event never changes, save for the number of webhooks that still have to get through."""
    delivery = call.store.delivery(event["id"])
    return event | {"pending_webhooks": int(delivery is not None and delivery["state"] != "delivered")}


ROUTES = (
    Route("GET", "/v1/events", list_all),
    Route("GET", "/v1/events/{id}", retrieve),
)
