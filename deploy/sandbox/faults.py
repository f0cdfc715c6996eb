"""Faults that tests ask for: rules that each hit the next N matching calls or events, then are gone."""

from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Literal

from deploy.sandbox.errors import Json
from deploy.sandbox.refusals import Early, Late

ApiKind = Literal["500_before", "500_after", "timeout_after", "latency"] | Early | Late
RateLimit = Literal[
    "global-rate", "endpoint-rate", "global-concurrency", "endpoint-concurrency", "resource-specific"
]
WebhookKind = Literal["double", "reorder", "delay", "drop"]


@dataclass
class ApiFault:
    kind: ApiKind
    method: str = "*"
    path: str = "*"
    """A shell pattern over the path, such as `/v1/payment_intents/*/confirm`."""
    count: int = 1
    account: str = "*"
    """The connected account that is called for; `platform` for the platform's own."""
    reason: RateLimit = "endpoint-rate"
    """Of `429`: the limit that was reached."""
    seconds: float = 0.0
    """How long `latency` waits before the effect."""


@dataclass
class WebhookFault:
    kind: WebhookKind
    type: str = "*"
    """A shell pattern over the event type, such as `payment_intent.*`."""
    count: int = 1
    """Events hit; for `reorder` also how many are held and then sent newest first."""
    milliseconds: int = 0
    """How long `delay` waits; for `double`, how long after the first the second is sent."""


class Faults:
    def __init__(self) -> None:
        self.api: list[ApiFault] = []
        self.webhooks: list[WebhookFault] = []

    def for_call(self, method: str, path: str, account: str = "platform") -> ApiFault | None:
        """The first rule that matches, used up by one."""
        asked = (method, path, account)
        for rule in self.api:
            if rule.count > 0 and all(map(fnmatchcase, asked, (rule.method, rule.path, rule.account))):
                rule.count -= 1
                return rule
        return None

    def for_event(self, type: str) -> WebhookFault | None:
        for rule in self.webhooks:
            if rule.count > 0 and fnmatchcase(type, rule.type):
                rule.count -= 1
                return rule
        return None

    def clear(self) -> None:
        self.api.clear()
        self.webhooks.clear()

    def as_json(self) -> Json:
        return {"api": [asdict(r) for r in self.api], "webhooks": [asdict(r) for r in self.webhooks]}
