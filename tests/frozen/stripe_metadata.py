"""Metadata of what we make at Stripe, by which webhooks, the sweeper and `clinicpay verify` find our rows again."""

from typing import Any
from urllib.parse import parse_qs

from tests.frozen import fixed, stripe_calls
from tests.frozen.picture import Dbs
from tests.running.settings import SEAL


class _Watched(dict[str, Any]):
    """Metadata that knows which of its keys were looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


async def draw(dbs: Dbs) -> Any:
    asked = await stripe_calls.received(dbs["payment"])
    written = {name: _metadata(each.body) for name, each in asked.items()}
    return {"written": {name: found for name, found in written.items() if found}, "read": _read()}


def _metadata(body: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(body).items() if key.startswith("metadata[")}


def _read() -> list[str]:
    metadata = _Watched()
    fixed.stripe_says("payment_intent.succeeded", fixed.an_intent("succeeded") | {"metadata": metadata})
    SEAL.origin(metadata)
    return sorted(metadata.asked)
