"""The table from method and address to handler. Addresses are written as in Stripe's OpenAPI document."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from deploy.sandbox.errors import Json
from deploy.sandbox.sandbox import Call

Handler = Callable[[Call], Json]


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    """Such as `/v1/payment_intents/{intent}/confirm`: a resource, then an id, then a verb."""
    handler: Handler
    public: bool = False
    """A browser may call it with the publishable key."""

    @property
    def operation(self) -> str:
        return f"{self.method} {self.path}"


class Table:
    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = {(route.method, *_shape(route.path.split("/")[2:])): route for route in routes}

    def find(self, method: str, path: str) -> tuple[Route | None, str]:
        """The route, and the id in the address."""
        parts = path.split("/")[2:]
        return self._routes.get((method, *_shape(parts))), parts[1] if len(parts) > 1 else ""


def _shape(parts: list[str]) -> tuple[str, ...]:
    return tuple("{}" if place == 1 else part for place, part in enumerate(parts))
