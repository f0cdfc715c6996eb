"""The sandbox as a whole, and one call into it: an account's objects, a moment, and the events that follow."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from deploy.sandbox import params
from deploy.sandbox.errors import Json, missing
from deploy.sandbox.faults import Faults
from deploy.sandbox.ids import new_id
from deploy.sandbox.recorder import Recorder
from deploy.sandbox.settings import Settings
from deploy.sandbox.store import Store
from deploy.sandbox.unsure import DEFAULT, Unsure
from deploy.sandbox.webhooks import Sender

PLATFORM = "acct_1SandboxPlatform"
Result = TypeVar("Result")


class Sandbox:
    """Everything runs on one event loop: what stands between two awaits happens as a whole."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(settings.state)
        self.faults = Faults()
        self.recorder = Recorder()
        self.unsure: Unsure = DEFAULT
        self.restricted_keys: dict[str, list[str]] = {}
        """By key: the operations that it may call, as shell patterns."""
        self.bank_seconds: float | None = None
        """How long a bank debit is processing; None: until the control API says how it ended."""
        self.sender = Sender(self.store, self.faults, settings.webhook_url, settings.webhook_secret)

    def now(self) -> int:
        """Seconds of the sandbox's clock, which may be shifted from the real one."""
        return int(time.time()) + self.offset

    @property
    def offset(self) -> int:
        return int(self.store.setting("clock_offset", "0"))

    def later(self, seconds: float, account: str, work: Callable[["Call"], object]) -> None:
        """Do the work after a while. It is forgotten when the sandbox ends before."""
        asyncio.get_running_loop().call_later(seconds, lambda: self.run(account, work))

    def run(self, account: str, work: Callable[["Call"], Result], **about: Any) -> Result:
        """Do the work in one transaction, then send its events. An error undoes all of it."""
        call = Call(self, account, **about)
        with self.store.transaction():
            result = work(call)
        self.sender.send(call.events)
        return result


@dataclass
class Call:
    sandbox: Sandbox
    account: str
    id: str = ""
    """The id in the address."""
    params: Json = field(default_factory=dict)
    public: bool = False
    """Made with the publishable key: the object's client secret is then asked for."""
    request_id: str | None = None
    idempotency_key: str | None = None
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = self.sandbox.store
        self.now = self.sandbox.now()
        self.unsure = self.sandbox.unsure

    def get(self, kind: str, id: str, param: str = "id") -> Json:
        """The object, or Stripe's `resource_missing` that names the parameter."""
        found = self.store.get(self.account, id)
        if found is None or found["object"] != kind:
            raise missing(kind, id, param, 404 if id == self.id else 400)
        return found

    def put(self, body: Json, hidden: Json | None = None) -> Json:
        self.store.put(self.account, body, hidden)
        return body

    def hidden(self, id: str) -> Json:
        return self.store.hidden(self.account, id)

    def emit(self, type: str, body: Json, previous: Json | None = None) -> None:
        """State an event about the object as it is now, to be sent once the transaction is committed."""
        from_platform = self.account == PLATFORM
        event: Json = {
            "id": new_id("evt"),
            "object": "event",
            **({} if from_platform else {"account": self.account}),
            "api_version": params.version(),
            "created": self.now,
            "data": {"object": body} | ({} if previous is None else {"previous_attributes": previous}),
            "livemode": False,
            "pending_webhooks": 1 if self.sandbox.settings.webhook_url else 0,
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
            "type": type,
        }
        self.store.put(self.account, event)
        if self.sandbox.settings.webhook_url:
            self.store.add_delivery(self.account, event["id"])
            self.events.append(event["id"])


def account_named(name: str) -> str:
    """The account of an address of the control API: `platform` is the platform's own."""
    return PLATFORM if name == "platform" else name
