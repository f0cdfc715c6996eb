"""Events as the API tells them: those of one account, newest first."""

from deploy.sandbox.errors import Json
from deploy.sandbox.listing import page
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call


def retrieve(call: Call) -> Json:
    return _with_pending(call, call.get("event", call.id, "id"))


def list_all(call: Call) -> Json:
    wanted = call.params.get("delivery_success")

    def fits(event: Json) -> bool:
        return wanted in (None, not _with_pending(call, event)["pending_webhooks"])

    types = call.params.get("types") or call.params.get("type")
    answer = page(call, "event", "/v1/events", fits, type=types)
    return answer | {"data": [_with_pending(call, event) for event in answer["data"]]}


def _with_pending(call: Call, event: Json) -> Json:
    """An event never changes, save for the number of webhooks that still have to get through."""
    delivery = call.store.delivery(event["id"])
    return event | {"pending_webhooks": int(delivery is not None and delivery["state"] != "delivered")}


ROUTES = (
    Route("GET", "/v1/events", list_all),
    Route("GET", "/v1/events/{id}", retrieve),
)
