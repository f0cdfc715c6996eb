"""The API's requests, kept for tests: replays against stripe-mock, canaries, counts."""

import re
from collections import deque
from dataclasses import dataclass

CARD_DATA = re.compile(r"((?:card|%5B)?(?:number|cvc)(?:%5D|\])=)[^&]*")


@dataclass(frozen=True)
class Recorded:
    """One request to the API. `body` is the raw form, card numbers and security codes left out."""

    request_id: str
    method: str
    path: str
    query: str
    body: str
    account: str | None
    public: bool
    idempotency_key: str | None
    version: str | None
    status: int
    replayed: bool


class Recorder:
    def __init__(self, keep: int = 20_000) -> None:
        self.requests: deque[Recorded] = deque(maxlen=keep)

    def add(self, request: Recorded) -> None:
        self.requests.append(request)


def without_card_data(body: str) -> str:
    return CARD_DATA.sub(r"\1", body)
