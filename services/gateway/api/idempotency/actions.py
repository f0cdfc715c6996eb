"""The body of each idempotency key, for requests that write in the gateway or in several services.

A key is claimed in the transaction of the request's effect: of two requests at once, the second waits for the first.
"""

from typing import Literal
from uuid import UUID

from services.chassis.db.database import Connection
from services.chassis.idempotency import IdempotencyKeyReused
from services.gateway.api.idempotency import store

RequestState = Literal["none", "under_way", "done"]


class IdempotentRequest:
    """A request with its key. A refused request does not use up the key."""

    def __init__(self, api_key_id: UUID, key: str, fingerprint: bytes) -> None:
        self.key = key
        self._api_key_id = api_key_id
        self._fingerprint = fingerprint

    async def look_up(self, tx: Connection) -> RequestState:
        """The state of the same request when it was sent before. Raises `IdempotencyKeyReused`."""
        fingerprint, under_way = await store.get_key_use(tx, self._api_key_id, self.key)
        if fingerprint is None:
            return "none"
        if fingerprint != self._fingerprint:
            raise IdempotencyKeyReused("This Idempotency-Key was used with another body. Use a new key.")
        return "under_way" if under_way else "done"

    async def claim(self, tx: Connection) -> RequestState:
        """`none`: the key is claimed, and the request must be carried out in this transaction. Else as `look_up`."""
        while not await store.add_key_use(tx, self._api_key_id, self.key, self._fingerprint):
            # None: the request that had the key was refused just now, and released it.
            if (earlier := await self.look_up(tx)) != "none":
                return earlier
        return "none"
