"""Stripe's lists: one page, newest first."""

from deploy.sandbox.errors import BadParameter, Json, invalid
from deploy.sandbox.sandbox import Call
from deploy.sandbox.store import Where


def page(call: Call, kind: str, url: str, where: Where | None = None, **filters: object) -> Json:
    """A page of up to `limit` objects that fit. Filters are of columns; `where` decides on the object."""
    limit = call.params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise BadParameter("This value must be greater than or equal to 1 and at most 100.", "limit")
    cursors = ("starting_after", "ending_before")
    if all(name in call.params for name in cursors):
        raise invalid("You may only specify one of these parameters: ending_before, starting_after.")
    for name in cursors:
        if cursor := call.params.get(name):
            call.get(kind, cursor, name)
    wanted = {name: call.params[name] for name in ("created", *cursors) if name in call.params}
    chosen = {name: value for name, value in filters.items() if value is not None}
    data, more = call.store.page(call.account, kind, {**wanted, **chosen, "limit": limit}, where)
    return {"object": "list", "data": data, "has_more": more, "url": url}
