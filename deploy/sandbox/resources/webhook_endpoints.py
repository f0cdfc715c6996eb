"""Webhook endpoints as objects. The sandbox sends to the one address of its settings, which is listed too."""

import secrets

from deploy.sandbox import params
from deploy.sandbox.errors import BadParameter, Json, invalid
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.metadata import changed
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import Call

MOST = 16
APPLICATION = "ca_sandbox"
OWN = {"we_1SandboxPlatform": None, "we_1SandboxConnect": APPLICATION}


def create(call: Call) -> Json:
    """The only answer that has the secret."""
    _check_url(call.params["url"])
    endpoint = shape(call) | {"enabled_events": call.params["enabled_events"], "url": call.params["url"]}
    _, more = call.store.page(call.account, "webhook_endpoint", {"limit": MOST - 1})
    if more:
        raise invalid(f"You have reached the maximum of {MOST} test webhook endpoints.", param="url")
    call.put(endpoint)
    return endpoint | {"secret": f"whsec_{secrets.token_hex(16)}"}


def retrieve(call: Call) -> Json:
    return call.get("webhook_endpoint", call.id, "id")


def list_all(call: Call) -> Json:
    return page(call, "webhook_endpoint", "/v1/webhook_endpoints")


def update(call: Call) -> Json:
    """The API version cannot be changed."""
    endpoint = retrieve(call)
    if "url" in call.params:
        _check_url(call.params["url"])
    endpoint |= {
        name: call.params[name] for name in ("url", "enabled_events", "description") if name in call.params
    }
    endpoint["metadata"] = changed(endpoint["metadata"], call.params.get("metadata"))
    if "disabled" in call.params:
        endpoint["status"] = "disabled" if call.params["disabled"] else "enabled"
    return call.put(endpoint)


def delete(call: Call) -> Json:
    endpoint = retrieve(call)
    call.store.delete(call.account, endpoint["id"])
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def keep_own(call: Call, url: str) -> None:
    """List where the sandbox itself sends, as Stripe does: an endpoint of the platform, one of connected accounts.

    Both get every event, signed with the same secret.
    """
    for named, application in OWN.items():
        if not url:
            call.store.delete(call.account, named)
            continue
        made = call.store.get(call.account, named) or shape(call) | {
            "id": named,
            "api_version": params.version(),
            "application": application,
            "description": "Where the sandbox sends, whatever is changed here",
            "enabled_events": ["*"],
        }
        call.put(made | {"url": url})


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise BadParameter(f"Invalid URL: {url}", "url", "url_invalid")


def shape(call: Call) -> Json:
    version = call.params.get("api_version")
    if version not in (None, params.version()) and not version.startswith("20"):
        raise BadParameter(f"Invalid Stripe API version: {version}", "api_version")
    return {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": version,
        "application": APPLICATION if call.params.get("connect") else None,
        "created": call.now,
        "description": call.params.get("description"),
        "livemode": False,
        "metadata": changed({}, call.params.get("metadata")),
        "status": "enabled",
    }


ROUTES = (
    Route("GET", "/v1/webhook_endpoints", list_all),
    Route("POST", "/v1/webhook_endpoints", create),
    Route("GET", "/v1/webhook_endpoints/{webhook_endpoint}", retrieve),
    Route("POST", "/v1/webhook_endpoints/{webhook_endpoint}", update),
    Route("DELETE", "/v1/webhook_endpoints/{webhook_endpoint}", delete),
)
